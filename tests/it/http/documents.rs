//! Persisted queries and trusted documents.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Engine, Reply, TestApp, on_each_database, once, wegraph};

const QUERY: &str = "query Rubric($slug: String!) { rubric(slug: $slug) { slug } }";

fn hash(query: &str) -> String {
    Sha256::digest(query.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn persisted(hash: &str) -> Value {
    json!({"persistedQuery": {"version": 1, "sha256Hash": hash}})
}

async fn post(app: &TestApp, body: Value) -> Reply {
    Reply::of(app.anonymous().post("/graphql").json(&body)).await
}

async fn with_manifest(policy: &str, manifest: &Value) -> (TestApp, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("trusted.json");
    std::fs::write(&path, manifest.to_string()).expect("it is written");
    let path = path.to_str().expect("text");
    let settings = [
        ("GRAPHQL__DOCUMENTS", policy),
        ("GRAPHQL__TRUSTED_DOCUMENTS", path),
    ];
    (TestApp::start_with(Engine::Sqlite, &settings).await, folder)
}

on_each_database! {
    async fn a_query_is_known_by_its_hash_once_it_was_sent(app) {
        let (hash, variables) = (hash(QUERY), json!({"slug": "default"}));
        let miss = post(app, json!({"extensions": persisted(&hash), "variables": variables})).await;
        assert_eq!((miss.code(), miss.message()), ("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound"));
        let wrong = post(app, json!({"query": "{ __typename }", "extensions": persisted(&hash)})).await;
        assert_eq!(wrong.code(), "BAD_USER_INPUT");
        let refused = "{ nothing(";
        assert_eq!(post(app, json!({"query": refused, "extensions": persisted(&self::hash(refused))})).await.code(), "GRAPHQL_PARSE_FAILED");
        assert_eq!(post(app, json!({"extensions": persisted(&self::hash(refused))})).await.code(), "PERSISTED_QUERY_NOT_FOUND");
        let first = post(app, json!({"query": QUERY, "extensions": persisted(&hash), "variables": variables})).await;
        assert_eq!(first.data(), &json!({"rubric": {"slug": "default"}}));
        let again = post(app, json!({"extensions": persisted(&hash.to_uppercase()), "variables": variables})).await;
        assert_eq!(again.data(), &json!({"rubric": {"slug": "default"}}));
        let get = app.anonymous().get("/graphql").query(&[("extensions", persisted(&hash).to_string()), ("variables", variables.to_string())]);
        assert_eq!(Reply::of(get).await.data(), &json!({"rubric": {"slug": "default"}}));
        for nonsense in [json!([]), json!("x"), json!({"persistedQuery": []}), json!({"persistedQuery": {}}), persisted("short"), persisted(&"g".repeat(64))] {
            let reply = post(app, json!({"extensions": nonsense})).await;
            assert_eq!((reply.status.as_u16() / 100, reply.code()), (if nonsense["persistedQuery"]["version"] == 1 { 2 } else { 4 }, "BAD_USER_INPUT"), "{nonsense}");
        }
        assert_eq!(post(app, json!({"documentId": "nothing"})).await.code(), "PERSISTED_QUERY_NOT_FOUND");
        assert_eq!(post(app, json!({"documentId": "nothing", "query": QUERY})).await.code(), "BAD_USER_INPUT");
    }
}

once! {
    async fn only_trusted_documents_run_when_the_setting_says_so() {
        let id = hash(QUERY);
        for manifest in [
            json!({id.clone(): QUERY, "logout": "mutation { logout { endedSessions } }"}),
            json!({"format": "apollo-persisted-query-manifest", "version": 1, "operations": [
                {"id": id, "name": "Rubric", "type": "query", "body": QUERY},
                {"id": "logout", "name": "", "type": "mutation", "body": "mutation { logout { endedSessions } }"},
            ]}),
        ] {
            let (app, _folder) = with_manifest("trusted-only", &manifest).await;
            let variables = json!({"slug": "default"});
            for named in [json!({"documentId": id, "variables": variables}), json!({"extensions": persisted(&id), "variables": variables})] {
                assert_eq!(post(&app, named).await.data(), &json!({"rubric": {"slug": "default"}}));
            }
            let get = app.anonymous().get("/graphql").query(&[("documentId", id.as_str()), ("variables", "{\"slug\": \"default\"}")]);
            assert_eq!(Reply::of(get).await.data(), &json!({"rubric": {"slug": "default"}}));
            assert_eq!(Reply::of(app.anonymous().get("/graphql").query(&[("documentId", "logout")])).await.status, 405);
            for refused in [
                json!({"query": QUERY, "variables": variables}), json!({"documentId": "other"}), json!({"documentId": id, "query": QUERY}),
                json!({"query": "{ __typename }", "extensions": persisted(&hash("{ __typename }"))}), json!({"extensions": persisted(&hash("{ __typename }"))}),
            ] {
                assert_eq!(post(&app, refused.clone()).await.code(), "PERSISTED_QUERY_ONLY", "{refused}");
            }
            app.stop().await;
        }
    }

    async fn the_documents_of_our_own_pages_always_run() {
        let (app, _folder) = with_manifest("trusted-only", &json!({"a": "{ __typename }"})).await;
        let variables = json!({"rubric": "default"});
        let reply = post(&app, json!({"documentId": "wegraph-results", "operationName": "Results", "variables": variables})).await;
        assert_eq!((reply.code(), &reply.body["errors"][0]["path"]), ("FORBIDDEN", &json!(["rubric", "summary"])));
        app.stop().await;
    }

    async fn trusted_documents_and_persisted_queries_go_together() {
        let (app, _folder) = with_manifest("trusted-and-apq", &json!({"a": "{ __typename }"})).await;
        assert_eq!(post(&app, json!({"documentId": "a"})).await.data(), &json!({"__typename": "Query"}));
        assert_eq!(post(&app, json!({"query": "{ __typename }"})).await.code(), "PERSISTED_QUERY_ONLY");
        let body = json!({"query": QUERY, "extensions": persisted(&hash(QUERY)), "variables": {"slug": "default"}});
        assert_eq!(post(&app, body).await.data(), &json!({"rubric": {"slug": "default"}}));
        app.stop().await;
    }

    async fn a_bad_document_stops_the_start_with_its_name() {
        for (manifest, part) in [
            (json!({"good": "{ __typename }", "BadOne": "{ nothing }"}).to_string(), "BadOne"),
            (json!({"BadTwo": "{ rubric("}).to_string(), "BadTwo"),
            (json!({"BadThree": "{ ...F } fragment F on Query { ...F }"}).to_string(), "BadThree"),
            ("[]".to_owned(), "JSON object"),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("trusted.json");
            std::fs::write(&path, manifest).expect("it is written");
            let error = start(folder.path(), &path).await;
            assert!(error.contains(part) && error.contains("trusted.json"), "{error}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        assert!(start(folder.path(), Path::new("missing.json")).await.contains("missing.json"));
    }
}

/// The error of `wegraph serve` with the manifest.
async fn start(folder: &Path, manifest: &Path) -> String {
    let environment = [
        ("WEGRAPH_AUTH__SECRET", crate::harness::SECRET),
        ("WEGRAPH_LISTEN", "127.0.0.1:0"),
        (
            "WEGRAPH_GRAPHQL__TRUSTED_DOCUMENTS",
            manifest.to_str().expect("text"),
        ),
    ];
    let output = wegraph(folder, &["serve"], &environment, "").await;
    assert!(!output.status.success());
    String::from_utf8(output.stderr).expect("text")
}
