use reqwest::Method;
use serde_json::json;

use crate::harness::{Engine, Reply, TestApp, once};

once! {
    async fn takes_no_forwarded_requests_and_no_other_host(){
        let app = TestApp::start_with(Engine::Sqlite, &[("DEV", "")]).await;
        let client = app.anonymous();
        assert_eq!(client.get("/healthz").send().await.expect("an answer").status(), 200);
        for (name, value) in [
            ("X-Forwarded-For", "203.0.113.7"), ("Forwarded", "for=203.0.113.7"), ("X-Real-IP", "203.0.113.7"), ("Via", "1.1 proxy"),
            ("X-Forwarded-Proto", "https"), ("Host", "evil.example"), ("Origin", "https://evil.example"), ("Origin", "null"), ("Host", "127.0.0.1.nip.io:8000"),
        ] {
            for path in ["/graphql?query={viewer{id}}", "/graphiql", "/healthz", "/graphql/ws"] {
                let reply = Reply::of(client.get(path).header(name, value)).await;
                assert_eq!((reply.status.as_u16(), reply.code()), (403, "FORBIDDEN"), "{name} {path}");
            }
        }
        app.stop().await;
    }

    async fn pages_of_this_machine_may_call_from_any_port(){
        let app = TestApp::start_with(Engine::Sqlite, &[("DEV", "")]).await;
        let client = app.anonymous();
        for origin in ["http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:8080", "https://localhost", "http://LOCALHOST:1"] {
            let preflight = client.request(Method::OPTIONS, "/graphql").header("Origin", origin)
                .header("Access-Control-Request-Method", "POST").header("Access-Control-Request-Headers", "authorization,content-type")
                .send().await.expect("an answer");
            let header = |name: &str| preflight.headers().get(name).map(|value| value.to_str().expect("text").to_owned()).unwrap_or_default();
            assert_eq!(preflight.status(), 200, "{origin}");
            assert_eq!((header("access-control-allow-origin").as_str(), header("access-control-allow-credentials").as_str()), (origin, "true"));
            assert!(header("access-control-allow-methods").contains("POST"), "{origin}");
            assert!(header("access-control-allow-headers").contains("authorization,content-type"), "{origin}");
            assert!(header("vary").contains("origin"), "{origin}");
            let reply = Reply::of(client.post("/graphql").header("Origin", origin).json(&json!({"query": "{ viewer { id } }"}))).await;
            assert_eq!(reply.data(), &json!({"viewer": null}));
            assert_eq!((&reply.headers["access-control-allow-origin"], &reply.headers["access-control-allow-credentials"]), (&origin.parse().expect("a header"), &"true".parse().expect("a header")));
        }
        for origin in ["https://evil.example", "null", "http://localhost.evil.example", "http://localhost:5173.evil.example",
            "http://127.0.0.1.nip.io:3000", "http://[::1].evil.example", "http://[::1", "http://localhost:99999", "http://evil.example:80@localhost",
            "http://192.168.1.5:3000", "localhost:5173", "http://", "://localhost"] {
            let preflight = client.request(Method::OPTIONS, "/graphql").header("Origin", origin).header("Access-Control-Request-Method", "POST");
            let call = client.post("/graphql").json(&json!({"query": "{ viewer { id } }"})).header("Origin", origin);
            for request in [preflight, call] {
                let reply = Reply::of(request).await;
                assert_eq!((reply.status.as_u16(), reply.code()), (403, "FORBIDDEN"), "{origin}");
                assert!(!reply.headers.contains_key("access-control-allow-origin"), "{origin}");
                assert!(reply.headers.contains_key("x-request-id") && reply.headers.contains_key("x-content-type-options"), "{origin}");
            }
        }
        app.stop().await;
    }
}
