//! What the server shows of itself in production, and to the pages of other sites.

use serde_json::json;

use crate::harness::{Engine, Reply, TestApp, once};

const PRODUCTION: [(&str, &str); 2] = [
    ("GRAPHQL__INTROSPECTION", "false"),
    ("GRAPHQL__PLAYGROUND", "false"),
];

once! {
    async fn tells_nothing_of_its_schema() {
        let app = TestApp::start_with(Engine::Sqlite, &PRODUCTION).await;
        for path in ["/schema.graphql", "/graphiql", "/graphiql/start.js"] {
            assert_eq!(app.anonymous().get(path).send().await.expect("an answer").status(), 404, "{path}");
        }
        for (query, secrets) in [
            ("{ rubrik { x } }", &["rubric", "Query", "Did you mean"][..]),
            ("{ rubric { nothing } }", &["slug", "Rubric", "String"]),
            ("{ rubric(slug: 1) { id } }", &["String"]),
            ("mutation { createTask(input: {}) { task { id } } }", &["title", "CreateTaskInput"]),
            ("mutation { createTask(input: {title: \"a\", status: 7}) { task { id } } }", &["TODO", "TaskStatus"]),
            ("mutation { createTask(input: {title: \"a\", status: NO}) { task { id } } }", &["TODO", "TaskStatus"]),
            ("mutation { createTask(input: {title: \"a\", dueAt: \"x\"}) { task { id } } }", &["CreateTaskInput"]),
            ("mutation { createTask(input: {title: \"a\", extra: 1}) { task { id } } }", &["CreateTaskInput"]),
            ("mutation { login(input: {}) { accessToken } }", &["wechat", "LoginInput"]),
            ("{ ... on Task { id } }", &["Query"]),
            ("query($x: TaskFilter) { node(id: $x) { id } }", &["ID!"]),
            ("{ __schema { types { name } } }", &["schema.graphql", "Task"]),
            ("{ __type(name: \"Task\") { name } }", &["data"]),
        ] {
            for language in ["zh", "en"] {
                let reply = app.anonymous().with_language(language).ask(query).await;
                let text = reply.body.to_string();
                assert!(text.contains("GRAPHQL_VALIDATION_FAILED"), "{query}: {text}");
                for secret in secrets {
                    assert!(!text.contains(secret), "{query} tells {secret}: {text}");
                }
            }
        }
        let wrong = app.anonymous().with_language("en").run("mutation($i: SubmitScoreInput!) { submitScore(input: $i) { message } }",
            json!({"i": {"accountNumber": "12345", "grades": [{"criterion": "grade1", "grade": "five"}]}})).await;
        assert!(wrong.message().contains("$i.grades[0].grade"), "{}", wrong.message());
        app.stop().await;
    }

    async fn takes_long_headers_for_what_they_are() {
        let app = TestApp::start_with(Engine::Sqlite, &PRODUCTION).await;
        let reply = Reply::of(app.anonymous().with_token(&"x".repeat(14_000)).post("/graphql").json(&json!({"query": "{ __typename }"}))).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (401, "UNAUTHENTICATED"));
        for (name, value) in [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"), ("x-frame-options", "DENY"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"), ("cache-control", "no-store")] {
            assert_eq!(reply.headers[name].to_str().expect("text"), value, "{name}");
        }
        assert!(reply.headers.contains_key("x-request-id"));
        app.stop().await;
    }

    async fn lets_listed_sites_call_with_credentials_and_no_others() {
        let listed = [("CORS__ORIGINS", "https://admin.example.com, https://other.example.com:8443")];
        let any = [("CORS__ORIGINS", "*")];
        for (settings, origin, allowed, credentials) in [
            (&listed[..], "https://admin.example.com", Some("https://admin.example.com"), Some("true")),
            (&listed[..], "https://evil.example.com", None, None),
            (&any[..], "https://evil.example.com", Some("*"), None),
            (&[], "https://evil.example.com", None, None),
        ] {
            let app = TestApp::start_with(Engine::Sqlite, settings).await;
            let preflight = app.anonymous().request(reqwest::Method::OPTIONS, "/graphql")
                .header("Origin", origin).header("Access-Control-Request-Method", "POST")
                .header("Access-Control-Request-Headers", "authorization,content-type").send().await.expect("an answer");
            let header = |name: &str| preflight.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
            assert_eq!(preflight.status(), 200);
            assert_eq!(header("access-control-allow-origin").as_deref(), allowed, "{origin}");
            assert_eq!(header("access-control-allow-credentials").as_deref(), credentials, "{origin}");
            assert_eq!(header("access-control-max-age").as_deref(), Some("7200"));
            let allowed_headers = header("access-control-allow-headers").unwrap_or_default();
            for name in ["content-type", "x-requested-with", "apollographql-client-name", "graphql-require-preflight", "sentry-trace"] {
                assert!(allowed_headers.split(',').any(|allowed| allowed == name), "{name}: {allowed_headers}");
            }
            let reply = Reply::of(app.anonymous().post("/graphql").header("Origin", origin).bearer_auth("x").json(&json!({"query": "{ __typename }"}))).await;
            assert_eq!(reply.headers.get("access-control-allow-origin").map(|value| value.to_str().expect("text")), allowed);
            app.stop().await;
        }
    }

    async fn lets_sites_send_the_headers_that_are_allowed() {
        let settings = [("CORS__ORIGINS", "https://Admin.example.com:443/"), ("CORS__ALLOWED_HEADERS", "Content-Type, X-Own")];
        let app = TestApp::start_with(Engine::Sqlite, &settings).await;
        let preflight = app.anonymous().request(reqwest::Method::OPTIONS, "/graphql")
            .header("Origin", "https://admin.example.com").header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "content-type,x-own").send().await.expect("an answer");
        assert_eq!(preflight.headers()["access-control-allow-origin"], "https://admin.example.com");
        assert_eq!(preflight.headers()["access-control-allow-headers"], "content-type,x-own");
        app.stop().await;
    }
}
