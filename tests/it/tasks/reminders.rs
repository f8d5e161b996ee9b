use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, DbErr};
use serde_json::{Value, json};
use wegraph::platform::clock::Clock;
use wegraph::platform::db::WriteFuture;

use super::{create, update};
use crate::harness::{Client, TestApp, on_each_database};

/// A time from now, as clients write it.
pub(super) fn after(app: &TestApp, seconds: i64) -> String {
    (app.clock.now() + TimeDelta::seconds(seconds))
        .utc()
        .to_rfc3339()
}

/// The notifications and how many there are. The two are read one after the other: while some come in they may differ.
async fn inbox_and_count(client: &Client, arguments: &str) -> (Vec<Value>, Value) {
    let query = format!(
        "{{ viewer {{ notifications{arguments} {{ totalCount nodes {{ id kind title body delivery createdAt readAt task {{ id title }} }} }} }} }}"
    );
    let reply = client.ask(&query).await;
    let connection = &reply.data()["viewer"]["notifications"];
    let nodes = connection["nodes"].as_array().expect("a list").clone();
    (nodes, connection["totalCount"].clone())
}

async fn inbox(client: &Client, arguments: &str) -> Vec<Value> {
    let (inbox, count) = inbox_and_count(client, arguments).await;
    assert_eq!(count, inbox.len());
    inbox
}

fn titles(inbox: &[Value]) -> Vec<&str> {
    inbox
        .iter()
        .map(|one| one["title"].as_str().expect("a title"))
        .collect()
}

