use serde_json::{Value, json};

use crate::harness::{Client, Engine, Reply, TestApp, on_each_database, once};

async fn send(client: &Client, batch: Value) -> Reply {
    Reply::of(client.post("/graphql").json(&batch)).await
}

on_each_database! {
    async fn answers_each_operation_in_order(app) {
        let lin = app.user("lin").await;
        let id = "01890000-0000-7000-8000-0000000000aa";
        let reply = send(&lin, json!([
            {"query": "mutation($id: ID!) { createTask(input: {id: $id, title: \"a\"}) { task { version } } }", "variables": {"id": id}},
            {"query": "mutation($id: ID!) { updateTask(input: {id: $id, title: \"b\"}) { task { version } } }", "variables": {"id": id}},
            {"query": "{ nothing }"},
            {"query": "query($id: ID!) { task(id: $id) { title } }", "variables": {"id": id}},
            {"query": " "},
        ])).await;
        let replies = reply.body.as_array().expect("an array");
        assert_eq!((reply.status.as_u16(), replies.len()), (200, 5));
        assert_eq!(replies[0]["data"]["createTask"]["task"]["version"], 1);
        assert_eq!(replies[1]["data"]["updateTask"]["task"]["version"], 2);
        assert_eq!(replies[2]["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(replies[3], json!({"data": {"task": {"title": "b"}}}));
        assert_eq!(replies[4]["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
    }

    async fn is_small_and_signs_in_once(app) {
        let client = app.anonymous();
        let ten = send(&client, json!(vec![json!({"query": "{ __typename }"}); 10])).await;
        assert_eq!(ten.body.as_array().map(Vec::len), Some(10));
        for (length, code) in [(11, "QUERY_TOO_COMPLEX"), (4000, "QUERY_TOO_COMPLEX"), (0, "BAD_USER_INPUT")] {
            let reply = send(&client, json!(vec![json!({"query": "{ __typename }"}); length])).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (400, code), "{length}");
        }
        for nonsense in [json!([[]]), json!([["{ __typename }"]]), json!([1]), json!([null])] {
            assert_eq!(send(&client, nonsense).await.code(), "BAD_USER_INPUT");
        }
        let refresh = json!({"query": "mutation { refreshSession(input: {refreshToken: \"x\"}) { accessToken } }"});
        let twice = send(&client, json!([refresh, refresh])).await;
        assert_eq!(twice.body[0]["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
        assert_eq!(twice.body[1]["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX");
    }
}

once! {
    async fn replies_are_no_larger_than_allowed() {
        let app = TestApp::start_with(Engine::Sqlite, &[("GRAPHQL__MAX_REPLY_BYTES", "65536")]).await;
        let lin = app.user("lin").await;
        for _ in 0..2 {
            let notes = "学".repeat(10_000);
            lin.run("mutation($n: String!) { createTask(input: {title: \"a\", notes: $n}) { task { id } } }", json!({"n": notes})).await.data();
        }
        lin.ask("{ tasks { nodes { notes } } }").await.data();
        let large = lin.ask("{ tasks { nodes { notes b: notes } } }").await;
        assert_eq!(large.code(), "QUERY_TOO_COMPLEX");
        let batch = send(&lin, json!(vec![json!({"query": "{ tasks { nodes { notes } } }"}); 2])).await;
        assert!(batch.body[0].get("data").is_some(), "one fits");
        assert_eq!(batch.body[1]["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX");
        app.stop().await;
    }

    async fn counts_each_operation() {
        let limits = [("RATE_LIMIT__ENABLED", "true"), ("RATE_LIMIT__READ_PER_ADDRESS", "2")];
        let app = TestApp::start_with(Engine::Sqlite, &limits).await;
        let reply = send(&app.anonymous(), json!(vec![json!({"query": "{ a: __typename b: __typename }"}); 3])).await;
        assert_eq!(reply.status, 200);
        assert!(reply.body[1].get("data").is_some(), "{}", reply.body);
        assert_eq!(reply.body[2]["errors"][0]["extensions"]["code"], "RATE_LIMITED");
        assert!(reply.headers.contains_key("retry-after"));
        app.stop().await;
    }
}
