use serde_json::json;

use super::create;
use crate::harness::on_each_database;

on_each_database! {
    async fn deletes_once_and_answers_the_id(app) {
        let lin = app.user("lin").await;
        let task = create(&lin, json!({"title": "a"})).await;
        let query = "mutation($id: ID!) { deleteTask(input: {id: $id}) { deletedTaskId } }";
        let reply = lin.run(query, json!({"id": task["id"]})).await;
        assert_eq!(reply.data()["deleteTask"]["deletedTaskId"], task["id"]);
        assert_eq!(lin.run(query, json!({"id": task["id"]})).await.code(), "NOT_FOUND");
        let gone = lin.run("query($id: ID!) { task(id: $id) { id } node(id: $id) { id } }", json!({"id": task["id"]})).await;
        assert_eq!(gone.data(), &json!({"task": null, "node": null}));
    }
}
