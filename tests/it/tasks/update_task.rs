use chrono::TimeDelta;
use serde_json::json;

use super::{create, try_update, update};
use crate::harness::on_each_database;

on_each_database! {
    async fn absent_keeps_null_clears_a_value_sets(app) {
        let lin = app.user("lin").await;
        let task = create(&lin, json!({
            "title": "a", "notes": "n", "tags": ["t"], "dueAt": "2030-01-01T00:00:00Z", "remindAt": "2030-01-01T00:00:00Z",
        })).await;
        let changed = update(&lin, json!({"id": task["id"], "notes": null, "dueAt": null, "priority": "LOW"})).await;
        assert_eq!(changed["title"], "a");
        assert_eq!(changed["notes"], json!(null));
        assert_eq!(changed["dueAt"], json!(null));
        assert_eq!(changed["remindAt"], "2030-01-01T00:00:00.000Z");
        assert_eq!(changed["tags"], json!(["t"]));
        assert_eq!(changed["priority"], "LOW");
        assert_eq!(changed["version"], 2);
        let cleared = update(&lin, json!({"id": task["id"], "tags": null, "notes": " ", "title": "b"})).await;
        assert_eq!((&cleared["tags"], &cleared["notes"], &cleared["title"]), (&json!([]), &json!(null), &json!("b")));
    }

    async fn a_variable_that_is_not_sent_counts_as_absent(app) {
        let lin = app.user("lin").await;
        let task = create(&lin, json!({"title": "a", "notes": "n"})).await;
        let query = "mutation($id: ID!, $title: String, $notes: String) {
            updateTask(input: {id: $id, title: $title, notes: $notes}) { task { title notes version } } }";
        let reply = lin.run(query, json!({"id": task["id"], "title": "b"})).await;
        assert_eq!(reply.data()["updateTask"]["task"], json!({"title": "b", "notes": "n", "version": 2}));
        let reply = lin.run(query, json!({"id": task["id"], "notes": null})).await;
        assert_eq!(reply.data()["updateTask"]["task"], json!({"title": "b", "notes": null, "version": 3}));
    }

    async fn what_cannot_be_empty_cannot_be_cleared(app) {
        let lin = app.user("lin").await;
        let task = create(&lin, json!({"title": "a"})).await;
        let reply = try_update(&lin, json!({"id": task["id"], "title": null, "status": null, "priority": null})).await;
        assert_eq!(reply.code(), "BAD_USER_INPUT");
        assert_eq!(reply.faults(), ["input.title NOT_NULLABLE", "input.status NOT_NULLABLE", "input.priority NOT_NULLABLE"]);
        let reply = try_update(&lin, json!({"id": task["id"], "title": " "})).await;
        assert_eq!(reply.faults(), ["input.title REQUIRED"]);
    }

    async fn the_completion_time_follows_the_status(app) {
        let lin = app.user("lin").await;
        let task = create(&lin, json!({"title": "a"})).await;
        let done = update(&lin, json!({"id": task["id"], "status": "DONE"})).await;
        assert_eq!(done["completedAt"], done["updatedAt"]);
        app.advance(TimeDelta::seconds(5));
        let renamed = update(&lin, json!({"id": task["id"], "title": "b", "status": "DONE"})).await;
        assert_eq!(renamed["completedAt"], done["completedAt"]);
        let reopened = update(&lin, json!({"id": task["id"], "status": "TODO"})).await;
        assert_eq!(reopened["completedAt"], json!(null));
    }

    async fn a_version_that_is_not_the_newest_is_refused(app) {
        let lin = app.user("lin").await;
        let task = create(&lin, json!({"title": "a"})).await;
        update(&lin, json!({"id": task["id"], "version": 1, "title": "b"})).await;
        let reply = try_update(&lin, json!({"id": task["id"], "version": 1, "title": "c"})).await;
        assert_eq!(reply.code(), "VERSION_CONFLICT");
        let same = update(&lin, json!({"id": task["id"], "version": 2, "title": "b"})).await;
        assert_eq!(same["version"], 2, "a change that changes nothing keeps the version");
    }

    async fn of_many_changes_of_one_version_exactly_one_wins(app) {
        let lin = app.user("lin").await;
        let task = create(&lin, json!({"title": "a"})).await;
        let tries = (0..20).map(|n| {
            let (lin, id) = (lin.clone(), task["id"].clone());
            tokio::spawn(async move {
                let reply = try_update(&lin, json!({"id": id, "version": 1, "title": format!("t{n}")})).await;
                reply.body.get("errors").is_none() || { assert_eq!(reply.code(), "VERSION_CONFLICT"); false }
            })
        });
        let won = futures_util::future::join_all(tries).await;
        assert_eq!(won.into_iter().filter(|won| *won.as_ref().expect("an answer")).count(), 1);
    }

    async fn a_task_that_is_not_there_is_not_found(app) {
        let lin = app.user("lin").await;
        for id in ["01890000-0000-7000-8000-000000000000", "nonsense", ""] {
            assert_eq!(try_update(&lin, json!({"id": id, "title": "x"})).await.code(), "NOT_FOUND");
        }
    }
}
