use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use sea_orm::EntityTrait;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;
use wegraph::entity::reminder;
use wegraph::platform::db::Database;

use crate::harness::{Client, SECRET, Server, TestDatabase, on_each_database};

const SUBMISSIONS: u32 = 1000;
/// The server is killed when so many have been answered.
const KILL_AT: u32 = 300;

/// Submits score `number`; its id if the server said that it is stored.
async fn submit(client: &Client, number: u32) -> Option<String> {
    let body = json!({
        "query": "mutation($input: SubmitScoreInput!) { submitScore(input: $input) { score { id } } }",
        "variables": {"input": {"accountNumber": format!("{number:05}"), "grades": [
            {"criterion": "grade1", "grade": 1 + number % 5, "comment": "很好"},
            {"criterion": "grade2", "grade": 2},
            {"criterion": "grade3", "grade": 3},
        ]}},
    });
    let response = client.post("/graphql").json(&body).send().await.ok()?;
    let reply: Value = response.json().await.ok()?;
    reply["data"]["submitScore"]["score"]["id"]
        .as_str()
        .map(str::to_owned)
}

/// Account number and number of grades of every stored score, by id.
async fn stored(client: &Client) -> HashMap<String, (String, usize)> {
    let mut all = HashMap::new();
    let mut after = Value::Null;
    loop {
        let reply = client
            .run(
                "query($after: String) { scores(first: 100, after: $after) {
                    nodes { id accountNumber grades { grade } } pageInfo { hasNextPage endCursor } } }",
                json!({"after": after}),
            )
            .await;
        let scores = &reply.data()["scores"];
        for node in scores["nodes"].as_array().expect("a list") {
            let text = |name: &str| node[name].as_str().expect("text").to_owned();
            let grades = node["grades"].as_array().expect("grades").len();
            assert!(
                all.insert(text("id"), (text("accountNumber"), grades))
                    .is_none()
            );
        }
        if scores["pageInfo"]["hasNextPage"] == false {
            return all;
        }
        after = scores["pageInfo"]["endCursor"].clone();
    }
}

