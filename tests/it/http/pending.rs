//! Large replies that clients do not take.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::socket::Socket;
use crate::harness::{Engine, Reply, TestApp, once};

once! {
    async fn share_memory_and_give_it_back() {
        let app = TestApp::start_with(Engine::Sqlite, &[("HTTP__MAX_PENDING_BYTES", "4194304")]).await;
        let lin = app.user("lin").await;
        for _ in 0..100 {
            let notes = "学".repeat(10_000);
            lin.run("mutation($n: String!) { createTask(input: {title: \"a\", notes: $n}) { task { id } } }", json!({"n": notes})).await.data();
        }
        let query = json!({"query": "{ tasks(first: 100) { nodes { notes } } }"});
        let whole = Reply::of(lin.post("/graphql").json(&query)).await;
        assert_eq!(whole.data()["tasks"]["nodes"].as_array().map(Vec::len), Some(100));
        assert!(whole.headers.contains_key("content-length"));

        // A client whose system takes next to nothing for it, and that does not read.
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a size");
        let address = app.base_url.trim_start_matches("http://").parse().expect("an address");
        let mut slow = socket.connect(address).await.expect("a connection");
        let body = query.to_string();
        let head = format!(
            "POST /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
            lin.token(), body.len()
        );
        slow.write_all(head.as_bytes()).await.expect("it is sent");
        tokio::time::sleep(Duration::from_millis(500)).await;

        let refused = Reply::of(lin.post("/graphql").json(&query)).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (503, "SERVICE_UNAVAILABLE"));
        let mut socket = Socket::init(&app, json!({"authorization": format!("Bearer {}", lin.token())})).await;
        let refused = socket.ask("{ tasks(first: 100) { nodes { notes } } }").await;
        assert_eq!(refused["errors"][0]["extensions"]["code"], "SERVICE_UNAVAILABLE");
        lin.ask("{ viewer { id } }").await.data();

        let mut answer = Vec::new();
        slow.read_to_end(&mut answer).await.expect("the answer");
        assert!(answer.len() > 3_000_000, "{}", answer.len());
        Reply::of(lin.post("/graphql").json(&query)).await.data();
        assert!(socket.ask("{ tasks(first: 100) { nodes { notes } } }").await["data"].is_object());
        app.stop().await;
    }
}
