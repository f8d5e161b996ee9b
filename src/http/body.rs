//! Reading a request body: in time, no more than allowed, unpacked if need be.

use std::future::poll_fn;
use std::io::Read;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::http::{HeaderMap, StatusCode, header};
use flate2::read::MultiGzDecoder;
use tokio::time::Instant;

use crate::gateway::refusal::malformed;
use crate::graphql::error::{ApiError, ErrorCode};
use crate::http::arriving::{Arriving, NoRoom};
use crate::http::reply::Refusal;
use crate::platform::locale::Message;
use crate::platform::task::until;

/// What the connection itself keeps of a body that is still coming, in bytes.
const BUFFER: usize = 64 << 10;

/// Reads the JSON body of a request.
///
/// # Errors
/// 415 for another type or encoding, 413 for more than `max` bytes before or after unpacking, 408 when it takes too long, 400
/// when it is cut off.
pub(crate) async fn read_json<B>(
    headers: &HeaderMap,
    body: B,
    max: usize,
    timeout: Duration,
    room: impl FnOnce() -> Arriving,
) -> Result<Bytes, Refusal>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    // The body is read before anything is said of its type, so that the connection can serve the next request.
    let body = receive(headers, body, max, timeout, room)
        .await
        .map_err(Refusal::closing)?;
    check_type(headers)?;
    match encodings(headers).as_slice() {
        [] => Ok(body),
        // x-gzip is another name of it (RFC 9110, section 8.4.1.3).
        [encoding] if encoding == "gzip" || encoding == "x-gzip" => unpack(&body, max),
        _ => Err(unsupported(
            "Content-Encoding 只支持 gzip",
            "the only Content-Encoding is gzip",
        )),
    }
}

/// What was done to the body, in lower case. Empty elements of the list do not count (RFC 9110,
/// section 5.6.1).
fn encodings(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    values
        // What is no text is no known encoding.
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .map(|element| element.trim().to_ascii_lowercase())
        .filter(|element| !element.is_empty() && element != "identity")
        .collect()
}

fn unsupported(zh: &str, en: &str) -> Refusal {
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, malformed(zh, en))
}

async fn receive<B>(
    headers: &HeaderMap,
    body: B,
    max: usize,
    timeout: Duration,
    room: impl FnOnce() -> Arriving,
) -> Result<Bytes, Refusal>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > max as u64) {
        return Err(too_large(max));
    }
    match until(
        Instant::now() + timeout,
        pin!(collect(body, length, max, room)),
    )
    .await
    {
        Some(body) => body,
        None => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            ApiError::new(ErrorCode::RequestTimeout).with_message(Message::new(
                "请求体接收超时",
                "the request body took too long",
            )),
        )),
    }
}

/// The whole body. Most come in one piece, which is not copied; the pieces of others are counted
/// until the last has come.
async fn collect<B>(
    mut body: B,
    length: Option<u64>,
    max: usize,
    room: impl FnOnce() -> Arriving,
) -> Result<Bytes, Refusal>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let mut all: Vec<u8> = Vec::new();
    let mut arriving: Option<Arriving> = None;
    let mut room = Some(room);
    loop {
        let frame = poll_fn(|cx| {
            if let Some(arriving) = &arriving
                && arriving.poll_cut(cx).is_ready()
            {
                return Poll::Ready(Err(NoRoom));
            }
            Pin::new(&mut body).poll_frame(cx).map(Ok)
        });
        let frame = match frame.await {
            Err(NoRoom) => return Err(no_room()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => {
                return Err(Refusal::new(
                    StatusCode::BAD_REQUEST,
                    malformed("请求体不完整", "the request body is incomplete"),
                ));
            }
            Ok(None) => return Ok(all.into()),
        };
        // Trailers say nothing to us.
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        if all.len() + piece.len() > max {
            return Err(too_large(max));
        }
        if all.is_empty() && body.is_end_stream() {
            return Ok(piece);
        }
        if let Some(room) = room.take() {
            let arriving = arriving.insert(room());
            arriving.grow(BUFFER).map_err(|NoRoom| no_room())?;
        }
        let before = all.capacity();
        if before == 0 {
            // It is no more than `max`.
            all.reserve_exact(length.map_or(0, |length| length as usize));
        }
        all.extend_from_slice(&piece);
        if let Some(arriving) = &mut arriving
            && arriving.grow(all.capacity() - before).is_err()
        {
            return Err(no_room());
        }
    }
}

fn no_room() -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, ApiError::unavailable())
}

fn too_large(max: usize) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        malformed(
            format!("请求体过大，上限 {max} 字节"),
            format!("the request body is too large, at most {max} bytes"),
        ),
    )
}

fn unpack(body: &[u8], max: usize) -> Result<Bytes, Refusal> {
    let mut unpacked = Vec::new();
    let limit = max as u64 + 1;
    match MultiGzDecoder::new(body)
        .take(limit)
        .read_to_end(&mut unpacked)
    {
        Ok(_) if unpacked.len() > max => Err(too_large(max)),
        Ok(_) => Ok(unpacked.into()),
        Err(_) => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            malformed(
                "请求体不是有效的 gzip",
                "the request body is not valid gzip",
            ),
        )),
    }
}

/// Whether the body is said to be JSON, and in UTF-8 if anything is said of that.
fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let content_type = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().unwrap_or_default().to_ascii_lowercase(),
        _ => String::new(),
    };
    let mut parts = content_type.split(';').map(str::trim);
    if parts.next() != Some("application/json") {
        return Err(unsupported(
            "Content-Type 应为 application/json",
            "the Content-Type must be application/json",
        ));
    }
    let mut parameters = parts.filter_map(|part| part.split_once('='));
    let is_utf8 = parameters.all(|(name, value)| {
        let value = value.trim();
        let quoted = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        // utf8 is not its registered name, but what many clients write.
        name.trim_end() != "charset" || matches!(quoted.unwrap_or(value), "" | "utf-8" | "utf8")
    });
    if !is_utf8 {
        return Err(unsupported(
            "请求体的字符集（charset）应为 UTF-8",
            "the charset of the request body must be UTF-8",
        ));
    }
    Ok(())
}