/// The inbox once it has so many, newest first.
async fn inbox_of(client: &Client, count: usize) -> Vec<Value> {
    for _ in 0..300 {
        let (inbox, total) = inbox_and_count(client, "(first: 100)").await;
        assert!(inbox.len() <= count, "{inbox:?}");
        if inbox.len() == count && total == count {
            return inbox;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the inbox never had {count}");
}

/// Long enough for every worker to have looked.
pub(super) async fn a_while() {
    tokio::time::sleep(Duration::from_millis(2500)).await;
}

async fn mark_read(client: &Client, ids: Value) -> Value {
    let input = if ids.is_null() {
        json!({})
    } else {
        json!({"ids": ids})
    };
    let query = "mutation($i: MarkNotificationsReadInput!) { markNotificationsRead(input: $i) { readCount } }";
    client.run(query, json!({"i": input})).await.data()["markNotificationsRead"]["readCount"]
        .clone()
}

on_each_database! {
    async fn tells_the_owner_once_when_the_time_has_come(app) {
        let (lin, mei) = (app.user("lin").await, app.user("mei").await);
        let task = create(&lin, json!({"title": "买牛奶 🥛", "notes": "两瓶\n" .to_owned() + &"x".repeat(300), "remindAt": after(app, 100)})).await;
        create(&lin, json!({"title": "later", "remindAt": after(app, 10_000)})).await;
        create(&lin, json!({"title": "never"})).await;
        a_while().await;
        assert!(inbox(&lin, "").await.is_empty());
        app.advance(TimeDelta::seconds(101));
        let inbox = inbox_of(&lin, 1).await;
        let one = &inbox[0];
        assert_eq!((&one["kind"], &one["title"], &one["delivery"], &one["readAt"]), (&json!("TASK_REMINDER"), &json!("买牛奶 🥛"), &json!("INBOX_ONLY"), &Value::Null));
        assert_eq!(one["body"].as_str().expect("a body").chars().count(), 200);
        assert_eq!(one["task"], json!({"id": task["id"], "title": "买牛奶 🥛"}));
        a_while().await;
        assert_eq!(inbox_of(&lin, 1).await, inbox);
        // Only hers, by whichever way.
        assert!(inbox_of(&mei, 0).await.is_empty());
        let node = "query($id: ID!) { node(id: $id) { __typename id } }";
        assert_eq!(lin.run(node, json!({"id": one["id"]})).await.data()["node"], json!({"__typename": "Notification", "id": one["id"]}));
        assert_eq!(mei.run(node, json!({"id": one["id"]})).await.data()["node"], Value::Null);
        let admin = app.admin("boss").await;
        let user = admin.run("query($id: ID!) { user(id: $id) { notifications { totalCount nodes { id } } } }", json!({"id": lin.user_id})).await;
        assert_eq!(user.data()["user"]["notifications"], json!({"totalCount": 0, "nodes": []}));
        // It outlives its task.
        lin.run("mutation($id: ID!) { deleteTask(input: {id: $id}) { deletedTaskId } }", json!({"id": task["id"]})).await.data();
        assert_eq!(inbox_of(&lin, 1).await[0]["task"], Value::Null);
    }

    async fn follows_the_task_until_then(app) {
        let lin = app.user("lin").await;
        let at = after(app, 100);
        let moved = create(&lin, json!({"title": "moved", "remindAt": at})).await;
        let cleared = create(&lin, json!({"title": "cleared", "remindAt": at})).await;
        let done = create(&lin, json!({"title": "done", "remindAt": at})).await;
        let deleted = create(&lin, json!({"title": "deleted", "remindAt": at})).await;
        let set = create(&lin, json!({"title": "set"})).await;
        update(&lin, json!({"id": moved["id"], "remindAt": after(app, 200), "title": "moved twice"})).await;
        update(&lin, json!({"id": cleared["id"], "remindAt": null})).await;
        update(&lin, json!({"id": done["id"], "status": "DONE"})).await;
        update(&lin, json!({"id": set["id"], "remindAt": at})).await;
        lin.run("mutation($id: ID!) { deleteTask(input: {id: $id}) { deletedTaskId } }", json!({"id": deleted["id"]})).await.data();
        app.advance(TimeDelta::seconds(101));
        assert_eq!(titles(&inbox_of(&lin, 1).await), ["set"]);
        app.advance(TimeDelta::seconds(100));
        assert_eq!(titles(&inbox_of(&lin, 2).await), ["moved twice", "set"]);
        // The same time once more reminds of nothing new, another one does.
        update(&lin, json!({"id": set["id"], "remindAt": null})).await;
        update(&lin, json!({"id": set["id"], "remindAt": at})).await;
        a_while().await;
        inbox_of(&lin, 2).await;
        update(&lin, json!({"id": set["id"], "remindAt": after(app, -1)})).await;
        assert_eq!(titles(&inbox_of(&lin, 3).await)[0], "set");
        // The clock jumps back: what was told is not told again.
        app.advance(TimeDelta::seconds(-150));
        a_while().await;
        app.advance(TimeDelta::seconds(150));
        a_while().await;
        inbox_of(&lin, 3).await;
    }

    async fn several_servers_remind_once(app) {
        let lin = app.user("lin").await;
        let siblings = [app.sibling().await, app.sibling().await];
        for round in 1..=5_usize {
            let at = after(app, 10);
            join_all((0..25).map(|n| create(&lin, json!({"title": format!("{round} {n}"), "remindAt": at})))).await;
            app.advance(TimeDelta::seconds(11));
            let until = tokio::time::Instant::now() + Duration::from_secs(30);
            loop {
                let reply = lin.ask("{ viewer { notifications { totalCount } } }").await;
                let count = reply.data()["viewer"]["notifications"]["totalCount"].as_u64().expect("a number");
                assert!(count as usize <= round * 25, "{count}");
                if count as usize == round * 25 {
                    break;
                }
                assert!(tokio::time::Instant::now() < until, "{count} of {}", round * 25);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        a_while().await;
        let reply = lin.ask("{ viewer { notifications { totalCount } } }").await;
        assert_eq!(reply.data()["viewer"]["notifications"]["totalCount"], 125);
        for sibling in siblings {
            sibling.stop().await;
        }
    }

    async fn one_that_cannot_be_read_does_not_stop_the_others(app) {
        let (lin, mei) = (app.user("lin").await, app.user("mei").await);
        let at = after(app, 60);
        create(&lin, json!({"title": "bad", "remindAt": after(app, 59)})).await;
        for client in [&lin, &mei] {
            create(client, json!({"title": "good", "remindAt": at})).await;
        }
        // As a newer version might have written it.
        app.db.write(|tx| {
            Box::pin(async move { tx.execute_unprepared("UPDATE tasks SET status = 'LATER' WHERE title = 'bad'").await.map(drop) }) as WriteFuture<'_, (), DbErr>
        }).await.expect("the task changes");
        app.advance(TimeDelta::seconds(61));
        // Not by `inbox_of`, which shows the tasks: of this person there is one that cannot be shown.
        for client in [&lin, &mei] {
            let mut told = Value::Null;
            for _ in 0..300 {
                let reply = client.ask("{ viewer { notifications { nodes { title } } } }").await;
                told = reply.data()["viewer"]["notifications"]["nodes"].clone();
                if told != json!([]) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert_eq!(told, json!([{"title": "good"}]));
        }
        // What comes later is told, too.
        create(&mei, json!({"title": "later", "remindAt": after(app, -1)})).await;
        assert_eq!(titles(&inbox_of(&mei, 2).await), ["later", "good"]);
    }

    async fn what_was_read_is_marked(app) {
        let (lin, mei) = (app.user("lin").await, app.user("mei").await);
        for n in 0..5 {
            create(&lin, json!({"title": n.to_string(), "remindAt": after(app, n)})).await;
        }
        create(&mei, json!({"title": "hers", "remindAt": after(app, 0)})).await;
        app.advance(TimeDelta::seconds(10));
        let all = inbox_of(&lin, 5).await;
        let hers = inbox_of(&mei, 1).await;
        assert_eq!(mark_read(&lin, json!([all[0]["id"], all[1]["id"], all[0]["id"], hers[0]["id"], "nonsense"])).await, 2);
        assert_eq!(mark_read(&lin, json!([all[0]["id"]])).await, 0);
        assert_eq!((inbox(&lin, "(isRead: true)").await.len(), inbox(&lin, "(isRead: false)").await.len()), (2, 3));
        assert_eq!(inbox(&mei, "(isRead: false)").await.len(), 1);
        assert_eq!(mark_read(&lin, json!([])).await, 0);
        assert_eq!(mark_read(&lin, Value::Null).await, 3);
        assert!(inbox(&lin, "(isRead: false)").await.is_empty());
        let ids: Vec<String> = (0..101).map(|n| n.to_string()).collect();
        let reply = lin.run("mutation($i: MarkNotificationsReadInput!) { markNotificationsRead(input: $i) { readCount } }", json!({"i": {"ids": ids}})).await;
        assert_eq!(reply.faults(), ["input.ids TOO_LONG"]);
        // A page costs the same, however long, the tasks among it.
        let cost = async |first: i64| {
            let before = app.db.statements();
            let query = format!("{{ viewer {{ notifications(first: {first}) {{ nodes {{ id task {{ id }} }} }} }} }}");
            lin.ask(&query).await.data();
            app.db.statements() - before
        };
        cost(1).await;
        assert_eq!(cost(1).await, cost(5).await);
        let mut seen = Vec::new();
        let mut after = Value::Null;
        loop {
            let reply = lin.run("query($after: String) { viewer { notifications(first: 2, after: $after) { nodes { title } pageInfo { hasNextPage endCursor } } } }", json!({"after": after})).await;
            let page = reply.data()["viewer"]["notifications"].clone();
            seen.extend(page["nodes"].as_array().expect("a list").iter().map(|one| one["title"].clone()));
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
        assert_eq!(seen, all.iter().map(|one| one["title"].clone()).collect::<Vec<_>>());
    }
}
