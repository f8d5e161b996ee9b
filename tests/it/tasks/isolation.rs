use serde_json::json;

use super::{create, try_update};
use crate::harness::on_each_database;

on_each_database! {
    async fn nobody_reads_changes_or_detects_anothers_task(app) {
        let (lin, mei, admin) = (app.user("lin").await, app.user("mei").await, app.admin("root").await);
        let task = create(&lin, json!({"title": "secret", "tags": ["x"]})).await;
        for other in [&mei, &admin] {
            let seen = other.run(
                "query($id: ID!) { task(id: $id) { title } node(id: $id) { id } tasks { totalCount nodes { id } } }",
                json!({"id": task["id"]})).await;
            assert_eq!(seen.data(), &json!({"task": null, "node": null, "tasks": {"totalCount": 0, "nodes": []}}));
            assert_eq!(try_update(other, json!({"id": task["id"], "title": "mine"})).await.code(), "NOT_FOUND");
            assert_eq!(try_update(other, json!({"id": task["id"], "version": 9, "title": "mine"})).await.code(), "NOT_FOUND");
            let deletion = other.run("mutation($id: ID!) { deleteTask(input: {id: $id}) { deletedTaskId } }", json!({"id": task["id"]})).await;
            assert_eq!(deletion.code(), "NOT_FOUND");
        }
        let anonymous = app.anonymous().run("query($id: ID!) { node(id: $id) { id } }", json!({"id": task["id"]})).await;
        assert_eq!(anonymous.data(), &json!({"node": null}));
        let mine = lin.run("query($id: ID!) { node(id: $id) { id ... on Task { title version } } }", json!({"id": task["id"]})).await;
        assert_eq!(mine.data()["node"], json!({"id": task["id"], "title": "secret", "version": 1}));
    }

    async fn a_cursor_of_another_user_shows_nothing_of_theirs(app) {
        let (lin, mei) = (app.user("lin").await, app.user("mei").await);
        create(&lin, json!({"title": "lin's"})).await;
        create(&mei, json!({"title": "mei's"})).await;
        let page = lin.ask("{ tasks { pageInfo { endCursor } } }").await;
        let seen = mei.run("query($c: String) { tasks(after: $c) { nodes { title } } before: tasks(before: $c) { nodes { title } } }",
            json!({"c": page.data()["tasks"]["pageInfo"]["endCursor"]})).await;
        assert!(!seen.body.to_string().contains("lin's"), "{}", seen.body);
    }
}
