use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::socket::Socket;
use crate::harness::{Client, Engine, Reply, TestApp, once};

async fn start(settings: &[(&str, &str)]) -> TestApp {
    let mut all = vec![("RATE_LIMIT__ENABLED", "true")];
    all.extend_from_slice(settings);
    TestApp::start_with(Engine::Sqlite, &all).await
}

async fn sign_in(client: &Client, username: &str, password: &str) -> Reply {
    let query = "mutation($u: String!, $p: String!) { login(input: {password: {username: $u, password: $p}}) { user { id } } }";
    client
        .run(query, json!({"u": username, "p": password}))
        .await
}

/// From another address, as a proxy tells it.
async fn sign_in_from(app: &TestApp, address: &str, username: &str) -> Reply {
    let query = "mutation($u: String!) { login(input: {password: {username: $u, password: \"wrong\"}}) { user { id } } }";
    let body = json!({"query": query, "variables": {"u": username}});
    Reply::of(
        app.anonymous()
            .post("/graphql")
            .header("X-Forwarded-For", address)
            .json(&body),
    )
    .await
}

#[track_caller]
fn wait_of(reply: &Reply) -> u64 {
    assert_eq!(reply.code(), "RATE_LIMITED");
    let seconds = reply.body["errors"][0]["extensions"]["retryAfterSeconds"]
        .as_u64()
        .expect("a number");
    assert_eq!(
        reply.headers["retry-after"].to_str().expect("text"),
        seconds.to_string()
    );
    seconds
}

