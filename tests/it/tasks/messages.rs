use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use uuid::Uuid;
use wegraph::entity::outbox_message;

use super::create;
use super::reminders::{a_while, after};
use crate::harness::{
    APP_ID, Client, Engine, OTHER_APP_ID, OTHER_APP_SECRET, Reply, TEMPLATE, TestApp,
    on_each_database,
};

const FIELDS: &str = "thing1=title, time2=remind_at, phrase3=text:待办, thing4=notes, date5=due_at, phrase6=priority, character_string7=title";

/// A server that reminds through [`TEMPLATE`].
async fn start(engine: Engine) -> TestApp {
    let app = TestApp::start_with(
        engine,
        &[
            ("WECHAT__REMINDER_FIELDS", FIELDS),
            ("WECHAT__REMINDER_PAGE", "/pages/task/task?id={taskId}"),
            ("WECHAT__TIMEOUT_MS", "1500"),
        ],
    )
    .await;
    let keys = [
        "thing1",
        "time2",
        "phrase3",
        "thing4",
        "date5",
        "phrase6",
        "character_string7",
    ];
    app.wechat.add_template(APP_ID, TEMPLATE, &keys);
    app
}

async fn record(client: &Client, id: Value, answers: Value) -> Reply {
    let query = "mutation($i: RecordSubscribeConsentInput!) { recordSubscribeConsent(input: $i) { credits { templateId remaining } } }";
    client
        .run(query, json!({"i": {"id": id, "answers": answers}}))
        .await
}

/// The person agrees, and the client says so.
async fn agree(app: &TestApp, client: &Client, person: &str) {
    app.wechat.agree(APP_ID, person, TEMPLATE);
    let answers = json!([{"templateId": TEMPLATE, "accepted": true}]);
    record(client, json!(Uuid::now_v7()), answers).await.data();
}

async fn credits(client: &Client) -> Value {
    let reply = client
        .ask("{ viewer { subscribeCredits { templateId remaining } } }")
        .await;
    reply.data()["viewer"]["subscribeCredits"].clone()
}

async fn remaining(client: &Client) -> i64 {
    credits(client).await[0]["remaining"]
        .as_i64()
        .expect("a number")
}

