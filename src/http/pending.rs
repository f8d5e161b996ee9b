//! Replies that clients have not taken yet: they share an amount of memory, of which each caller
//! has a part, and each has only so much time.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use futures_util::stream;
use tokio::time::Instant;

use crate::graphql::error::{ApiError, ErrorCode};
use crate::http::reply::Refusal;
use crate::platform::config::HttpConfig;
use crate::platform::request::Caller;
use crate::platform::shares::{Claim, Share, Shares};

/// Replies up to this size are sent as they are: 10,000 connections hold 40 MB of them.
const SMALL: usize = 4 << 10;
/// How much of a large reply is handed to the connection at once.
const CHUNK: usize = 64 << 10;
/// How long a reply may wait for others to be taken, and how many may.
const PATIENCE: Duration = Duration::from_secs(2);
const QUEUE: usize = 1024;
/// Time for a whole reply, in times of that without any progress.
const TIMES: u32 = 6;

/// The memory that replies share.
#[derive(Debug, Clone)]
pub struct Pending {
    room: Shares<1>,
    /// For those that wait for others to be taken.
    waiting: Shares<1>,
    per_caller: u64,
    time: Duration,
}

/// Whose reply it is, and to what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder {
    pub(crate) caller: Caller,
    pub(crate) is_query: bool,
}

/// Room for one reply, until the last of those who have it drops it.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Share<1>>);

/// What a connection keeps of the reply that it is sending: hyper takes the body long before the
/// client does.
#[derive(Debug, Default)]
pub(crate) struct Unsent(Mutex<Vec<Room>>);

impl Unsent {
    /// Keeps the room of a reply until it is sent.
    pub(crate) fn keep(&self, room: Option<Room>) {
        if let Some(room) = room {
            let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            rooms.push(room);
        }
    }

    /// Everything that was handed over so far has been sent. A body that goes on keeps its room.
    pub(crate) fn sent(&self) {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.retain(|Room(share)| Arc::strong_count(share) > 1);
    }
}

impl Pending {
    /// All of it free.
    pub fn new(config: &HttpConfig) -> Self {
        Self {
            room: Shares::new([config.max_pending_bytes], [0], QUEUE),
            waiting: Shares::new([config.max_pending_bytes], [0], 0),
            per_caller: config.pending_bytes_per_caller,
            time: config.write_timeout * TIMES,
        }
    }

    /// Room for a reply of `size` bytes, until what is returned is dropped. One that is larger than
    /// the part of its caller takes all of it.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when the caller, or others, are too slow to take theirs; of what may
    /// have changed something REQUEST_TIMEOUT.
    pub(crate) async fn reserve(&self, holder: Holder, size: usize) -> Result<Room, ApiError> {
        let caller = holder.caller;
        let refusal = || match holder.is_query {
            true => ApiError::unavailable(),
            false => ApiError::new(ErrorCode::RequestTimeout),
        };
        let claim = Claim {
            need: [self.per_caller.min(size as u64)],
            share: [self.per_caller],
        };
        let room = match self.room.try_take(caller, claim) {
            Some(room) => Some(room),
            None => {
                let waiting = self.waiting.try_take(caller, claim);
                let _waiting = waiting.ok_or_else(refusal)?;
                let room = self.room.take(caller, claim);
                let room = tokio::time::timeout(PATIENCE, room).await;
                room.ok().and_then(Result::ok)
            }
        };
        match room {
            Some(room) => Ok(Room(Arc::new(room))),
            None => Err(refusal()),
        }
    }
}

impl Pending {
    /// The reply as it is sent: in the room that it needs, a large one in pieces.
    pub(crate) async fn hold(
        &self,
        holder: Holder,
        reply: Response,
        headers: &HeaderMap,
        request_id: &str,
    ) -> Response {
        let size = reply.body().size_hint().exact().unwrap_or_default() as usize;
        if size <= SMALL {
            return reply;
        }
        let room = match self.reserve(holder, size).await {
            Ok(room) => room,
            Err(error) => {
                return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error)
                    .into_response(headers, request_id);
            }
        };
        let mut reply = reply;
        reply.extensions_mut().insert(room.clone());
        if size <= CHUNK {
            return reply;
        }
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

fn in_pieces(bytes: Bytes, room: Room, deadline: Instant) -> Body {
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
