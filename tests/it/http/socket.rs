//! A WebSocket as a client library would use it.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

use crate::harness::TestApp;

/// A connection that speaks `graphql-transport-ws`, or should.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Offers `protocols`; the server answers with the one it speaks, or repeats the first to tell why it closes.
    pub(crate) async fn open(app: &TestApp, protocols: Option<&str>) -> Self {
        Self::open_at(&app.base_url, protocols).await
    }

    pub(crate) async fn open_at(base_url: &str, protocols: Option<&str>) -> Self {
        let url = format!("{}/graphql/ws", base_url.replace("http:", "ws:"));
        let mut request = url.into_client_request().expect("a request");
        if let Some(protocols) = protocols {
            request.headers_mut().insert(
                "Sec-WebSocket-Protocol",
                protocols.parse().expect("a header"),
            );
        }
        let (socket, response) = connect_async(request).await.expect("a socket");
        let answered = response
            .headers()
            .get("Sec-WebSocket-Protocol")
            .map(|p| p.to_str().expect("text"));
        match protocols {
            Some(all) if all.contains("graphql-transport-ws") => {
                assert_eq!(answered, Some("graphql-transport-ws"));
            }
            other => assert_eq!(answered, other),
        }
        Self(socket)
    }

    /// A socket of a client whose system keeps next to nothing of what it does not read.
    pub(crate) async fn open_narrow(app: &TestApp) -> Self {
        let address = app.base_url.trim_start_matches("http://");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a size");
        let stream = socket
            .connect(address.parse().expect("an address"))
            .await
            .expect("a connection");
        let mut request = format!("ws://{address}/graphql/ws")
            .into_client_request()
            .expect("a request");
        request.headers_mut().insert(
            "Sec-WebSocket-Protocol",
            HeaderValue::from_static("graphql-transport-ws"),
        );
        let stream = MaybeTlsStream::Plain(stream);
        let (socket, _) = client_async(request, stream).await.expect("a socket");
        Self(socket)
    }

    /// Opens and initialises.
    pub(crate) async fn init(app: &TestApp, payload: Value) -> Self {
        Self::init_at(&app.base_url, payload).await
    }

    pub(crate) async fn init_at(base_url: &str, payload: Value) -> Self {
        let mut socket = Self::open_at(base_url, Some("graphql-transport-ws")).await;
        socket
            .send(json!({"type": "connection_init", "payload": payload}))
            .await;
        assert_eq!(
            socket.next().await.expect("a message")["type"],
            "connection_ack"
        );
        socket
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.send_raw(Message::text(message.to_string())).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        // A message that is too large may be refused before it is sent in full.
        drop(self.0.send(message).await);
    }

    pub(crate) async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(json!({"id": id, "type": "subscribe", "payload": {"query": query}}))
            .await;
    }

    /// The next message, or the code the server closes with.
    pub(crate) async fn next(&mut self) -> Result<Value, u16> {
        self.next_or_reason().await.map_err(|(code, _)| code)
    }

    /// The next message, or code and reason of the end.
    pub(crate) async fn next_or_reason(&mut self) -> Result<Value, (u16, String)> {
        loop {
            match self.0.next().await.expect("a message").expect("a frame") {
                Message::Text(text) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Message::Close(frame) => {
                    let frame = frame.expect("a close frame");
                    return Err((frame.code.into(), frame.reason.to_string()));
                }
                _ => {}
            }
        }
    }

    /// Runs a query and passes over what other operations have to say before it is answered.
    pub(crate) async fn ask_last(&mut self, query: &str) {
        self.subscribe("1", query).await;
        loop {
            let reply = self.next().await.expect("a message");
            if reply["id"] == "1" && reply["type"] == "complete" {
                return;
            }
        }
    }

    /// Runs a query or mutation: its only response, or the errors that kept it from running.
    pub(crate) async fn ask(&mut self, query: &str) -> Value {
        self.subscribe("1", query).await;
        let reply = self.next().await.expect("a message");
        assert_eq!(reply["id"], "1");
        if reply["type"] == "next" {
            assert_eq!(self.next().await.expect("a message")["type"], "complete");
        }
        reply["payload"].clone()
    }
}
