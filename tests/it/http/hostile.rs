//! The corpus of hostile documents, over both transports. What each costs is told by `cargo bench --bench hostile`.

use serde_json::{Value, json};

use super::socket::Socket;
use crate::corpus;
use crate::harness::{Engine, Reply, TestApp, once};

const REFUSALS: [&str; 4] = [
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "QUERY_TOO_COMPLEX",
    "BAD_USER_INPUT",
];

/// What is wrong with the errors of a refusal.
fn fault(errors: &Value) -> Option<String> {
    let list = errors
        .as_array()
        .filter(|list| !list.is_empty() && list.len() <= 10);
    let is_refused = list.is_some_and(|list| {
        list.iter().all(|error| {
            REFUSALS.contains(&error["extensions"]["code"].as_str().unwrap_or_default())
        })
    });
    let size = errors.to_string().len();
    (!is_refused || size > 8192).then(|| format!("{size} bytes: {errors:.300}"))
}

once! {
    async fn every_document_is_refused_over_http() {
        let app = TestApp::start(Engine::Sqlite).await;
        let documents = corpus::documents();
        assert!(documents.len() >= 200, "{}", documents.len());
        let mut faults = Vec::new();
        for document in documents {
            let reply = Reply::of(app.anonymous().post("/graphql").json(&document.parameters)).await;
            let is_executed = reply.body.get("data").is_some();
            if let Some(fault) = fault(&reply.body["errors"]).or(is_executed.then(|| reply.body.to_string())) {
                faults.push(format!("{}: {}: {fault}", document.family, document.name));
            }
        }
        assert!(faults.is_empty(), "{faults:#?}");
        app.anonymous().ask("{ __typename }").await.data();
        app.stop().await;
    }

    async fn every_document_is_refused_over_a_socket() {
        let app = TestApp::start(Engine::Sqlite).await;
        let mut socket = Socket::init(&app, json!({})).await;
        let mut faults = Vec::new();
        for document in corpus::documents() {
            socket.send(json!({"id": "1", "type": "subscribe", "payload": document.parameters})).await;
            match socket.next().await {
                Ok(message) if message["type"] == "error" => {
                    faults.extend(fault(&message["payload"]).map(|fault| format!("{}: {fault}", document.name)));
                }
                Err(1009) => socket = Socket::init(&app, json!({})).await,
                other => {
                    faults.push(format!("{}: {other:?}", document.name));
                    socket = Socket::init(&app, json!({})).await;
                }
            }
        }
        assert!(faults.is_empty(), "{faults:#?}");
        assert_eq!(socket.ask("{ __typename }").await["data"]["__typename"], "Query");
        app.stop().await;
    }

    async fn what_is_answered_takes_no_more_statements_than_it_has_fields() {
        let app = TestApp::start(Engine::Sqlite).await;
        let lin = app.user("lin").await;
        for _ in 0..3 {
            lin.ask("mutation { createTask(input: {title: \"a\"}) { task { id } } }").await.data();
        }
        for document in corpus::answered() {
            let before = app.db.statements();
            let reply = Reply::of(lin.post("/graphql").json(&document.parameters)).await;
            assert!(reply.body["data"].is_object(), "{}: {}", document.name, reply.body);
            // Results are not public to everyone here; all else is answered whole.
            let codes = reply.body["errors"].as_array().into_iter().flatten();
            let codes: Vec<&str> = codes.filter_map(|error| error["extensions"]["code"].as_str()).collect();
            assert!(codes.iter().all(|code| *code == "FORBIDDEN"), "{}: {codes:?}", document.name);
            let statements = app.db.statements() - before;
            assert!(statements <= 40, "{}: {statements}", document.name);
        }
        app.stop().await;
    }
}
