mod complete_tasks;
mod create_task;
mod delete_task;
mod isolation;
mod list_tasks;
mod messages;
mod reminders;
mod sync;
mod update_task;

use serde_json::{Value, json};

use crate::harness::{Client, Reply};

/// Creates a task and returns it.
async fn create(client: &Client, input: Value) -> Value {
    let reply = try_create(client, input).await;
    reply.data()["createTask"]["task"].clone()
}

async fn try_create(client: &Client, input: Value) -> Reply {
    client
        .run(
            "mutation($input: CreateTaskInput!) { createTask(input: $input) { task {
                id title notes status priority tags dueAt remindAt completedAt isOverdue version createdAt updatedAt } } }",
            json!({"input": input}),
        )
        .await
}

async fn try_update(client: &Client, input: Value) -> Reply {
    client
        .run(
            "mutation($input: UpdateTaskInput!) { updateTask(input: $input) { task {
                id title notes status priority tags dueAt remindAt completedAt version updatedAt } } }",
            json!({"input": input}),
        )
        .await
}

async fn update(client: &Client, input: Value) -> Value {
    try_update(client, input).await.data()["updateTask"]["task"].clone()
}

/// The titles that a filter finds, newest first.
async fn titles(client: &Client, filter: Value) -> Vec<String> {
    let reply = client
        .run(
            "query($filter: TaskFilter) { tasks(filter: $filter, first: 100) { totalCount nodes { title } } }",
            json!({"filter": filter}),
        )
        .await;
    let tasks = &reply.data()["tasks"];
    let nodes = tasks["nodes"].as_array().expect("a list");
    assert_eq!(tasks["totalCount"], nodes.len());
    nodes
        .iter()
        .map(|node| node["title"].as_str().expect("a title").to_owned())
        .collect()
}
