mod batch;
mod languages;
mod limits;
mod link;
mod repository;
mod search;
mod trending;

use serde_json::Value;

use crate::harness::TestApp;

/// How many requests the simulator got whose path begins so.
fn calls(app: &TestApp, path: &str) -> usize {
    app.github.requests(path).len()
}

/// The full names of a list.
fn names(list: &Value) -> Vec<String> {
    let items = list.as_array().expect("a list").iter();
    items
        .map(|item| item["fullName"].as_str().expect("a name").to_owned())
        .collect()
}
