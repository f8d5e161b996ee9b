use chrono::TimeDelta;
use sea_orm::ActiveValue::Set;
use sea_orm::EntityTrait;
use serde_json::json;

use crate::harness::{
    APP_ID, Client, OTHER_APP_ID, OTHER_APP_SECRET, Reply, TestApp, on_each_database,
};

const LOGIN: &str = "mutation($code: String!) { login(input: {wechat: {code: $code}}) {
    accessToken refreshToken isNewUser user { id username hasPassword isWechatLinked } } }";

async fn login(client: &Client, code: &str) -> Reply {
    client.run(LOGIN, json!({"code": code})).await
}

async fn login_again(client: &Client, code: &str, key: &str) -> Reply {
    client
        .run_with(("Idempotency-Key", key), LOGIN, json!({"code": code}))
        .await
}

async fn count_sessions(app: &TestApp) -> usize {
    wegraph::entity::session::Entity::find()
        .all(app.db.read())
        .await
        .expect("rows")
        .len()
}

on_each_database! {
    async fn the_first_sign_in_makes_the_account(app) {
        let client = app.anonymous();
        let first = login(&client, &app.wechat.issue_code("mei")).await;
        let again = login(&client, &app.wechat.issue_code("mei")).await;
        let other = login(&client, &app.wechat.issue_code("lin")).await;
        let (first, again, other) = (&first.data()["login"], &again.data()["login"], &other.data()["login"]);
        assert_eq!((&first["isNewUser"], &again["isNewUser"]), (&json!(true), &json!(false)));
        assert_eq!(first["user"], again["user"]);
        assert_ne!(first["user"]["id"], other["user"]["id"]);
        assert_eq!(first["user"]["isWechatLinked"], true);
        assert_eq!((&first["user"]["username"], &first["user"]["hasPassword"]), (&json!(null), &json!(false)));
    }

    async fn one_person_signing_in_many_times_at_once_is_one_user(app) {
        let tries = (0..10).map(|_| {
            let (client, code) = (app.anonymous(), app.wechat.issue_code("mei"));
            tokio::spawn(async move { login(&client, &code).await.data()["login"].clone() })
        });
        let logins: Vec<_> = futures_util::future::join_all(tries).await.into_iter().map(|l| l.expect("an answer")).collect();
        assert!(logins.iter().all(|login| login["user"]["id"] == logins[0]["user"]["id"]));
        assert_eq!(logins.iter().filter(|login| login["isNewUser"] == true).count(), 1);
    }

    async fn each_refusal_of_wechat_has_its_code(app) {
        let client = app.anonymous();
        let used = app.wechat.issue_code("mei");
        login(&client, &used).await.data();
        let expired = app.wechat.issue_code("mei");
        app.advance(TimeDelta::minutes(5) + TimeDelta::seconds(1));
        let foreign = app.wechat.issue_code_of("wx0000000000000009", "mei");
        for (code, expected) in [
            (used.as_str(), "WECHAT_CODE_USED"),
            (&expired, "WECHAT_CODE_INVALID"),
            (&foreign, "WECHAT_CODE_INVALID"),
            ("never-issued", "WECHAT_CODE_INVALID"),
            ("sim-error-40226", "WECHAT_USER_BLOCKED"),
            ("sim-error-45009", "UPSTREAM_RATE_LIMITED"),
            ("sim-error-45011", "UPSTREAM_RATE_LIMITED"),
            ("sim-error-40013", "WECHAT_NOT_CONFIGURED"),
            ("sim-error-40125", "WECHAT_NOT_CONFIGURED"),
            ("sim-error-40164", "WECHAT_NOT_CONFIGURED"),
            ("sim-error-99999", "UPSTREAM_UNAVAILABLE"),
            ("sim-error-html", "UPSTREAM_UNAVAILABLE"),
            ("sim-error-empty", "UPSTREAM_UNAVAILABLE"),
            ("sim-error-500", "UPSTREAM_UNAVAILABLE"),
            ("sim-error-close", "UPSTREAM_UNAVAILABLE"),
            ("sim-error-timeout", "UPSTREAM_UNAVAILABLE"),
        ] {
            assert_eq!(login(&client, code).await.code(), expected, "{code}");
        }
        let limited = login(&client, "sim-error-45011").await;
        assert_eq!(limited.body["errors"][0]["extensions"]["retryAfterSeconds"], 60);
    }

    async fn busy_is_tried_twice_more_and_nothing_else_is(app) {
        let client = app.anonymous();
        login(&client, "sim-busy2-mei-1").await.data();
        assert_eq!(app.wechat.exchanges(), 3);
        assert_eq!(login(&client, "sim-busy3-mei-2").await.code(), "UPSTREAM_UNAVAILABLE");
        assert_eq!(app.wechat.exchanges(), 6);
        for code in ["sim-error-timeout", "sim-error-html", "sim-error-40029"] {
            let before = app.wechat.exchanges();
            login(&client, code).await.code();
            assert_eq!(app.wechat.exchanges(), before + 1, "{code} may have used the code up");
        }
    }

    async fn two_hundred_first_sign_ins_at_once_are_one_user(app) {
        let tries = (0..200).map(|_| {
            let (client, code) = (app.anonymous(), app.wechat.issue_code("mei"));
            tokio::spawn(async move { login(&client, &code).await.data()["login"]["user"]["id"].clone() })
        });
        let ids: Vec<_> = futures_util::future::join_all(tries).await.into_iter().map(|id| id.expect("an answer")).collect();
        assert!(ids.iter().all(|id| *id == ids[0]));
        let users = wegraph::entity::user::Entity::find().all(app.db.read()).await.expect("rows");
        assert_eq!((users.len(), count_sessions(app).await), (1, 200));
    }

    async fn a_lost_reply_is_given_again_to_who_has_the_key(app) {
        let (client, code) = (app.anonymous(), app.wechat.issue_code("mei"));
        let key = "9b2f8f0c-random";
        let first = login_again(&client, &code, key).await.data()["login"].clone();
        app.advance(TimeDelta::seconds(50));
        let second = login_again(&client, &code, key).await.data()["login"].clone();
        for field in ["refreshToken", "isNewUser", "user"] {
            assert_eq!(first[field], second[field], "{field}");
        }
        assert_eq!(count_sessions(app).await, 1);
        assert_eq!(app.wechat.exchanges(), 1);
        for other in ["another-key", ""] {
            assert_eq!(login_again(&client, &code, other).await.code(), "WECHAT_CODE_USED");
        }
        assert_eq!(login(&client, &code).await.code(), "WECHAT_CODE_USED");
        app.advance(TimeDelta::seconds(11));
        assert_eq!(login_again(&client, &code, key).await.code(), "WECHAT_CODE_USED", "a minute is over");
    }

    async fn a_key_names_one_request_only(app) {
        let client = app.anonymous();
        let (mei, lin) = (app.wechat.issue_code("mei"), app.wechat.issue_code("lin"));
        let first = login_again(&client, &mei, "key").await.data()["login"]["user"]["id"].clone();
        let second = login_again(&client, &lin, "key").await.data()["login"]["user"]["id"].clone();
        assert_ne!(first, second, "another code is another request");
    }

    async fn what_has_been_used_is_not_given_again(app) {
        let (client, code) = (app.anonymous(), app.wechat.issue_code("mei"));
        let first = login_again(&client, &code, "key").await.data()["login"].clone();
        let refresh = "mutation($t: String!) { refreshSession(input: {refreshToken: $t}) { refreshToken } }";
        client.run(refresh, json!({"t": first["refreshToken"]})).await.data();
        assert_eq!(login_again(&client, &code, "key").await.code(), "WECHAT_CODE_USED");
        let code = app.wechat.issue_code("mei");
        let second = login_again(&client, &code, "key").await.data()["login"]["accessToken"].clone();
        let signed_in = client.clone().with_token(second.as_str().expect("a token"));
        signed_in.ask("mutation { logout { endedSessions } }").await.data();
        assert_eq!(login_again(&client, &code, "key").await.code(), "WECHAT_CODE_USED");
    }

    async fn exchanges_of_one_code_at_once_are_one(app) {
        let (client, code) = (app.anonymous(), app.wechat.issue_code("mei"));
        let same = futures_util::future::join_all((0..10).map(|_| login_again(&client, &code, "key"))).await;
        let tokens: Vec<_> = same.iter().map(|reply| &reply.data()["login"]["refreshToken"]).collect();
        assert!(tokens.iter().all(|token| *token == tokens[0]));
        assert_eq!((app.wechat.exchanges(), count_sessions(app).await), (1, 1));
        let code = app.wechat.issue_code("mei");
        let different = futures_util::future::join_all((0..10).map(|_| login(&client, &code))).await;
        let (won, lost): (Vec<_>, Vec<_>) = different.iter().partition(|reply| reply.body.get("errors").is_none());
        assert_eq!(won.len(), 1, "without a key a code is good once");
        assert!(lost.iter().all(|reply| reply.code() == "WECHAT_CODE_USED"));
        assert_eq!(count_sessions(app).await, 2);
    }

    async fn goes_on_when_the_phone_hangs_up(app) {
        let client = app.anonymous();
        // Busy twice: the exchange takes at least 750 ms, and the phone waits no longer than 200.
        let code = "sim-busy2-mei-hangup";
        let body = json!({"query": LOGIN, "variables": {"code": code}});
        let request = client.post("/graphql").header("Idempotency-Key", "key").json(&body);
        let patience = std::time::Duration::from_millis(200);
        request.timeout(patience).send().await.expect_err("it hangs up");
        let again = login_again(&client, code, "key").await;
        assert_eq!(again.data()["login"]["isNewUser"], true);
        assert_eq!(count_sessions(app).await, 1);
    }

    async fn the_mini_program_is_named_or_told_by_the_referer(app) {
        let settings = [("WECHAT__APP__0__ID", OTHER_APP_ID), ("WECHAT__APP__0__SECRET", OTHER_APP_SECRET)];
        let app = TestApp::start_with(app.engine, &settings).await;
        let client = app.anonymous();
        let query = "mutation($code: String!, $app: String) { login(input: {wechat: {code: $code, appId: $app}}) { user { id } } }";
        let from = |id: &str| format!("https://servicewechat.com/{id}/devtools/page-frame.html");
        let unknown = "wx0000000000000009";
        for (code_of, named, referer, is_right) in [
            (APP_ID, None, None, true),
            (OTHER_APP_ID, None, None, false),
            (OTHER_APP_ID, None, Some(from(OTHER_APP_ID)), true),
            (OTHER_APP_ID, Some(OTHER_APP_ID), None, true),
            (OTHER_APP_ID, Some(OTHER_APP_ID), Some(from(APP_ID)), true),
            (APP_ID, None, Some(from(OTHER_APP_ID)), false),
            (APP_ID, None, Some(from(unknown)), true),
            (APP_ID, None, Some(format!("https://example.com/{OTHER_APP_ID}/1/page-frame.html")), true),
        ] {
            let code = app.wechat.issue_code_of(code_of, "mei");
            let referer = referer.unwrap_or_else(|| "https://example.com/".to_owned());
            let reply = client.run_with(("Referer", &referer), query, json!({"code": code, "app": named})).await;
            assert_eq!(reply.body.get("errors").is_none(), is_right, "{code_of} {named:?} {referer}: {}", reply.body);
        }
        let people = wegraph::entity::wechat_identity::Entity::find().all(app.db.read()).await.expect("rows");
        assert_eq!(people.len(), 2, "one person is another one in another mini-program");
        assert_ne!(people[0].user_id, people[1].user_id);
        app.stop().await;
    }

    async fn a_unionid_is_kept_and_links_nobody(app) {
        let unionids = async || {
            let rows = wegraph::entity::wechat_identity::Entity::find().all(app.db.read()).await.expect("rows");
            rows.into_iter().map(|row| row.unionid).collect::<Vec<_>>()
        };
        app.user("mei").await;
        assert_eq!(unionids().await, [None]);
        app.wechat.bind_to_open_platform();
        app.user("mei").await;
        assert!(unionids().await[0].is_some());
    }

    async fn while_wechat_is_down_sessions_live_and_sign_in_fails_fast(app) {
        let app = TestApp::start_with(app.engine, &[("WECHAT__TIMEOUT_MS", "1500")]).await;
        let mei = app.user("mei").await;
        for fault in ["timeout", "500", "html"] {
            app.wechat.fail(Some(fault));
            let began = std::time::Instant::now();
            let reply = login(&app.anonymous(), &app.wechat.issue_code("lin")).await;
            assert_eq!(reply.code(), "UPSTREAM_UNAVAILABLE", "{fault}");
            assert!(began.elapsed() < std::time::Duration::from_secs(3), "{fault}");
            mei.ask("{ viewer { id } }").await.data();
        }
        app.advance(TimeDelta::minutes(10));
        let refresh = "mutation($t: String!) { refreshSession(input: {refreshToken: $t}) { isNewUser } }";
        app.anonymous().run(refresh, json!({"t": mei.refresh_token})).await.data();
        app.wechat.fail(None);
        login(&app.anonymous(), &app.wechat.issue_code("lin")).await.data();
        app.stop().await;
    }

    async fn wechat_is_left_alone_while_it_fails_again_and_again(app) {
        app.wechat.fail(Some("500"));
        for _ in 0..25 {
            assert_eq!(login(&app.anonymous(), &app.wechat.issue_code("lin")).await.code(), "UPSTREAM_UNAVAILABLE");
        }
        assert_eq!(app.wechat.outages_met(), 20);
        app.wechat.fail(None);
        app.advance(TimeDelta::seconds(5));
        login(&app.anonymous(), &app.wechat.issue_code("lin")).await.data();
        // One answer is enough for the others to be let through.
        app.wechat.fail(Some("500"));
        login(&app.anonymous(), &app.wechat.issue_code("lin")).await;
        assert_eq!(app.wechat.outages_met(), 21);
    }

    async fn an_empty_code_or_another_app_never_reaches_wechat(app) {
        let client = app.anonymous();
        assert_eq!(login(&client, " ").await.faults(), ["input.wechat.code REQUIRED"]);
        let query = "mutation($app: String) { login(input: {wechat: {code: \"sim-mei-1\", appId: $app}}) { isNewUser } }";
        let other = client.run(query, json!({"app": "wx0000000000000009"})).await;
        assert_eq!(other.faults(), ["input.wechat.appId UNKNOWN"]);
        assert_eq!(app.wechat.exchanges(), 0);
        client.run(query, json!({"app": "wx1234567890abcdef"})).await.data();
    }

    async fn a_disabled_user_is_refused(app) {
        let mei = app.user("mei").await;
        app.change_user(&mei.user_id, |user| user.is_disabled = Set(true)).await;
        assert_eq!(login(&app.anonymous(), "sim-mei-again").await.code(), "ACCOUNT_DISABLED");
    }

    async fn what_wechat_says_of_a_person_is_in_no_reply(app) {
        let mei = app.user("mei").await;
        let (openid, key) = (app.wechat.openid("mei"), app.wechat.session_key("mei"));
        let seen = mei.ask("{ viewer { id username displayName avatarUrl email phoneNumber isWechatLinked } }").await.body.to_string();
        let login = login(&app.anonymous(), "sim-mei-more").await.body.to_string();
        for text in [seen, login, app.anonymous().get("/schema.graphql").send().await.expect("an answer").text().await.expect("a body")] {
            assert!(!text.contains(&openid) && !text.contains(&key) && !text.contains("openid"), "{text}");
        }
    }

    async fn without_app_id_sign_in_by_code_is_not_configured(app) {
        let other = TestApp::start_with(app.engine, &[("WECHAT__APP_ID", ""), ("WECHAT__APP_SECRET", ""), ("WECHAT__REMINDER_TEMPLATE_ID", "")]).await;
        assert_eq!(login(&other.anonymous(), "sim-mei-1").await.code(), "WECHAT_NOT_CONFIGURED");
        let named = other.anonymous().ask("mutation { login(input: {wechat: {code: \"x\", appId: \"wx1\"}}) { isNewUser } }").await;
        assert_eq!(named.code(), "WECHAT_NOT_CONFIGURED");
        other.stop().await;
    }
}