/// What became of each reminder by its title, once there are `count` of them and none waits.
async fn deliveries(client: &Client, count: usize) -> BTreeMap<String, String> {
    for _ in 0..400 {
        let reply = client
            .ask("{ viewer { notifications(first: 100) { nodes { title delivery } } } }")
            .await;
        let nodes = reply.data()["viewer"]["notifications"]["nodes"]
            .as_array()
            .expect("a list")
            .clone();
        assert!(nodes.len() <= count, "{nodes:?}");
        if nodes.len() == count && nodes.iter().all(|one| one["delivery"] != "QUEUED") {
            let text = |one: &Value, name: &str| one[name].as_str().expect("text").to_owned();
            return nodes
                .iter()
                .map(|one| (text(one, "title"), text(one, "delivery")))
                .collect();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("there never were {count} that are settled");
}

async fn reason(app: &TestApp, client: &Client) -> Option<String> {
    let all = outbox_message::Entity::find()
        .all(app.db.read())
        .await
        .expect("the messages");
    let mine = all
        .iter()
        .find(|one| one.user_id.to_string() == client.user_id);
    mine.expect("a message").reason.clone()
}

/// What WeChat answers, what becomes of the message, its calls, the reason that is kept, and the credit that is left of two.
type Case<'c> = (&'c [&'c str], &'c str, u64, Option<&'c str>, i64);

on_each_database! {
    async fn a_consent_is_good_for_one_message(app) {
        let app = start(app.engine).await;
        let (lin, mei) = (app.user("lin").await, app.user("mei").await);
        assert_eq!(credits(&lin).await, json!([{"templateId": TEMPLATE, "remaining": 0}]));
        agree(&app, &lin, "lin").await;
        assert_eq!((remaining(&lin).await, remaining(&mei).await), (1, 0));
        let title = format!("买牛奶 🥛 two bottles{}", "长".repeat(30));
        let first = json!({"title": title, "notes": "一\n二\t三", "priority": "HIGH", "remindAt": "2026-01-02T16:05:59Z", "dueAt": "2026-12-31T15:59:00Z"});
        let task = create(&lin, first).await;
        assert_eq!(deliveries(&lin, 1).await, [(title.clone(), "SENT".to_owned())].into());
        let sent = app.wechat.sent();
        assert_eq!((sent.len(), &sent[0].openid, &*sent[0].template_id), (1, &app.wechat.openid("lin"), TEMPLATE));
        assert_eq!(sent[0].body, json!({
            "touser": app.wechat.openid("lin"),
            "template_id": TEMPLATE,
            "page": format!("pages/task/task?id={}", task["id"].as_str().expect("an id")),
            "miniprogram_state": "formal",
            "lang": "zh_CN",
            "data": {
                "thing1": {"value": title.chars().take(20).collect::<String>()},
                "time2": {"value": "2026年1月3日 00:05"},
                "phrase3": {"value": "待办"},
                "thing4": {"value": "一 二 三"},
                "date5": {"value": "2026年12月31日 23:59"},
                "phrase6": {"value": "高"},
                "character_string7": {"value": "two bottles"},
            },
        }));
        assert_eq!(remaining(&lin).await, 0);
        // Without a consent there is the inbox; an empty field is not sent empty.
        create(&lin, json!({"title": "no consent", "remindAt": after(&app, -1)})).await;
        create(&mei, json!({"title": "never agreed", "remindAt": after(&app, -1)})).await;
        assert_eq!(deliveries(&lin, 2).await["no consent"], "INBOX_ONLY");
        assert_eq!(deliveries(&mei, 1).await["never agreed"], "INBOX_ONLY");
        agree(&app, &lin, "lin").await;
        create(&lin, json!({"title": "牛奶", "remindAt": after(&app, -1)})).await;
        assert_eq!(deliveries(&lin, 3).await["牛奶"], "SENT");
        let data = &app.wechat.sent()[1].body["data"];
        assert_eq!((&data["thing4"]["value"], &data["character_string7"]["value"], &data["phrase6"]["value"]), (&json!("-"), &json!("-"), &json!("普通")));
        // Nobody sees another's.
        let admin = app.admin("boss").await;
        let seen = admin.run("query($id: ID!) { user(id: $id) { subscribeCredits { remaining } } }", json!({"id": lin.user_id})).await;
        assert_eq!(seen.data()["user"]["subscribeCredits"], json!([]));
        assert_eq!(app.wechat.send_calls(), 2);
        // Old notifications are forgotten, and what was sent with them.
        app.notifications.clean_up().await.expect("old rows go");
        assert_eq!(deliveries(&lin, 3).await.len(), 3);
        let token = app.user("lin").await;
        app.advance(TimeDelta::days(181));
        app.notifications.clean_up().await.expect("old rows go");
        assert!(outbox_message::Entity::find().all(app.db.read()).await.expect("the messages").is_empty());
        drop(token);
        app.stop().await;
    }

    async fn an_answer_counts_once(app) {
        let app = start(app.engine).await;
        let (lin, mei) = (app.user("lin").await, app.user("mei").await);
        let accepted = json!([{"templateId": TEMPLATE, "accepted": true}]);
        let id = json!(Uuid::now_v7());
        let replies = join_all((0..20).map(|_| record(&lin, id.clone(), accepted.clone()))).await;
        for reply in replies {
            assert_eq!(reply.data()["recordSubscribeConsent"]["credits"], json!([{"templateId": TEMPLATE, "remaining": 1}]));
        }
        assert_eq!(record(&lin, id.clone(), json!([{"templateId": TEMPLATE, "accepted": false}])).await.code(), "CONFLICT");
        // Another person's answer is another answer.
        assert_eq!(record(&mei, id, accepted.clone()).await.data()["recordSubscribeConsent"]["credits"][0]["remaining"], 1);
        record(&lin, json!(Uuid::now_v7()), json!([{"templateId": TEMPLATE, "accepted": false}])).await.data();
        assert_eq!(remaining(&lin).await, 1);
        record(&lin, json!(Uuid::now_v7()), accepted.clone()).await.data();
        assert_eq!(remaining(&lin).await, 2);
        let unknown = json!([{"templateId": TEMPLATE, "accepted": true}, {"templateId": "other", "accepted": true}, {"templateId": TEMPLATE, "accepted": false}]);
        for (id, answers, faults) in [
            (json!("1"), accepted.clone(), vec!["input.id MALFORMED"]),
            (json!(Uuid::now_v7()), json!([]), vec!["input.answers REQUIRED"]),
            (json!(Uuid::now_v7()), unknown, vec!["input.answers.1.templateId UNKNOWN", "input.answers.2.templateId DUPLICATE"]),
            (json!(Uuid::now_v7()), Value::Array(vec![accepted[0].clone(); 6]), vec![
                "input.answers TOO_LONG", "input.answers.1.templateId DUPLICATE", "input.answers.2.templateId DUPLICATE",
                "input.answers.3.templateId DUPLICATE", "input.answers.4.templateId DUPLICATE"]),
        ] {
            let reply = record(&lin, id, answers).await;
            assert_eq!((reply.code(), reply.faults()), ("BAD_USER_INPUT", faults.iter().map(|one| (*one).to_owned()).collect()));
        }
        assert_eq!(remaining(&lin).await, 2);
        // A server without a template has nothing to agree to.
        let bare = TestApp::start_with(app.engine, &[("WECHAT__REMINDER_TEMPLATE_ID", "")]).await;
        let tom = bare.user("tom").await;
        assert_eq!(credits(&tom).await, json!([]));
        assert_eq!(record(&tom, json!(Uuid::now_v7()), accepted).await.faults(), ["input.answers.0.templateId UNKNOWN"]);
        bare.stop().await;
        app.stop().await;
    }

    async fn every_errcode_is_handled_as_it_must_be(app) {
        let app = start(app.engine).await;
        let cases: &[Case] = &[
            (&["43101"], "FAILED", 1, Some("43101"), 0),
            (&["45009"], "FAILED", 1, Some("45009"), 2),
            (&["45011"], "FAILED", 1, Some("45011"), 2),
            (&["40003"], "FAILED", 1, Some("40003"), 2),
            (&["40037"], "FAILED", 1, Some("40037"), 2),
            (&["41030"], "FAILED", 1, Some("41030"), 2),
            (&["40165"], "FAILED", 1, Some("40165"), 2),
            (&["43107"], "FAILED", 1, Some("43107"), 2),
            (&["45168"], "FAILED", 1, Some("45168"), 2),
            (&["47003"], "FAILED", 1, Some("47003"), 2),
            (&["48001"], "FAILED", 1, Some("48001"), 2),
            (&["99999"], "FAILED", 1, Some("99999"), 2),
            (&["40001"], "SENT", 2, None, 1),
            (&["40014"], "SENT", 2, None, 1),
            (&["42001"], "SENT", 2, None, 1),
            (&["40001", "40001"], "FAILED", 2, Some("40001"), 2),
            (&["-1"], "SENT", 2, None, 1),
            (&["43108", "-1", "-1"], "SENT", 4, None, 1),
            (&["-1", "-1", "-1", "-1", "-1"], "FAILED", 5, Some("-1"), 2),
            (&["timeout"], "FAILED", 1, Some("UNKNOWN"), 1),
            (&["close"], "FAILED", 1, Some("UNKNOWN"), 1),
            (&["500"], "FAILED", 1, Some("UNKNOWN"), 1),
            (&["html"], "FAILED", 1, Some("UNKNOWN"), 1),
            (&["empty"], "FAILED", 1, Some("UNKNOWN"), 1),
            (&["lost"], "FAILED", 1, Some("UNKNOWN"), 1),
        ];
        let mut clients = Vec::new();
        for (number, (faults, ..)) in cases.iter().enumerate() {
            let person = format!("person{number}");
            let client = app.user(&person).await;
            for _ in 0..2 {
                agree(&app, &client, &person).await;
            }
            app.wechat.fail_sends(APP_ID, &person, faults);
            create(&client, json!({"title": "once", "remindAt": after(&app, 60)})).await;
            clients.push((person, client));
        }
        app.advance(TimeDelta::seconds(61));
        // Waits of the retries pass.
        for _ in 0..12 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            app.advance(TimeDelta::seconds(20));
        }
        for ((faults, delivery, calls, why, left), (person, client)) in cases.iter().zip(&clients) {
            assert_eq!(deliveries(client, 1).await["once"], *delivery, "{faults:?}");
            assert_eq!(reason(&app, client).await.as_deref(), *why, "{faults:?}");
            assert_eq!(remaining(client).await, *left, "{faults:?}");
            assert_eq!(app.wechat.send_calls_to(APP_ID, person), *calls, "{faults:?}");
            let sent = app.wechat.sent().iter().filter(|one| one.openid == app.wechat.openid(person)).count();
            assert_eq!(sent, usize::from(*delivery == "SENT" || *faults == ["lost"]), "{faults:?}");
        }
        let calls = app.wechat.send_calls();
        app.advance(TimeDelta::days(1));
        a_while().await;
        assert_eq!(app.wechat.send_calls(), calls, "nothing is tried again later");
        app.stop().await;
    }

    async fn what_is_queued_behind_a_refusal_is_not_sent(app) {
        let app = start(app.engine).await;
        let (lin, mei) = (app.user("lin").await, app.user("mei").await);
        for _ in 0..4 {
            agree(&app, &lin, "lin").await;
            agree(&app, &mei, "mei").await;
        }
        app.wechat.fail_sends(APP_ID, "lin", &["-1", "43101"]);
        let at = after(&app, 60);
        for client in [&lin, &mei] {
            join_all((0..3).map(|n| create(client, json!({"title": n.to_string(), "remindAt": at})))).await;
        }
        app.advance(TimeDelta::seconds(61));
        // Hers do not wait for those of somebody whose have to be tried again.
        assert!(deliveries(&mei, 3).await.values().all(|one| one == "SENT"));
        for _ in 0..3 {
            a_while().await;
            app.advance(TimeDelta::seconds(5));
        }
        // One was on its way while the first waited to be tried again.
        let states = deliveries(&lin, 3).await;
        let count = |state: &str| states.values().filter(|one| *one == state).count();
        assert!(count("FAILED") >= 1 && count("QUEUED") == 0, "{states:?}");
        assert_eq!(app.wechat.send_calls_to(APP_ID, "lin"), 1 + 1 + count("SENT") as u64, "{states:?}");
        assert_eq!(remaining(&lin).await, 0);
        app.stop().await;
    }

    async fn what_could_not_be_sent_in_time_or_to_whom_is_not_sent(app) {
        let app = start(app.engine).await;
        let (lin, mei) = (app.user("lin").await, app.user("mei").await);
        for (person, client) in [("lin", &lin), ("mei", &mei)] {
            agree(&app, client, person).await;
            app.wechat.fail_sends(APP_ID, person, &["-1", "-1", "-1"]);
            create(client, json!({"title": "once", "remindAt": after(&app, 60)})).await;
        }
        app.advance(TimeDelta::seconds(61));
        while app.wechat.send_calls_to(APP_ID, "lin") == 0 || app.wechat.send_calls_to(APP_ID, "mei") == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        app.change_user(&mei.user_id, |user| user.is_disabled = sea_orm::ActiveValue::Set(true)).await;
        // Both are to be tried again.
        for _ in 0..4 {
            app.advance(TimeDelta::seconds(20));
            a_while().await;
        }
        assert_eq!(deliveries(&lin, 1).await["once"], "SENT");
        assert_eq!(reason(&app, &mei).await.as_deref(), Some("NO_ACCOUNT"));
        agree(&app, &lin, "lin").await;
        app.wechat.fail_sends(APP_ID, "lin", &["-1", "-1", "-1"]);
        let before = app.wechat.send_calls_to(APP_ID, "lin");
        create(&lin, json!({"title": "late", "remindAt": after(&app, -1)})).await;
        while app.wechat.send_calls_to(APP_ID, "lin") == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        app.advance(TimeDelta::hours(25));
        assert_eq!(deliveries(&app.user("lin").await, 2).await["late"], "FAILED");
        assert_eq!(app.wechat.sent().len(), 1);
        assert_eq!(remaining(&app.user("lin").await).await, 1);
        app.stop().await;
    }

    async fn a_clock_that_is_put_back_holds_nothing_up(app) {
        let app = start(app.engine).await;
        let lin = app.user("lin").await;
        for _ in 0..2 {
            agree(&app, &lin, "lin").await;
        }
        app.wechat.fail_sends(APP_ID, "lin", &["-1"]);
        create(&lin, json!({"title": "once", "remindAt": after(&app, -1)})).await;
        while app.wechat.send_calls() < 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Long enough to be written down, not for the next try.
        tokio::time::sleep(Duration::from_millis(400)).await;
        app.advance(TimeDelta::days(-2));
        assert_eq!(deliveries(&app.user("lin").await, 1).await["once"], "SENT");
        app.stop().await;
    }

    async fn several_servers_send_each_message_once_and_a_person_one_at_a_time(app) {
        let app = start(app.engine).await;
        let siblings = [app.sibling().await, app.sibling().await];
        app.wechat.delay_sends(Duration::from_millis(30));
        let people = ["lin", "mei", "tom"];
        let mut clients = Vec::new();
        for person in people {
            let client = app.user(person).await;
            for _ in 0..8 {
                agree(&app, &client, person).await;
            }
            let at = after(&app, 60);
            join_all((0..10).map(|n| create(&client, json!({"title": n.to_string(), "remindAt": at})))).await;
            clients.push(client);
        }
        app.advance(TimeDelta::seconds(61));
        for (person, client) in people.iter().zip(&clients) {
            let states = deliveries(client, 10).await;
            assert_eq!(states.values().filter(|state| *state == "SENT").count(), 8, "{states:?}");
            assert_eq!(states.values().filter(|state| *state == "INBOX_ONLY").count(), 2, "{states:?}");
            let mut sent: Vec<_> = app.wechat.sent().into_iter().filter(|one| one.openid == app.wechat.openid(person)).map(|one| one.body["data"]["thing1"].to_string()).collect();
            sent.sort();
            sent.dedup();
            assert_eq!(sent.len(), 8);
            assert_eq!(app.wechat.send_calls_to(APP_ID, person), 8, "none was refused for another one under way");
            assert_eq!(remaining(client).await, 0);
        }
        for sibling in siblings {
            sibling.stop().await;
        }
        app.stop().await;
    }

    async fn goes_to_the_mini_program_that_the_person_agreed_in(app) {
        let settings = [
            ("WECHAT__APP__0__ID", OTHER_APP_ID),
            ("WECHAT__APP__0__SECRET", OTHER_APP_SECRET),
            ("WECHAT__APP__0__REMINDER_TEMPLATE_ID", "other-template"),
            ("WECHAT__APP__0__REMINDER_FIELDS", "thing9=title"),
        ];
        let app = TestApp::start_with(app.engine, &settings).await;
        app.wechat.add_template(OTHER_APP_ID, "other-template", &["thing9"]);
        let code = app.wechat.issue_code_of(OTHER_APP_ID, "lin");
        let login = "mutation($c: String!, $a: String!) { login(input: {wechat: {code: $c, appId: $a}}) { accessToken refreshToken user { id } } }";
        let reply = app.anonymous().run(login, json!({"c": code, "a": OTHER_APP_ID})).await;
        let lin = app.anonymous().signed_in(&reply.data()["login"]);
        app.wechat.agree(OTHER_APP_ID, "lin", "other-template");
        // A consent for an app in which nobody knows them is of no use.
        let answers = json!([{"templateId": TEMPLATE, "accepted": true}, {"templateId": "other-template", "accepted": true}]);
        record(&lin, json!(Uuid::now_v7()), answers).await.data();
        create(&lin, json!({"title": "here", "remindAt": after(&app, -1)})).await;
        assert_eq!(deliveries(&lin, 1).await["here"], "SENT");
        assert_eq!(app.wechat.sent()[0].body["data"], json!({"thing9": {"value": "here"}}));
        assert_eq!(app.wechat.sent()[0].body.get("page"), None);
        assert_eq!(credits(&lin).await, json!([{"templateId": TEMPLATE, "remaining": 1}, {"templateId": "other-template", "remaining": 0}]));
        let shown = lin.ask("{ viewer { subscribeCredits { appId templateId } } }").await;
        assert_eq!(shown.data()["viewer"]["subscribeCredits"][1], json!({"appId": OTHER_APP_ID, "templateId": "other-template"}));
        // Templates of mini-programs in which they were never seen are of no use to people.
        let code = app.wechat.issue_code_of(OTHER_APP_ID, "mei");
        let reply = app.anonymous().run(login, json!({"c": code, "a": OTHER_APP_ID})).await;
        let mei = app.anonymous().signed_in(&reply.data()["login"]);
        assert_eq!(credits(&mei).await, json!([{"templateId": "other-template", "remaining": 0}]));
        assert_eq!(credits(&app.registered("tom").await).await.as_array().expect("a list").len(), 2);
        // Who is blocked here is not written to.
        record(&lin, json!(Uuid::now_v7()), json!([{"templateId": "other-template", "accepted": true}])).await.data();
        create(&lin, json!({"title": "blocked", "remindAt": after(&app, 60)})).await;
        app.change_user(&lin.user_id, |user| user.is_disabled = sea_orm::ActiveValue::Set(true)).await;
        app.advance(TimeDelta::seconds(61));
        a_while().await;
        assert_eq!(app.wechat.send_calls(), 1);
        app.stop().await;
    }
}
