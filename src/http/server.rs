//! The listener: connections that are cut off when their client is too slow, or when there are too many.

use std::future::Future;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Sleep;
use tower::ServiceExt;

use crate::http::parameters::malformed;
use crate::http::reply::Refusal;
use crate::http::request_id::REQUEST_ID;
use crate::platform::config::HttpConfig;
use crate::platform::id::new_id;

/// Longest head of a request; also how much of a body is read at once. The library's own 400 KiB would be held for every client
/// that does not finish its headers.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// How long to wait when no connection can be accepted, most likely because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How much, and how long, a client that was answered early may go on sending. Closing at once would make the system tell it
/// of a broken connection before it has read the answer.
const LINGER_BYTES: u64 = 16 << 20;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// Serves until `stop` is done, then lets the requests under way take `grace` at most.
///
/// The connections of `axum::serve` wait for headers without a limit, and so does the part of hyper-util that looks whether a
/// client speaks HTTP/2.
pub async fn serve(
    router: Router,
    listener: TcpListener,
    config: &HttpConfig,
    stop: impl Future<Output = ()> + Send,
    grace: Duration,
) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_buf_size(MAX_HEADER_BYTES);
    let places = Arc::new(Semaphore::new(config.max_connections));
    let stopping = watch::Sender::new(());
    let mut stop = pin!(stop);
    loop {
        // The system keeps those who come while there is no place, up to a point.
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let (Ok(place), Ok((stream, peer))) = (place, accepted) else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Failing that, answers are a little slower.
        stream.set_nodelay(true).unwrap_or_default();
        let io = TokioIo::new(Connection {
            stream: Some(stream),
            has_ended: false,
            stalled: None,
            write_timeout: config.write_timeout,
            place: Some(place),
        });
        let router = router.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request
                .extensions_mut()
                .insert(ConnectInfo::<SocketAddr>(peer));
            router.clone().oneshot(request)
        });
        let connection = builder.serve_connection(io, service).with_upgrades();
        let mut stopping = stopping.subscribe();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let result = tokio::select! {
                result = &mut connection => result,
                _ = stopping.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            // A client that is slow, leaves or talks nonsense is no news.
            if let Err(error) = result {
                tracing::debug!(%error, "A connection ended early");
            }
        });
    }
    drop(listener);
    stopping.send_replace(());
    // Every connection holds a receiver.
    if tokio::time::timeout(grace, stopping.closed())
        .await
        .is_err()
    {
        tracing::warn!("Stopping with requests still under way");
    }
}

/// Refuses requests that do not say in one way which host they are for (RFC 9112, section 3.2): a
/// proxy on the way may have read another `Host` than this server would.
pub(crate) async fn require_host(request: Request<Body>, next: Next) -> Response {
    let headers = request.headers();
    let mut hosts = headers.get_all(header::HOST).iter();
    let error = match (hosts.next(), hosts.next()) {
        (Some(host), None) if host.to_str().is_ok_and(|host| host_of(host).is_some()) => None,
        (Some(_), None) => Some(malformed(
            "Host 请求头格式不正确",
            "the Host header is no host and port",
        )),
        (Some(_), Some(_)) => Some(malformed(
            "请求只能有一个 Host 请求头",
            "the request has more than one Host header",
        )),
        // HTTP/1.0 knew none.
        (None, _) if request.version() < Version::HTTP_11 => None,
        (None, _) => Some(malformed(
            "请求缺少 Host 请求头",
            "the request has no Host header",
        )),
    };
    match error {
        Some(error) => {
            let refusal = Refusal::new(StatusCode::BAD_REQUEST, error);
            refuse(headers, refusal.closing())
        }
        None => next.run(request).await,
    }
}

/// The host of `host[:port]`, an IPv6 address in its brackets; `None` when that is not what `text` is
/// (RFC 3986, sections 3.2.2 and 3.2.3).
pub(crate) fn host_of(text: &str) -> Option<&str> {
    let after_host = match text.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at_checked(after_host)?;
    let is_port = match port.strip_prefix(':') {
        Some("") => true,
        Some(digits) => digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    let is_host = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_name(host),
    };
    (is_host && is_port).then_some(host)
}

/// Whether this is a name or an IPv4 address, as URLs have them.
fn is_name(host: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&b);
    let mut parts = host.split('%');
    let is_encoded = |part: &str| {
        let hex = part.as_bytes().get(..2);
        hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    !host.is_empty()
        && parts.next().is_some_and(|part| part.bytes().all(is_plain))
        && parts.all(|part| is_encoded(part) && part.bytes().all(is_plain))
}

/// The reply to a request that goes no further; it has an id although nothing else has given it one.
pub(crate) fn refuse(headers: &HeaderMap, refusal: Refusal) -> Response {
    let id = new_id().to_string();
    let mut response = refusal.into_response(headers, &id);
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// A connection that fails when its client takes nothing of what is sent for too long, and that is closed gently.
struct Connection {
    stream: Option<TcpStream>,
    /// The client will send nothing more.
    has_ended: bool,
    stalled: Option<Pin<Box<Sleep>>>,
    write_timeout: Duration,
    place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        match &mut self.stream {
            Some(stream) => Ok(Pin::new(stream)),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Turns a write that makes no progress into an error in time.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let timeout = self.write_timeout;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(self.stream()?.poll_read(cx, buffer));
        self.has_ended |= result.is_err() || buffer.filled().len() == before;
        Poll::Ready(result)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = self.stream()?.poll_write(cx, bytes);
        self.watch(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = self.stream()?.poll_write_vectored(cx, slices);
        self.watch(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(stream) = self.stream.take() else {
            return;
        };
        if self.has_ended || self.stalled.is_some() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // It is an open file until then, so it keeps its place.
            let place = self.place.take();
            runtime.spawn(async move {
                // A client that goes on sending is cut off.
                drop(tokio::time::timeout(LINGER_TIME, linger(stream)).await);
                drop(place);
            });
        }
    }
}

/// Ends our side and reads what the client was still sending.
async fn linger(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut scratch = [0; 4096];
    let mut left = LINGER_BYTES;
    while left > 0 {
        match stream.read(&mut scratch).await? as u64 {
            0 => break,
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_hosts_from_what_is_none() {
        for (text, host) in [
            ("example.com", "example.com"),
            ("example.com:8000", "example.com"),
            ("example.com:", "example.com"),
            ("my_service:80", "my_service"),
            ("xn--fsqu00a.example", "xn--fsqu00a.example"),
            ("%E4%BE%8B:1", "%E4%BE%8B"),
            ("10.0.2.2:8000", "10.0.2.2"),
            ("[::1]", "[::1]"),
            ("[fe80::1]:8000", "[fe80::1]"),
        ] {
            assert_eq!(host_of(text), Some(host), "{text}");
        }
        for text in [
            "",
            ":8000",
            "a b",
            "a/b",
            "me@example.com",
            "example.com:http",
            "example.com:+80",
            "example.com:65536",
            "example.com:80:80",
            "a, b",
            "例子",
            "%E",
            "%zz",
            "%",
            "::1",
            "[",
            "[]",
            "[::1",
            "[::1]8000",
            "[::1].example.com",
            "[::g]",
            "[1.2.3.4]",
            "]",
            "a[b]",
        ] {
            assert_eq!(host_of(text), None, "{text}");
        }
    }
}