once! {
    async fn counts_users_and_addresses_by_class() {
        let app = start(&[("RATE_LIMIT__READ_PER_USER", "9"), ("RATE_LIMIT__WRITE_PER_USER", "2"), ("RATE_LIMIT__READ_PER_ADDRESS", "20")]).await;
        // Two sign-ins: an operation each.
        let (lin, mei) = (app.user("lin").await, app.user("mei").await);
        for _ in 0..2 {
            lin.ask("mutation { createTask(input: {title: \"a\"}) { task { id } } }").await.data();
        }
        let refused = lin.ask("mutation { createTask(input: {title: \"a\"}) { task { id } } }").await;
        assert_eq!((refused.status.as_u16(), wait_of(&refused)), (429, 30));
        mei.ask("mutation { createTask(input: {title: \"a\"}) { task { id } } }").await.data();
        // What costs more counts more often: five of the six that are left. How long the page is says a variable, too.
        lin.ask("{ tasks(first: 100) { nodes { id title } } }").await.data();
        lin.run("query($n: Int) { tasks(first: $n) { nodes { notes } } }", json!({"n": 40})).await.data();
        lin.ask("{ viewer { id } }").await.data();
        assert_eq!(lin.ask("{ viewer { id } }").await.code(), "RATE_LIMITED");
        // Over a socket too; opening it counts for the address.
        let mut socket = Socket::init(&app, json!({"authorization": format!("Bearer {}", lin.token())})).await;
        let refused = socket.ask("{ viewer { id } }").await;
        assert_eq!(refused[0]["extensions"]["code"], "RATE_LIMITED");
        assert!(refused[0]["extensions"]["retryAfterSeconds"].is_number(), "{refused}");
        // The address has taken 2 + 4 + 6 + 1 of 20. What is refused counts, whatever the reason.
        for _ in 0..2 {
            assert_eq!(app.anonymous().ask("{ nothing(").await.code(), "GRAPHQL_PARSE_FAILED");
            assert_eq!(app.anonymous().with_token("nonsense").ask("{ __typename }").await.code(), "UNAUTHENTICATED");
            assert_eq!(Reply::of(app.anonymous().post("/graphql").body("x")).await.status, 415);
        }
        assert_eq!(app.anonymous().ask("{ __typename }").await.data(), &json!({"__typename": "Query"}));
        assert_eq!(app.anonymous().ask("{ nothing(").await.code(), "RATE_LIMITED");
        assert_eq!(app.anonymous().with_token("nonsense").ask("{ __typename }").await.code(), "RATE_LIMITED");
        assert_eq!(Reply::of(app.anonymous().post("/graphql").body("x")).await.status, 429);
        app.stop().await;
    }

    async fn one_address_has_only_so_many_connections() {
        let app = start(&[("HTTP__MAX_CONNECTIONS_PER_ADDRESS", "3")]).await;
        let address = app.base_url.trim_start_matches("http://");
        let is_served = async |stream: &mut TcpStream| {
            let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n");
            let mut reply = [0; 4096];
            let sent = stream.write_all(request.as_bytes()).await;
            sent.is_ok() && stream.read(&mut reply).await.is_ok() && reply.starts_with(b"HTTP/1.1 200")
        };
        let mut open = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            assert!(is_served(&mut stream).await);
            open.push(stream);
        }
        let mut further = TcpStream::connect(address).await.expect("a connection");
        assert!(!is_served(&mut further).await);
        assert!(is_served(&mut open[0]).await, "those that are open go on");
        open.clear();
        let mut tries = 0;
        while !is_served(&mut TcpStream::connect(address).await.expect("a connection")).await {
            assert!(tries < 100, "its places are never free");
            tries += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        app.stop().await;
    }

    async fn asking_for_user_names_counts_as_signing_in() {
        let app = start(&[("RATE_LIMIT__AUTH_PER_ADDRESS", "4")]).await;
        let query = "{ a: usernameAvailable(username: \"lin\") b: usernameAvailable(username: \"mei\") }";
        for _ in 0..2 {
            app.anonymous().ask(query).await.data();
        }
        assert_eq!(app.anonymous().ask(query).await.code(), "RATE_LIMITED");
        assert_eq!(sign_in(&app.anonymous(), "lin", "wrong").await.code(), "RATE_LIMITED");
        app.stop().await;
    }

    async fn wrong_passwords_make_waiting_longer() {
        let app = start(&[]).await;
        let client = app.anonymous();
        client.ask("mutation { register(input: {username: \"lin\", password: \"Tr4verse-it\"}) { user { id } } }").await.data();
        for _ in 0..5 {
            assert_eq!(sign_in(&client, "LIN", "wrong").await.code(), "INVALID_CREDENTIALS");
        }
        let refused = sign_in(&client, "lin", "Tr4verse-it").await;
        assert_eq!(refused.status, 200);
        assert!((55..=60).contains(&wait_of(&refused)));
        assert_eq!(sign_in(&client, "nobody", "wrong").await.code(), "INVALID_CREDENTIALS");
        app.advance(TimeDelta::seconds(61));
        assert_eq!(sign_in(&client, "lin", "wrong").await.code(), "INVALID_CREDENTIALS");
        assert_eq!(wait_of(&sign_in(&client, "lin", "Tr4verse-it").await), 120);
        app.advance(TimeDelta::seconds(121));
        sign_in(&client, "lin", "Tr4verse-it").await.data();
        for _ in 0..5 {
            assert_eq!(sign_in(&client, "lin", "wrong").await.code(), "INVALID_CREDENTIALS", "the right one forgives");
        }
        // A flood gets no further than one try after the other.
        let many = (0..40).map(|_| sign_in(&client, "mei", "wrong"));
        let replies = futures_util::future::join_all(many).await;
        let tried = replies.iter().filter(|reply| reply.code() == "INVALID_CREDENTIALS").count();
        assert!(tried <= 5, "{tried}");
        app.stop().await;
    }

    async fn an_address_is_believed_from_trusted_proxies_only() {
        let app = start(&[("HTTP__TRUSTED_PROXIES", "127.0.0.1"), ("HTTP__FORWARDING_HEADER", "x-forwarded-for"),
            ("RATE_LIMIT__FAILURES_PER_ADDRESS", "7")]).await;
        for _ in 0..5 {
            assert_eq!(sign_in_from(&app, "192.0.2.1", "lin").await.code(), "INVALID_CREDENTIALS");
        }
        assert_eq!(sign_in_from(&app, "9.9.9.9, 192.0.2.1", "lin").await.code(), "RATE_LIMITED");
        assert_eq!(sign_in_from(&app, "192.0.2.2", "lin").await.code(), "INVALID_CREDENTIALS");
        for name in ["a", "b"] {
            assert_eq!(sign_in_from(&app, "192.0.2.1", name).await.code(), "INVALID_CREDENTIALS");
        }
        assert_eq!(sign_in_from(&app, "192.0.2.1", "c").await.code(), "RATE_LIMITED");
        app.stop().await;
        let app = start(&[]).await;
        for i in 0..5 {
            assert_eq!(sign_in_from(&app, &format!("192.0.2.{i}"), "lin").await.code(), "INVALID_CREDENTIALS");
        }
        assert_eq!(sign_in_from(&app, "192.0.2.9", "lin").await.code(), "RATE_LIMITED");
        app.stop().await;
    }
}
