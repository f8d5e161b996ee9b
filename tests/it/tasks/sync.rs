use std::collections::BTreeMap;

use chrono::TimeDelta;
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};
use uuid::Uuid;
use wegraph::entity::task_tombstone;
use wegraph::notifications::Notifier;
use wegraph::tasks::TaskService;

use super::{create, try_create, update};
use crate::harness::{Client, Reply, on_each_database};
use crate::http::socket::Socket;

const FIELDS: &str =
    "id title notes status priority tags dueAt remindAt completedAt version createdAt updatedAt";

async fn ask(client: &Client, since: Option<&str>, first: i64) -> Reply {
    let query = format!(
        "query($since: String, $first: Int) {{ taskChanges(since: $since, first: $first) {{
            syncToken hasMore isFullResync changes {{ kind taskId task {{ {FIELDS} }} }} }} }}"
    );
    client
        .run(&query, json!({"since": since, "first": first}))
        .await
}

async fn feed(client: &Client, since: Option<&str>, first: i64) -> Value {
    ask(client, since, first).await.data()["taskChanges"].clone()
}

fn token(feed: &Value) -> &str {
    feed["syncToken"].as_str().expect("a token")
}

/// Kind and title of each change; the title of what is gone is null.
fn kinds(feed: &Value) -> Vec<(&str, &Value)> {
    let changes = feed["changes"].as_array().expect("a list").iter();
    changes
        .map(|change| {
            (
                change["kind"].as_str().expect("a kind"),
                &change["task"]["title"],
            )
        })
        .collect()
}

async fn delete(client: &Client, id: &Value) -> Reply {
    client
        .run(
            "mutation($id: ID!) { deleteTask(input: {id: $id}) { deletedTaskId } }",
            json!({"id": id}),
        )
        .await
}

async fn delete_completed(client: &Client) -> Value {
    let reply = client
        .ask("mutation { deleteCompletedTasks { deletedTaskIds hasMore } }")
        .await;
    reply.data()["deleteCompletedTasks"].clone()
}

/// A phone with a copy of the tasks.
#[derive(Default)]
struct Phone {
    tasks: BTreeMap<String, Value>,
    token: Option<String>,
}

impl Phone {
    /// Reads one page; a page that is lost leaves the phone as it was. Whether there is more.
    async fn read(&mut self, client: &Client, first: i64, is_lost: bool) -> bool {
        let feed = feed(client, self.token.as_deref(), first).await;
        if is_lost {
            return true;
        }
        if feed["isFullResync"] == true {
            self.tasks.clear();
        }
        for change in feed["changes"].as_array().expect("a list") {
            let id = change["taskId"].as_str().expect("an id").to_owned();
            match change["kind"].as_str() {
                Some("DELETED") => drop(self.tasks.remove(&id)),
                Some("CREATED") => assert!(
                    self.tasks
                        .insert(id, change["task"].clone())
                        .is_none_or(|old| old["id"] == change["taskId"])
                ),
                _ => assert!(
                    self.tasks.insert(id, change["task"].clone()).is_some(),
                    "UPDATED is for what the device knows"
                ),
            }
        }
        self.token = Some(token(&feed).to_owned());
        feed["hasMore"] == true
    }
}

/// Every task of the server, by its lists.
async fn all(client: &Client) -> BTreeMap<String, Value> {
    let query = format!("{{ tasks(first: 100) {{ totalCount nodes {{ {FIELDS} }} }} }}");
    let reply = client.ask(&query).await;
    let tasks = reply.data()["tasks"]["nodes"]
        .as_array()
        .expect("a list")
        .clone();
    assert_eq!(reply.data()["tasks"]["totalCount"], tasks.len());
    tasks
        .into_iter()
        .map(|task| (task["id"].as_str().expect("an id").to_owned(), task))
        .collect()
}

