use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::harness::{Engine, Reply, TestApp, once};

fn call(app: &TestApp) -> RequestBuilder {
    let body = json!({"query": "{ viewer { id } }"});
    app.anonymous().post("/graphql").json(&body)
}

/// What a browser asks before a page of `origin` may call.
fn preflight(app: &TestApp, origin: &str) -> RequestBuilder {
    app.anonymous()
        .request(Method::OPTIONS, "/graphql")
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header(
            "Access-Control-Request-Headers",
            "authorization,content-type",
        )
}

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
        for origin in [
            "http://localhost:5173",
            "http://127.0.0.1:3000",
            "http://[::1]:8080",
            "https://localhost",
            "http://LOCALHOST:1",
        ] {
            let answer = preflight(&app, origin).send().await.expect("an answer");
            assert_eq!(answer.status(), 200, "{origin}");
            let reply = Reply::of(call(&app).header("Origin", origin)).await;
            assert_eq!(reply.data(), &json!({"viewer": null}));
            for headers in [answer.headers(), &reply.headers] {
                assert_eq!(headers["access-control-allow-origin"], origin);
                assert_eq!(headers["access-control-allow-credentials"], "true");
                assert!(headers.get_all("vary").iter().any(|vary| {
                    vary.to_str().is_ok_and(|vary| vary.contains("origin"))
                }));
            }
            for (name, part) in [
                ("access-control-allow-methods", "POST"),
                ("access-control-allow-headers", "authorization,content-type"),
            ] {
                let value = answer.headers()[name].to_str().expect("text");
                assert!(value.contains(part), "{origin}: {value}");
            }
        }
        for origin in [
            "https://evil.example",
            "null",
            "http://localhost.evil.example",
            "http://localhost:5173.evil.example",
            "http://127.0.0.1.nip.io:3000",
            "http://[::1].evil.example",
            "http://[::1",
            "http://localhost:99999",
            "http://evil.example:80@localhost",
            "http://192.168.1.5:3000",
            "localhost:5173",
            "http://",
            "://localhost",
        ] {
            for request in [preflight(&app, origin), call(&app).header("Origin", origin)] {
                let reply = Reply::of(request).await;
                let outcome = (reply.status.as_u16(), reply.code());
                assert_eq!(outcome, (403, "FORBIDDEN"), "{origin}");
                assert!(!reply.headers.contains_key("access-control-allow-origin"), "{origin}");
                for name in ["x-request-id", "x-content-type-options"] {
                    assert!(reply.headers.contains_key(name), "{origin}: {name}");
                }
            }
        }
        app.stop().await;
    }

    async fn may_be_asked_by_any_address(){
        let app = TestApp::start_with(Engine::Sqlite, &[("DEV", "")]).await;
        for host in [
            "10.0.2.2:8000",
            "192.168.1.5",
            "[fe80::1]:8000",
            "[::ffff:10.0.2.2]",
            "localhost",
            "LocalHost:1",
            "[::1]:8000",
        ] {
            let reply = Reply::of(call(&app).header("Host", host)).await;
            assert_eq!(reply.data(), &json!({"viewer": null}), "{host}");
            // GraphiQL, as an emulator has it.
            let own = call(&app).header("Host", host).header("Origin", format!("http://{host}"));
            assert_eq!(Reply::of(own).await.data(), &json!({"viewer": null}), "{host}");
        }
        for host in [
            "emulator:8000",
            "localhost.example",
            "10.0.2.2.nip.io",
            "10.0.2",
            "0x7f.0.0.1",
            "fe80--1.ipv6-literal.net",
        ] {
            let reply = Reply::of(call(&app).header("Host", host)).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (403, "FORBIDDEN"), "{host}");
        }
        for (host, origin) in [
            ("10.0.2.2:8000", "http://10.0.2.2:8001"),
            ("10.0.2.2:8000", "http://10.0.2.3:8000"),
            ("10.0.2.2:8000", "https://evil.example"),
            ("evil.example", "http://evil.example"),
            ("127.0.0.1:8000", "http://10.0.2.2:8000"),
        ] {
            let request = call(&app).header("Host", host).header("Origin", origin);
            let reply = Reply::of(request).await;
            let outcome = (reply.status.as_u16(), reply.code());
            assert_eq!(outcome, (403, "FORBIDDEN"), "{host} {origin}");
        }
        app.stop().await;
    }
}
