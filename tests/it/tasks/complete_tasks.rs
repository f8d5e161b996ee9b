use serde_json::{Value, json};

use super::create;
use crate::harness::{Client, Reply, on_each_database};

async fn complete(client: &Client, ids: &[&Value]) -> Reply {
    client
        .run(
            "mutation($ids: [ID!]!) { completeTasks(input: {ids: $ids}) { tasks { id status version completedAt } } }",
            json!({"ids": ids}),
        )
        .await
}

on_each_database! {
    async fn completes_all_in_the_order_asked_for(app) {
        let lin = app.user("lin").await;
        let a = create(&lin, json!({"title": "a"})).await;
        let b = create(&lin, json!({"title": "b", "status": "DONE"})).await;
        let c = create(&lin, json!({"title": "c"})).await;
        let reply = complete(&lin, &[&c["id"], &b["id"], &a["id"], &c["id"]]).await;
        let tasks = reply.data()["completeTasks"]["tasks"].as_array().expect("a list");
        let seen: Vec<_> = tasks.iter().map(|t| (&t["id"], &t["version"])).collect();
        assert_eq!(seen, [(&c["id"], &json!(2)), (&b["id"], &json!(1)), (&a["id"], &json!(2))]);
        assert_eq!(tasks[1]["completedAt"], b["completedAt"]);
    }

    async fn one_that_is_not_the_callers_stops_all(app) {
        let (lin, mei) = (app.user("lin").await, app.user("mei").await);
        let mine = create(&lin, json!({"title": "a"})).await;
        let other = create(&mei, json!({"title": "b"})).await;
        let reply = complete(&lin, &[&mine["id"], &other["id"], &json!("nonsense")]).await;
        assert_eq!((reply.code(), reply.faults()), ("NOT_FOUND", vec!["input.ids.1 UNKNOWN".to_owned(), "input.ids.2 UNKNOWN".to_owned()]));
        assert_eq!(super::titles(&lin, json!({"status": ["DONE"]})).await, Vec::<String>::new());
    }

    async fn takes_a_hundred_in_a_constant_number_of_statements(app) {
        let lin = app.user("lin").await;
        let mut ids = Vec::new();
        for n in 0..100 {
            ids.push(create(&lin, json!({"title": n.to_string()})).await["id"].clone());
        }
        let before = app.db.statements();
        complete(&lin, &ids.iter().take(2).collect::<Vec<_>>()).await.data();
        let two = app.db.statements() - before;
        let reply = complete(&lin, &ids.iter().collect::<Vec<_>>()).await;
        assert_eq!(reply.data()["completeTasks"]["tasks"].as_array().map(Vec::len), Some(100));
        assert_eq!(app.db.statements() - before - two, two);
        ids.push(json!("one more"));
        let reply = complete(&lin, &ids.iter().collect::<Vec<_>>()).await;
        assert_eq!(reply.faults(), ["input.ids TOO_LONG"]);
    }
}