on_each_database! {
    async fn tells_each_task_once_as_it_is_now(app) {
        let lin = app.user("lin").await;
        let empty = feed(&lin, None, 20).await;
        assert_eq!((kinds(&empty), &empty["hasMore"], &empty["isFullResync"]), (vec![], &json!(false), &json!(false)));
        let a = create(&lin, json!({"title": "a"})).await;
        let b = create(&lin, json!({"title": "b"})).await;
        let c = create(&lin, json!({"title": "c"})).await;
        update(&lin, json!({"id": a["id"], "title": "A"})).await;
        let first = feed(&lin, Some(token(&empty)), 20).await;
        assert_eq!(kinds(&first), [("CREATED", &json!("b")), ("CREATED", &json!("c")), ("CREATED", &json!("A"))]);
        update(&lin, json!({"id": b["id"], "status": "DONE"})).await;
        delete(&lin, &c["id"]).await.data();
        let second = feed(&lin, Some(token(&first)), 20).await;
        assert_eq!(kinds(&second), [("UPDATED", &json!("b")), ("DELETED", &Value::Null)]);
        assert_eq!((&second["changes"][1]["taskId"], &second["changes"][1]["task"]), (&c["id"], &Value::Null));
        let nothing = feed(&lin, Some(token(&second)), 20).await;
        assert!(kinds(&nothing).is_empty() && nothing["hasMore"] == false);
        // The same token gives the same again, and none gives everything.
        assert_eq!(kinds(&feed(&lin, Some(token(&first)), 20).await), kinds(&second));
        assert_eq!(kinds(&feed(&lin, None, 20).await), [("CREATED", &json!("A")), ("CREATED", &json!("b")), ("DELETED", &Value::Null)]);
        // A change that changes nothing is none.
        update(&lin, json!({"id": b["id"], "status": "DONE"})).await;
        assert!(kinds(&feed(&lin, Some(token(&second)), 20).await).is_empty());
    }

    async fn pages_visit_every_change_of_one_call_too(app) {
        let lin = app.user("lin").await;
        let mut ids = Vec::new();
        for n in 0..7 {
            ids.push(create(&lin, json!({"title": n.to_string()})).await["id"].clone());
        }
        let begin = feed(&lin, None, 100).await;
        // Seven tasks of one change.
        lin.run("mutation($ids: [ID!]!) { completeTasks(input: {ids: $ids}) { tasks { id } } }", json!({"ids": ids})).await.data();
        for first in [1, 2, 3, 7, 8] {
            let (mut since, mut seen, mut has_more) = (token(&begin).to_owned(), Vec::new(), true);
            while has_more {
                let page = feed(&lin, Some(&since), first).await;
                seen.extend(page["changes"].as_array().expect("a list").iter().map(|change| change["taskId"].clone()));
                has_more = page["hasMore"] == true;
                since = token(&page).to_owned();
            }
            let mut sorted = seen.clone();
            sorted.sort_by_key(Value::to_string);
            sorted.dedup();
            assert_eq!((seen.len(), sorted.len()), (7, 7), "by {first}");
        }
        let none = feed(&lin, Some(token(&begin)), 0).await;
        assert!(kinds(&none).is_empty() && none["hasMore"] == true);
        assert_eq!(kinds(&feed(&lin, Some(token(&none)), 100).await).len(), 7);
        let before = app.db.statements();
        feed(&lin, None, 100).await;
        let many = app.db.statements() - before;
        feed(&lin, None, 1).await;
        assert_eq!(app.db.statements() - before - many, many, "a page costs the same, however long");
    }

    async fn begins_anew_when_a_token_is_too_old_or_anothers(app) {
        let lin = app.user("lin").await;
        let task = create(&lin, json!({"title": "a"})).await;
        let old = feed(&lin, None, 20).await;
        delete(&lin, &task["id"]).await.data();
        create(&lin, json!({"title": "b"})).await;
        app.advance(TimeDelta::days(29));
        let lin = app.user("lin").await;
        let still = feed(&lin, Some(token(&old)), 20).await;
        assert_eq!((kinds(&still), &still["isFullResync"]), (vec![("DELETED", &Value::Null), ("CREATED", &json!("b"))], &json!(false)));
        // A token of the middle is as old as where it began.
        let middle = feed(&lin, Some(token(&old)), 1).await;
        app.advance(TimeDelta::days(2));
        let lin = app.user("lin").await;
        for since in [token(&old), token(&middle)] {
            let anew = feed(&lin, Some(since), 20).await;
            assert_eq!((&anew["isFullResync"], kinds(&anew).last()), (&json!(true), Some(&("CREATED", &json!("b")))));
        }
        assert_eq!(feed(&lin, Some(token(&still)), 20).await["isFullResync"], false);
        let mei = app.user("mei").await;
        let others = feed(&mei, Some(token(&still)), 20).await;
        assert_eq!((&others["isFullResync"], kinds(&others)), (&json!(true), vec![]));
        for wrong in ["", "x", "eyJvIjoxfQ", &token(&still)[..20]] {
            let reply = ask(&lin, Some(wrong), 20).await;
            assert_eq!((reply.code(), reply.faults()), ("BAD_USER_INPUT", vec!["since MALFORMED".to_owned()]), "{wrong:?}");
        }
        assert_eq!(ask(&lin, None, 101).await.faults(), ["first OUT_OF_RANGE"]);
    }

    async fn what_is_deleted_leaves_its_id_taken_for_a_month(app) {
        let lin = app.user("lin").await;
        let id = Uuid::now_v7();
        let input = json!({"id": id, "title": "a"});
        create(&lin, input.clone()).await;
        delete(&lin, &json!(id)).await.data();
        // A creation that was repeated late does not bring it back.
        assert_eq!(try_create(&lin, input.clone()).await.code(), "CONFLICT");
        assert_eq!(delete(&lin, &json!(id)).await.code(), "NOT_FOUND");
        assert_eq!(lin.run("query($id: ID!) { node(id: $id) { id } }", json!({"id": id})).await.data()["node"], Value::Null);
        let tombstones = async || task_tombstone::Entity::find().count(app.db.read()).await.expect("a count");
        let tasks = TaskService::new(app.db.clone(), app.clock.clone(), Notifier::new(&app.config.wechat));
        app.advance(TimeDelta::days(30));
        tasks.clean_up().await.expect("old rows go");
        assert_eq!(tombstones().await, 1);
        app.advance(TimeDelta::days(2));
        tasks.clean_up().await.expect("old rows go");
        assert_eq!(tombstones().await, 0);
    }

    async fn done_tasks_are_deleted_a_hundred_at_a_time(app) {
        let (lin, mei) = (app.user("lin").await, app.user("mei").await);
        create(&mei, json!({"title": "hers", "status": "DONE"})).await;
        let open = create(&lin, json!({"title": "open"})).await;
        let mut done = Vec::new();
        for n in 0..103 {
            app.advance(TimeDelta::milliseconds(1));
            done.push(create(&lin, json!({"title": n.to_string(), "status": "DONE"})).await["id"].clone());
        }
        let since = feed(&lin, None, 1).await;
        let mut socket = Socket::init(app, json!({"authorization": format!("Bearer {}", lin.token())})).await;
        socket.subscribe("s", "subscription { taskChanged { kind taskId } }").await;
        socket.ask_last("{ __typename }").await;
        let before = app.db.statements();
        let first = delete_completed(&lin).await;
        let hundred = app.db.statements() - before;
        assert_eq!(first, json!({"deletedTaskIds": &done[..100], "hasMore": true}));
        assert_eq!(delete_completed(&lin).await, json!({"deletedTaskIds": &done[100..], "hasMore": false}));
        assert_eq!(app.db.statements() - before - hundred, hundred, "three cost as much as a hundred");
        assert_eq!(delete_completed(&lin).await, json!({"deletedTaskIds": [], "hasMore": false}));
        for id in &done {
            let event = socket.next().await.expect("an event");
            assert_eq!(event["payload"]["data"]["taskChanged"], json!({"kind": "DELETED", "taskId": id}));
        }
        let mut phone = Phone { token: Some(token(&since).to_owned()), ..Phone::default() };
        while phone.read(&lin, 100, false).await {}
        assert_eq!(phone.tasks.len(), usize::from(phone.tasks.contains_key(open["id"].as_str().expect("an id"))));
        assert_eq!(super::titles(&lin, json!({})).await, ["open"]);
        assert_eq!(super::titles(&mei, json!({})).await, ["hers"]);
    }

    async fn devices_hear_of_changes_in_the_order_of_their_commits(app) {
        let (lin, mei) = (app.user("lin").await, app.user("mei").await);
        let task = create(&lin, json!({"title": "0"})).await;
        let mut sockets = Vec::new();
        for client in [&lin, &lin, &mei] {
            let mut socket = Socket::init(app, json!({"authorization": format!("Bearer {}", client.token())})).await;
            socket.subscribe("s", "subscription { taskChanged { kind task { id version } } }").await;
            socket.ask_last("{ __typename }").await;
            sockets.push(socket);
        }
        let changes = (1..=40).map(|n| {
            let (lin, id) = (&lin, &task["id"]);
            async move {
                match n % 4 {
                    0 => drop(create(lin, json!({"title": n.to_string()})).await),
                    _ => drop(update(lin, json!({"id": id, "title": n.to_string()})).await),
                }
            }
        });
        join_all(changes).await;
        create(&mei, json!({"title": "hers"})).await;
        let mut heard = Vec::new();
        for socket in &mut sockets[..2] {
            let mut events = Vec::new();
            for _ in 0..40 {
                events.push(socket.next().await.expect("an event")["payload"]["data"]["taskChanged"].clone());
            }
            let versions: Vec<_> = events.iter().filter(|event| event["task"]["id"] == task["id"]).map(|event| event["task"]["version"].as_i64()).collect();
            assert_eq!(versions, (2..=31).map(Some).collect::<Vec<_>>());
            heard.push(events);
        }
        assert_eq!(heard[0], heard[1], "both devices hear the same");
        assert_eq!(sockets[2].next().await.expect("an event")["payload"]["data"]["taskChanged"]["kind"], "CREATED", "her own is the first that she hears");
        // The feed has the same order.
        let feed = feed(&lin, None, 100).await;
        let last = heard[0].iter().rev().find(|event| event["task"]["id"] != task["id"]).expect("a creation");
        let created: Vec<_> = feed["changes"].as_array().expect("a list").iter().filter(|change| change["taskId"] != task["id"]).collect();
        assert_eq!(created.last().expect("a creation")["taskId"], last["task"]["id"]);
    }

    async fn a_phone_that_reads_while_others_write_misses_nothing(app) {
        let lin = app.user("lin").await;
        let is_over = std::sync::atomic::AtomicBool::new(false);
        let writing = async {
            join_all((0..4).map(|writer| {
                let lin = &lin;
                async move {
                    for n in 0..12 {
                        let task = create(lin, json!({"title": format!("{writer} {n}")})).await;
                        update(lin, json!({"id": task["id"], "status": "DONE"})).await;
                        if n % 3 == 0 {
                            delete(lin, &task["id"]).await.data();
                        }
                    }
                }
            })).await;
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        };
        let mut phone = Phone::default();
        let reading = async {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                phone.read(&lin, 3, false).await;
            }
        };
        tokio::join!(writing, reading);
        while phone.read(&lin, 50, false).await {}
        assert_eq!(phone.tasks, all(&lin).await);
        assert_eq!(phone.tasks.len(), 32);
    }

    async fn two_phones_on_a_bad_network_end_equal(app) {
        let lin = app.user("lin").await;
        for seed in 0..3_u64 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut phones = [Phone::default(), Phone::default()];
            for _ in 0..60 {
                app.advance(TimeDelta::milliseconds(7));
                let phone = &mut phones[random.random_range(0..2)];
                let known: Vec<String> = phone.tasks.keys().cloned().collect();
                let some = (!known.is_empty()).then(|| known[random.random_range(0..known.len())].clone());
                // What the person does, while the phone may know little of what the other did. A request that gets no answer is
                // sent again.
                let repeats = if random.random_bool(0.3) { 2 } else { 1 };
                match (random.random_range(0..10), some) {
                    (0..=2, _) | (3..=6, None) => {
                        let input = json!({"id": Uuid::now_v7(), "title": format!("任务{}", random.random_range(0..1000)), "tags": ["a"]});
                        for _ in 0..repeats {
                            try_create(&lin, input.clone()).await.data();
                        }
                    }
                    (3..=4, Some(id)) => {
                        let version = phone.tasks[&id]["version"].clone();
                        let input = json!({"id": id, "version": version, "title": format!("t{}", random.random_range(0..1000)), "status": "IN_PROGRESS"});
                        for _ in 0..repeats {
                            let reply = super::try_update(&lin, input.clone()).await;
                            assert!(reply.body["errors"].is_null() || ["VERSION_CONFLICT", "NOT_FOUND"].contains(&reply.code()), "{reply:?}");
                        }
                    }
                    (5, Some(id)) => drop(super::try_update(&lin, json!({"id": id, "status": "DONE", "notes": null})).await),
                    (6, Some(id)) => {
                        for _ in 0..repeats {
                            delete(&lin, &json!(id)).await;
                        }
                    }
                    (7, _) if random.random_bool(0.3) => drop(delete_completed(&lin).await),
                    _ => {
                        let (first, is_lost) = (random.random_range(1..6), random.random_bool(0.3));
                        phone.read(&lin, first, is_lost).await;
                    }
                }
            }
            for phone in &mut phones {
                while phone.read(&lin, 5, random.random_bool(0.2)).await {}
            }
            let server = all(&lin).await;
            assert_eq!(phones[0].tasks, server, "seed {seed}");
            assert_eq!(phones[1].tasks, server, "seed {seed}");
        }
    }
}
