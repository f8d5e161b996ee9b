//! Request bodies: too large, packed, slow, cut off.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Engine, Reply, TestApp, on_each_database, once};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("it is packed");
    encoder.finish().expect("it is packed")
}

async fn packed(app: &TestApp, encoding: &str, body: Vec<u8>) -> Reply {
    let request = app.anonymous().post("/graphql");
    Reply::of(
        request
            .header("Content-Type", "application/json")
            .header("Content-Encoding", encoding)
            .body(body),
    )
    .await
}

/// Writes `head`, waits for the end of the connection and returns what came back.
async fn raw(app: &TestApp, head: &str) -> String {
    let mut stream = TcpStream::connect(app.base_url.trim_start_matches("http://"))
        .await
        .expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), reading)
        .await
        .expect("the server ends it")
        .expect("an end");
    String::from_utf8(answer).expect("text")
}

on_each_database! {
    async fn may_be_packed(app) {
        let body = json!({"query": "{ __typename }"}).to_string();
        assert_eq!(packed(app, "gzip", gzip(body.as_bytes())).await.data(), &json!({"__typename": "Query"}));
        let typename = json!({"__typename": "Query"});
        // Several members are one text (RFC 1952, section 2.2).
        let (begin, end) = body.as_bytes().split_at(9);
        assert_eq!(packed(app, "gzip", [gzip(begin), gzip(end)].concat()).await.data(), &json!({"__typename": "Query"}));
        for encoding in ["x-gzip", "X-GZip", " gzip ", ",gzip,", "identity, gzip"] {
            let reply = packed(app, encoding, gzip(body.as_bytes())).await;
            assert_eq!(reply.data(), &typename, "{encoding}");
        }
        for encoding in ["identity", "", " ", ",", " , ,", "Identity,"] {
            let reply = packed(app, encoding, body.clone().into_bytes()).await;
            assert_eq!(reply.data(), &typename, "{encoding}");
        }
        assert_eq!(packed(app, "gzip", body.clone().into_bytes()).await.status, 400);
        for encoding in ["br", "gzip, br", "deflate", "compress", "x"] {
            let reply = packed(app, encoding, body.clone().into_bytes()).await;
            assert_eq!(reply.status, 415, "{encoding}");
        }
        assert_eq!(packed(app, "gzip, gzip", gzip(&gzip(body.as_bytes()))).await.status, 415);
    }

    async fn is_limited_however_it_comes(app) {
        let large = json!({"query": format!("{{ __typename }} # {}", "x".repeat(300_000))}).to_string();
        let announced = app.anonymous().post("/graphql").header("Content-Type", "application/json").body(large.clone());
        assert_eq!(Reply::of(announced).await.status, 413);
        let chunks = futures_util::stream::iter(large.into_bytes().chunks(8192).map(|c| Ok::<_, std::io::Error>(c.to_vec())).collect::<Vec<_>>());
        let chunked = app.anonymous().post("/graphql").header("Content-Type", "application/json").body(reqwest::Body::wrap_stream(chunks));
        assert_eq!(Reply::of(chunked).await.status, 413);
        // 100 MB of zeros in 100 KB.
        assert_eq!(packed(app, "gzip", gzip(&vec![0; 100 << 20])).await.status, 413);
        let ten_megabytes = app.anonymous().post("/graphql").header("Content-Type", "application/json").body(vec![b' '; 10 << 20]);
        assert_eq!(Reply::of(ten_megabytes).await.status, 413);
    }
}

once! {
    async fn slow_clients_are_cut_off() {
        let settings = [("HTTP__HEADER_TIMEOUT_MS", "300"), ("HTTP__BODY_TIMEOUT_MS", "300")];
        let app = TestApp::start_with(Engine::Sqlite, &settings).await;
        assert_eq!(raw(&app, "").await, "");
        assert_eq!(raw(&app, "POST /graphql HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await, "");
        let slow_body = "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"query\"";
        let answer = raw(&app, slow_body).await;
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("REQUEST_TIMEOUT"), "{answer}");
        app.anonymous().ask("{ __typename }").await.data();
        app.stop().await;
    }

    async fn connections_beyond_the_limit_wait_for_a_place() {
        let settings = [("HTTP__MAX_CONNECTIONS", "1"), ("HTTP__HEADER_TIMEOUT_MS", "1000")];
        let app = TestApp::start_with(Engine::Sqlite, &settings).await;
        let mut silent = TcpStream::connect(app.base_url.trim_start_matches("http://")).await.expect("a connection");
        // The first to come has the only place, until its time is over.
        silent.write_all(b"GET /healthz HTTP/1.1\r\n").await.expect("it is sent");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut other = Box::pin(raw(&app, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        assert!(tokio::time::timeout(Duration::from_millis(200), &mut other).await.is_err(), "there is no place");
        assert!(silent.read_u8().await.is_err(), "the first is cut off");
        let answer = (&mut other).await;
        drop(other);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        app.stop().await;
    }
}
