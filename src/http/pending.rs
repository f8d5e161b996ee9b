//! Large replies that clients have not taken yet: they share an amount of memory, and each has only so much time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::graphql::error::{ApiError, ErrorCode};
use crate::http::reply::Refusal;
use crate::platform::config::HttpConfig;
use crate::platform::locale::Message;

/// Replies up to this size are sent as they are: there are few of them in 10,000 connections.
const SMALL: usize = 64 << 10;
/// How much of a large reply is handed to the connection at once.
const CHUNK: usize = 64 << 10;
/// How long a reply may wait for others to be taken.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time for a whole reply, in times of that without any progress.
const TIMES: u32 = 6;

/// The memory that large replies share.
#[derive(Debug, Clone)]
pub struct Pending {
    room: Arc<Semaphore>,
    time: Duration,
}

impl Pending {
    /// All of it free.
    pub fn new(config: &HttpConfig) -> Self {
        Self {
            room: Arc::new(Semaphore::new(config.max_pending_bytes as usize)),
            time: config.write_timeout * TIMES,
        }
    }

    /// Room for a reply of `size` bytes, until what is returned is dropped; a small one needs none.
    ///
    /// # Errors
    /// RATE_LIMITED when other clients are too slow to take theirs.
    pub(crate) async fn reserve(
        &self,
        size: usize,
    ) -> Result<Option<OwnedSemaphorePermit>, ApiError> {
        if size <= SMALL {
            return Ok(None);
        }
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(size);
        match tokio::time::timeout(PATIENCE, room).await {
            Ok(Ok(room)) => Ok(Some(room)),
            _ => Err(ApiError::new(ErrorCode::RateLimited)
                .with_retry_after(Some(5))
                .with_message(Message::new(
                    "服务器繁忙，请稍后再试",
                    "The server is busy, please try again later",
                ))),
        }
    }
}

impl Pending {
    /// The reply as it is sent: a large one in pieces, in the room that it needs.
    pub(crate) async fn hold(
        &self,
        reply: Response,
        headers: &HeaderMap,
        request_id: &str,
    ) -> Response {
        let size = reply.body().size_hint().exact().unwrap_or_default();
        let room = match self.reserve(size as usize).await {
            Ok(None) => return reply,
            Ok(room) => room,
            Err(error) => {
                return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error)
                    .into_response(headers, request_id);
            }
        };
        let (mut parts, body) = reply.into_parts();
        // It is in memory already; nothing can fail.
        let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
        parts
            .headers
            .insert(header::CONTENT_LENGTH, bytes.len().into());
        let deadline = Instant::now() + self.time;
        Response::from_parts(parts, in_pieces(bytes, room, deadline))
    }
}

fn in_pieces(bytes: Bytes, room: Option<OwnedSemaphorePermit>, deadline: Instant) -> Body {
    let pieces = stream::unfold((bytes, room), move |(mut rest, room)| async move {
        if rest.is_empty() {
            return None;
        }
        if Instant::now() > deadline {
            return Some((
                Err(io::Error::from(io::ErrorKind::TimedOut)),
                (Bytes::new(), room),
            ));
        }
        let piece = rest.split_to(CHUNK.min(rest.len()));
        Some((Ok(piece), (rest, room)))
    });
    Body::from_stream(pieces)
}
