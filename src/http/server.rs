//! The listener: connections that are cut off when their client is too slow, or when there are too many.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::{Request, StatusCode};
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Sleep};

use crate::http::entry::Entry;
use crate::http::pending::Unsent;
use crate::platform::address::site_of;
use crate::platform::config::HttpConfig;
use crate::platform::tally::{Counted, Tally};

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
    entry: Entry,
    listener: TcpListener,
    config: &HttpConfig,
    stop: impl Future<Output = ()> + Send,
    grace: Duration,
) {
    let mut builder = http1::Builder::new();
    // Its own timeout for headers would set a timer for each request; `Connection` has one for all.
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(MAX_HEADER_BYTES);
    let places = Arc::new(Semaphore::new(config.max_connections));
    let by_address = Tally::new(config.max_connections_per_address);
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
        let address = peer.ip().to_canonical();
        let counted = by_address.count(site_of(address));
        if counted.is_none() && !entry.is_proxy(address) {
            // Closed unread, for to answer it would cost more than it is worth.
            continue;
        }
        // Failing that, answers are a little slower.
        stream.set_nodelay(true).unwrap_or_default();
        let requests = Arc::new(Requests::default());
        let io = TokioIo::new(Connection {
            stream: Some(stream),
            has_ended: false,
            stalled: None,
            write_timeout: config.write_timeout,
            head: HeadTimer::new(config.header_timeout, Arc::clone(&requests)),
            place: Some((place, counted)),
        });
        let entry = entry.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            requests.begun.fetch_add(1, Ordering::Relaxed);
            let requests = Arc::clone(&requests);
            let answer = entry.clone().answer(request, peer);
            answer.map(move |mut response| {
                requests.unsent.keep(response.extensions_mut().remove());
                // What is a socket from now on has no more heads.
                if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    requests.answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, Infallible>(response)
            })
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

/// The requests of one connection.
#[derive(Debug, Default)]
struct Requests {
    begun: AtomicUsize,
    answered: AtomicUsize,
    unsent: Unsent,
}

/// Ends a connection whose client is too slow to send the head of a request, the first or the next.
/// Time goes by from the last answer, not from the last byte that came.
struct HeadTimer {
    timeout: Duration,
    requests: Arc<Requests>,
    /// When the last answer was written, at first when the connection began.
    since: Instant,
    /// Set once for many requests: when it is over, what is left of the time is looked at.
    timer: Pin<Box<Sleep>>,
}

impl HeadTimer {
    fn new(timeout: Duration, requests: Arc<Requests>) -> Self {
        let since = Instant::now();
        Self {
            timeout,
            requests,
            since,
            timer: Box::pin(tokio::time::sleep_until(since + timeout)),
        }
    }

    /// Whether the time is over, while the client sends nothing.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let Requests {
                begun, answered, ..
            } = &*self.requests;
            let is_idle = begun.load(Ordering::Relaxed) == answered.load(Ordering::Relaxed);
            let due = match is_idle {
                true => self.since + self.timeout,
                // What it waits for is ours.
                false => now + self.timeout,
            };
            if due <= now {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

/// A connection that fails when its client takes nothing of what is sent for too long, and that is closed gently.
struct Connection {
    stream: Option<TcpStream>,
    /// The client will send nothing more.
    has_ended: bool,
    stalled: Option<Pin<Box<Sleep>>>,
    write_timeout: Duration,
    head: HeadTimer,
    place: Option<(OwnedSemaphorePermit, Option<Counted<IpAddr>>)>,
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
            // A long reply is still on its way.
            self.head.since = Instant::now();
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
        let Poll::Ready(result) = self.stream()?.poll_read(cx, buffer) else {
            ready!(self.head.poll_over(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        };
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
        ready!(self.stream()?.poll_flush(cx))?;
        // The connection asks for it once it has written all that it has.
        self.head.requests.unsent.sent();
        Poll::Ready(Ok(()))
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
