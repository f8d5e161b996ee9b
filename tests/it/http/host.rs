//! Which host a request is for, as it goes over the wire.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Engine, TestApp, once};

const PATHS: [&str; 5] = [
    "/graphql?query={viewer{id}}",
    "/healthz",
    "/graphql/ws",
    "/schema.graphql",
    "/nowhere",
];

/// What comes back for this start line and these headers.
async fn ask(app: &TestApp, start: &str, headers: &[&str]) -> String {
    let mut stream = TcpStream::connect(app.base_url.trim_start_matches("http://"))
        .await
        .expect("a connection");
    let mut request = format!("{start}\r\nConnection: close\r\n");
    for header in headers {
        request.push_str(&format!("{header}\r\n"));
    }
    request.push_str("\r\n");
    let sent = stream.write_all(request.as_bytes()).await;
    sent.expect("it is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

once! {
    async fn a_request_has_exactly_one_host(){
        for settings in [&[][..], &[("DEV", "")]] {
            let app = TestApp::start_with(Engine::Sqlite, settings).await;
            for path in PATHS {
                for method in ["GET", "POST", "OPTIONS"] {
                    for hosts in [
                        &[][..],
                        &["Host: localhost", "Host: localhost"],
                        &["Host: localhost", "Host: evil.example"],
                        &["Host:"],
                        &["Host: :8000"],
                        &["Host: a b"],
                        &["Host: localhost/x"],
                        &["Host: me@localhost"],
                        &["Host: localhost:x"],
                        &["Host: [::1"],
                    ] {
                        let answer = ask(&app, &format!("{method} {path} HTTP/1.1"), hosts).await;
                        assert!(answer.starts_with("HTTP/1.1 400"), "{hosts:?}: {answer}");
                        for part in ["BAD_USER_INPUT", "x-request-id: ", "nosniff"] {
                            assert!(answer.contains(part), "{method} {path} {hosts:?}: {answer}");
                        }
                    }
                }
            }
            app.stop().await;
        }
    }

    async fn a_target_with_a_host_does_not_replace_the_header(){
        let app = TestApp::start_with(Engine::Sqlite, &[]).await;
        let target = "GET http://api.example.com/healthz HTTP/1.1";
        assert!(ask(&app, target, &[]).await.starts_with("HTTP/1.1 400"));
        let both = ["Host: api.example.com", "Host: api.example.com"];
        assert!(ask(&app, target, &both).await.starts_with("HTTP/1.1 400"));
        for host in ["Host: api.example.com", "Host: other.example.com:81"] {
            assert!(ask(&app, target, &[host]).await.starts_with("HTTP/1.1 200"), "{host}");
        }
        app.stop().await;
        let app = TestApp::start_with(Engine::Sqlite, &[("DEV", "")]).await;
        let foreign = "GET http://evil.example/healthz HTTP/1.1";
        let answer = ask(&app, foreign, &["Host: localhost"]).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "the target counts: {answer}");
        let own = "GET http://localhost/healthz HTTP/1.1";
        let answer = ask(&app, own, &["Host: evil.example"]).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        app.stop().await;
    }

    async fn the_old_protocol_needs_none(){
        for settings in [&[][..], &[("DEV", "")]] {
            let app = TestApp::start_with(Engine::Sqlite, settings).await;
            for (hosts, status) in [
                (&[][..], "200"),
                (&["Host: localhost"], "200"),
                (&["Host: localhost", "Host: localhost"], "400"),
                (&["Host: a b"], "400"),
            ] {
                let answer = ask(&app, "GET /healthz HTTP/1.0", hosts).await;
                let line = answer.lines().next().unwrap_or_default();
                assert!(line.contains(status), "{hosts:?}: {answer}");
            }
            app.stop().await;
        }
    }

    async fn says_what_is_wrong_in_the_language_of_the_caller(){
        let app = TestApp::start_with(Engine::Sqlite, &[]).await;
        for (language, message) in [
            ("en", "the request has no Host header"),
            ("zh", "请求缺少 Host 请求头"),
        ] {
            let header = format!("Accept-Language: {language}");
            let answer = ask(&app, "GET / HTTP/1.1", &[&header]).await;
            assert!(answer.contains(message), "{answer}");
        }
        app.stop().await;
    }
}
