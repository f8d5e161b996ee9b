//! Reading a request body: in time, no more than allowed, unpacked if need be.

use std::io::Read;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, StatusCode, header};
use flate2::read::GzDecoder;

use crate::gateway::refusal::malformed;
use crate::graphql::error::{ApiError, ErrorCode};
use crate::http::reply::Refusal;
use crate::platform::locale::Message;

/// Reads the JSON body of a request.
///
/// # Errors
/// 415 for another type or encoding, 413 for more than `max` bytes before or after unpacking, 408 when it takes too long, 400
/// when it is cut off.
pub(crate) async fn read_json(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    timeout: Duration,
) -> Result<Bytes, Refusal> {
    // The body is read before anything is said of its type, so that the connection can serve the next request.
    let body = receive(headers, body, max, timeout)
        .await
        .map_err(Refusal::closing)?;
    if !is_json(headers) {
        return Err(unsupported(
            "Content-Type 应为 application/json",
            "the Content-Type must be application/json",
        ));
    }
    let encoding = headers
        .get(header::CONTENT_ENCODING)
        .map(|value| value.to_str().unwrap_or_default().trim());
    match encoding {
        None => Ok(body),
        Some(encoding) if encoding.eq_ignore_ascii_case("identity") => Ok(body),
        Some(encoding) if encoding.eq_ignore_ascii_case("gzip") => unpack(&body, max),
        Some(_) => Err(unsupported(
            "Content-Encoding 只支持 gzip",
            "the only Content-Encoding is gzip",
        )),
    }
}

fn unsupported(zh: &str, en: &str) -> Refusal {
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, malformed(zh, en))
}

async fn receive(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    timeout: Duration,
) -> Result<Bytes, Refusal> {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > max as u64) {
        return Err(too_large(max));
    }
    match tokio::time::timeout(timeout, to_bytes(body, max)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if is_too_long(&error) => Err(too_large(max)),
        Ok(Err(_)) => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            malformed("请求体不完整", "the request body is incomplete"),
        )),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            ApiError::new(ErrorCode::RequestTimeout).with_message(Message::new(
                "请求体接收超时",
                "the request body took too long",
            )),
        )),
    }
}

/// `to_bytes` tells its limit from other errors only by their source.
fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.to_string().contains("limit"))
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
    match GzDecoder::new(body).take(limit).read_to_end(&mut unpacked) {
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

fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let content_type = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = content_type.split(';').map(str::trim);
    parts.next() == Some("application/json")
        && parts.all(|part| match part.strip_prefix("charset=") {
            Some(charset) => charset.trim_matches('"') == "utf-8",
            None => true,
        })
}
