use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::harness::{TestApp, on_each_database};

/// A WebSocket as a client library would use it.
struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(app: &TestApp, protocols: Option<&str>) -> Self {
        let url = format!("{}/graphql/ws", app.base_url.replace("http:", "ws:"));
        let mut request = url.into_client_request().expect("a request");
        if let Some(protocols) = protocols {
            request.headers_mut().insert(
                "Sec-WebSocket-Protocol",
                protocols.parse().expect("a header"),
            );
        }
        let (socket, response) = connect_async(request).await.expect("a socket");
        let expected = protocols
            .filter(|p| p.contains("graphql-transport-ws"))
            .map(|_| "graphql-transport-ws");
        let answered = response
            .headers()
            .get("Sec-WebSocket-Protocol")
            .map(|p| p.to_str().expect("text"));
        assert_eq!(answered, expected);
        Self(socket)
    }

    async fn send(&mut self, message: Value) {
        self.0
            .send(Message::text(message.to_string()))
            .await
            .expect("it is sent");
    }

    /// The next message, or the code the server closes with.
    async fn next(&mut self) -> Result<Value, u16> {
        loop {
            match self.0.next().await.expect("a message").expect("a frame") {
                Message::Text(text) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Message::Close(frame) => return Err(frame.expect("a close frame").code.into()),
                _ => {}
            }
        }
    }

    async fn init(app: &TestApp, payload: Value) -> Self {
        let mut socket = Self::open(app, Some("graphql-transport-ws")).await;
        socket
            .send(json!({"type": "connection_init", "payload": payload}))
            .await;
        assert_eq!(
            socket.next().await.expect("a message")["type"],
            "connection_ack"
        );
        socket
    }

    async fn ask(&mut self, query: &str) -> Value {
        self.send(json!({"id": "1", "type": "subscribe", "payload": {"query": query}}))
            .await;
        let reply = self.next().await.expect("a message");
        assert_eq!(reply["id"], "1");
        if reply["type"] == "next" {
            assert_eq!(self.next().await.expect("a message")["type"], "complete");
        }
        reply["payload"].clone()
    }
}

on_each_database! {
    async fn runs_queries_and_mutations_signed_in_and_not(app) {
        let lin = app.user("lin").await;
        let mut socket = Socket::init(app, json!({"Authorization": format!("Bearer {}", lin.token())})).await;
        let created = socket.ask("mutation { createTask(input: {title: \"a\", status: null}) { task { title owner { id } } } }").await;
        assert_eq!(created["data"]["createTask"]["task"], json!({"title": "a", "owner": {"id": lin.user_id}}));
        let mut anonymous = Socket::init(app, json!({})).await;
        let refused = anonymous.ask("{ tasks { totalCount } }").await;
        assert_eq!(refused["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
        let wrong = anonymous.ask("{ nothing }").await;
        assert!(wrong.to_string().contains("GRAPHQL_VALIDATION_FAILED"), "{wrong}");
        let deep = anonymous.ask(&"[".repeat(5_000)).await;
        assert!(deep.to_string().contains("QUERY_TOO_COMPLEX"), "{deep}");
    }

    async fn a_session_that_ends_loses_its_socket_rights_at_once(app) {
        let lin = app.user("lin").await;
        let mut socket = Socket::init(app, json!({"authorization": format!("Bearer {}", lin.token())})).await;
        socket.ask("{ viewer { id } }").await;
        lin.ask("mutation { logout { endedSessions } }").await.data();
        let reply = socket.ask("{ viewer { id } }").await;
        assert!(reply.to_string().contains("TOKEN_REVOKED"), "{reply}");
    }

    async fn closes_with_the_codes_of_the_protocol(app) {
        let mut bad_token = Socket::open(app, Some("graphql-transport-ws")).await;
        bad_token.send(json!({"type": "connection_init", "payload": {"Authorization": "Bearer nonsense"}})).await;
        assert_eq!(bad_token.next().await, Err(4403));
        let mut too_early = Socket::open(app, Some("graphql-transport-ws")).await;
        too_early.send(json!({"id": "1", "type": "subscribe", "payload": {"query": "{ viewer { id } }"}})).await;
        assert_eq!(too_early.next().await, Err(4401));
        let mut twice = Socket::init(app, json!({})).await;
        twice.send(json!({"type": "connection_init"})).await;
        assert_eq!(twice.next().await, Err(4429));
        let mut nonsense = Socket::init(app, json!({})).await;
        nonsense.send(json!({"type": "nonsense"})).await;
        assert_eq!(nonsense.next().await, Err(4400));
    }

    async fn speaks_only_graphql_transport_ws(app) {
        for protocols in [None, Some("graphql-ws"), Some("chat")] {
            let mut socket = Socket(match protocols {
                None => Socket::open(app, None).await.0,
                Some(name) => {
                    // A client that insists on its protocol gives up in the handshake; this one looks at the frame.
                    let url = format!("{}/graphql/ws", app.base_url.replace("http:", "ws:"));
                    let mut request = url.into_client_request().expect("a request");
                    request.headers_mut().insert("Sec-WebSocket-Protocol", name.parse().expect("a header"));
                    match connect_async(request).await {
                        Ok((socket, _)) => socket,
                        Err(_) => continue,
                    }
                }
            });
            assert_eq!(socket.next().await, Err(4406));
        }
        let mut both = Socket::open(app, Some("graphql-ws, graphql-transport-ws")).await;
        both.send(json!({"type": "connection_init"})).await;
        assert_eq!(both.next().await.expect("a message")["type"], "connection_ack");
        both.send(json!({"type": "ping"})).await;
        assert_eq!(both.next().await.expect("a message")["type"], "pong");
    }

    async fn a_bad_token_in_the_handshake_is_401(app) {
        let url = format!("{}/graphql/ws", app.base_url.replace("http:", "ws:"));
        let mut request = url.into_client_request().expect("a request");
        request.headers_mut().insert("Authorization", "Bearer nonsense".parse().expect("a header"));
        match connect_async(request).await {
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => assert_eq!(response.status(), 401),
            other => panic!("{other:?}"),
        }
    }
}