on_each_database! {
    /// kill -9 in the middle of a burst: whatever was answered is there, none of it twice or in part.
    async fn nothing_acknowledged_is_lost_when_the_process_is_killed(app) {
        let database = TestDatabase::migrated(app.engine).await;
        let folder = TempDir::new().expect("a folder");
        let url = database.config.url.expose_secret().to_owned();
        let environment = [("WEGRAPH_AUTH__SECRET", SECRET), ("WEGRAPH_DATABASE__URL", url.as_str()), ("WEGRAPH_RATE_LIMIT__ENABLED", "false")];
        let server = Server::serve(folder.path(), &environment).await;
        let reply = server.client().ask("mutation { register(input: {username: \"lin\", password: \"Tr4verse-it\"}) { accessToken } }").await;
        let token = reply.data()["register"]["accessToken"].as_str().expect("a token").to_owned();
        let client = server.client().with_token(&token);
        let (next, answered) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let acknowledged = Arc::new(Mutex::new(HashMap::new()));
        let workers: Vec<_> = (0..16).map(|_| {
            let (client, next, answered, acknowledged) = (client.clone(), next.clone(), answered.clone(), acknowledged.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= SUBMISSIONS {
                        return;
                    }
                    let Some(id) = submit(&client, number).await else { return };
                    acknowledged.lock().expect("a lock").insert(id, format!("{number:05}"));
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        }).collect();
        while answered.load(Ordering::SeqCst) < KILL_AT {
            tokio::task::yield_now().await;
        }
        server.kill().await;
        futures_util::future::join_all(workers).await;
        let acknowledged = acknowledged.lock().expect("a lock").clone();
        assert!((KILL_AT as usize..SUBMISSIONS as usize).contains(&acknowledged.len()), "killed in the middle: {}", acknowledged.len());

        let server = Server::serve(folder.path(), &environment).await;
        let stored = stored(&server.client().with_token(&token)).await;
        for (id, account) in &acknowledged {
            assert_eq!(stored.get(id), Some(&(account.clone(), 3)));
        }
        let mut accounts: Vec<_> = stored.values().map(|(account, _)| account).collect();
        accounts.sort();
        accounts.dedup();
        assert_eq!(accounts.len(), stored.len(), "no submission is there twice");
        assert!(stored.values().all(|(_, grades)| *grades == 3), "no score without its grades");
        server.terminate().await;
        database.drop().await;
    }

    /// kill -9 in the middle of a burst of tasks: what was answered is there, and repeating the rest completes it.
    async fn tasks_survive_when_the_process_is_killed_and_retries_complete_them(app) {
        let database = TestDatabase::migrated(app.engine).await;
        let folder = TempDir::new().expect("a folder");
        let url = database.config.url.expose_secret().to_owned();
        let environment = [("WEGRAPH_AUTH__SECRET", SECRET), ("WEGRAPH_DATABASE__URL", url.as_str()), ("WEGRAPH_RATE_LIMIT__ENABLED", "false")];
        let mut server = Server::serve(folder.path(), &environment).await;
        let register = "mutation { register(input: {username: \"lin\", password: \"Tr4verse-it\"}) { accessToken refreshToken user { id } } }";
        let mut client = server.client().signed_in(&server.client().ask(register).await.data()["register"]);
        let ids: Vec<Uuid> = (0..400).map(|_| Uuid::now_v7()).collect();
        let mut versions: HashMap<Uuid, i64> = HashMap::new();
        for kill_at in [120, 240] {
            let (next, answered) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
            let workers: Vec<_> = (0..8).map(|_| {
                let (client, next, answered, ids, known) = (client.clone(), next.clone(), answered.clone(), ids.clone(), versions.clone());
                tokio::spawn(async move {
                    let mut seen = HashMap::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::SeqCst) as usize;
                        let Some(id) = ids.get(number) else { return seen };
                        // The same creation as before when no answer came, then a change.
                        let Some(version) = write_task(&client, "createTask", json!({"id": id, "title": number.to_string(), "remindAt": "2100-01-01T00:00:00Z"})).await else { return seen };
                        assert!(version >= known.get(id).copied().unwrap_or(1));
                        seen.insert(*id, version);
                        let Some(version) = write_task(&client, "updateTask", json!({"id": id, "version": version, "notes": format!("after {version}")})).await else { return seen };
                        seen.insert(*id, version);
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                })
            }).collect();
            while answered.load(Ordering::SeqCst) < kill_at {
                tokio::task::yield_now().await;
            }
            server.kill().await;
            for worker in workers {
                for (id, version) in worker.await.expect("the worker ends") {
                    let known = versions.entry(id).or_default();
                    *known = version.max(*known);
                }
            }
            assert!(versions.len() < ids.len(), "killed in the middle");
            server = Server::serve(folder.path(), &environment).await;
            client = client.at(&server);
        }
        let mut stored: HashMap<Uuid, i64> = HashMap::new();
        let mut since = Value::Null;
        loop {
            let feed = "query($s: String) { taskChanges(since: $s, first: 100) { hasMore syncToken changes { kind task { id version notes } } } }";
            let reply = client.run(feed, json!({"s": since})).await;
            let feed = &reply.data()["taskChanges"];
            for change in feed["changes"].as_array().expect("a list") {
                let (task, version) = (&change["task"], change["task"]["version"].as_i64().expect("a number"));
                let id = task["id"].as_str().expect("an id").parse().expect("a UUID");
                assert!(stored.insert(id, version).is_none(), "{id} is told twice");
                assert_eq!(task["notes"].is_null(), version == 1);
            }
            since = feed["syncToken"].clone();
            if feed["hasMore"] == false {
                break;
            }
        }
        for (id, version) in &versions {
            assert!(stored.get(id).is_some_and(|stored| stored >= version), "{id} {version}");
        }
        server.terminate().await;
        let db = Database::connect(&database.config).await.expect("a database");
        let reminders = reminder::Entity::find().all(db.read()).await.expect("the reminders");
        assert_eq!(reminders.len(), stored.len(), "no task without its reminder");
        db.close().await.expect("it closes");
        database.drop().await;
    }
}

/// Writes a task; its version if the server said that it is stored.
async fn write_task(client: &Client, field: &str, input: Value) -> Option<i64> {
    let type_name = match field {
        "createTask" => "CreateTaskInput",
        _ => "UpdateTaskInput",
    };
    let query =
        format!("mutation($i: {type_name}!) {{ {field}(input: $i) {{ task {{ version }} }} }}");
    let body = json!({"query": query, "variables": {"i": input}});
    let response = client.post("/graphql").json(&body).send().await.ok()?;
    let reply: Value = response.json().await.ok()?;
    reply["data"][field]["task"]["version"].as_i64()
}
