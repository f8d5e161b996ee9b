//! The handshake (RFC 6455, section 4.2). Ours, because the framework's would not let us watch the
//! bytes that come.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocketConfig};

use super::frames::Watched;
use crate::http::arriving::Arrivals;

/// What is read from the network at once. The library's own 128 KiB would be taken for every idle
/// socket.
const READ_BUFFER: usize = 2048;

/// A socket of which the bytes are watched.
pub(super) type Socket = WebSocketStream<Watched<TokioIo<Upgraded>>>;

/// What a client sent to open a socket.
pub(super) struct Handshake {
    accept: HeaderValue,
    protocols: Vec<String>,
    upgrade: OnUpgrade,
}

/// How messages are taken in.
pub(super) struct Intake {
    pub(super) max_bytes: usize,
    pub(super) timeout: Duration,
    pub(super) arrivals: Arrivals,
    pub(super) address: IpAddr,
}

impl Handshake {
    /// The handshake of a request.
    ///
    /// # Errors
    /// The status that says what is wrong with it.
    pub(super) fn of(parts: &mut Parts) -> Result<Self, StatusCode> {
        let headers = &parts.headers;
        if parts.method != Method::GET {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        let is = |name: HeaderName, value: &str| tokens(headers, name).any(|token| token == value);
        if !is(header::CONNECTION, "upgrade")
            || !is(header::UPGRADE, "websocket")
            || !is(header::SEC_WEBSOCKET_VERSION, "13")
        {
            return Err(StatusCode::BAD_REQUEST);
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY);
        let key = key.ok_or(StatusCode::BAD_REQUEST)?;
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
        let accept = accept.map_err(|_| StatusCode::BAD_REQUEST)?;
        let protocols = values(headers, header::SEC_WEBSOCKET_PROTOCOL);
        let protocols = protocols.map(str::to_owned).collect();
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        Ok(Self {
            accept,
            protocols,
            upgrade: upgrade.ok_or(StatusCode::UPGRADE_REQUIRED)?,
        })
    }

    /// The subprotocols that the client offers.
    pub(super) fn protocols(&self) -> &[String] {
        &self.protocols
    }

    /// The answer, which says `protocol` if there is one to say.
    pub(super) fn response(&self, protocol: Option<&str>) -> Response {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        if let Some(Ok(protocol)) = protocol.map(HeaderValue::from_str) {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        response
    }

    /// The socket, once the answer is sent; `None` when the client has gone.
    pub(super) async fn open(self, intake: Intake) -> Option<Socket> {
        let io = TokioIo::new(self.upgrade.await.ok()?);
        let config = WebSocketConfig::default()
            .max_message_size(Some(intake.max_bytes))
            .max_frame_size(Some(intake.max_bytes))
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0);
        let io = Watched::new(io, intake.arrivals, intake.address, intake.timeout);
        Some(WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await)
    }
}

/// The elements of a list, from all headers of the name.
fn values(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

/// As [`values`], in lower case.
fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = String> {
    values(headers, name).map(str::to_ascii_lowercase)
}
