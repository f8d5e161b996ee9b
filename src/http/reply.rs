//! GraphQL responses as HTTP responses.

use async_graphql::{Response as GraphqlResponse, ServerError, Value};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::gateway::endpoint::weight;
use crate::graphql::error::{ApiError, ErrorCode, code_of};
use crate::http::headers::locale;

/// Room for what a reply has besides its data, in bytes.
const SMALL: usize = 128;
/// Headers that a reply has at most, as a rule.
const HEADERS: usize = 12;

/// How a reply is labelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaType {
    /// `application/json`: what `wx.request` and most clients ask for.
    Json,
    /// `application/graphql-response+json`: the status tells whether the request was executed.
    GraphqlResponse,
}

impl MediaType {
    /// Chooses by the `Accept` header: the new type only for those who name it before or above the old one.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Self {
        let accept = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let mut best: Option<(f32, Self)> = None;
        for item in accept.split(',') {
            let mut parts = item.split(';').map(str::trim);
            let media_type = match parts.next().map(str::to_ascii_lowercase).as_deref() {
                Some("application/graphql-response+json") => Self::GraphqlResponse,
                Some("application/json" | "application/*" | "*/*") => Self::Json,
                _ => continue,
            };
            let weight = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if weight > 0.0 && best.is_none_or(|(highest, _)| weight > highest) {
                best = Some((weight, media_type));
            }
        }
        best.map_or(Self::Json, |(_, media_type)| media_type)
    }

    fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
        })
    }
}

/// Whether a response is that of a request that was not executed: it has no `data`.
pub(crate) fn is_request_error(response: &GraphqlResponse) -> bool {
    // An error of a field has a path; what has none stopped the request before it ran.
    response.data == Value::Null && response.errors.iter().any(|error| error.path.is_empty())
}

/// The body: no `data` when the request was not executed.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "<[ServerError]>::is_empty")]
    errors: &'a [ServerError],
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
}

impl<'a> Body<'a> {
    fn new(response: &'a GraphqlResponse) -> Self {
        Self {
            errors: &response.errors,
            data: (!is_request_error(response)).then_some(&response.data),
        }
    }
}

/// The JSON of a response, without `data` when the request was not executed.
pub(crate) fn to_json(response: &GraphqlResponse) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(&Body::new(response)).ok()
}

/// The reply to a request that reached the schema.
pub(crate) fn graphql(response: &GraphqlResponse, media_type: MediaType) -> Response {
    let has = |code: ErrorCode| {
        response
            .errors
            .iter()
            .any(|error| code_of(error) == code.as_str())
    };
    let status = if response.data == Value::Null && has(ErrorCode::ServiceUnavailable) {
        // Also when a field that must not be null had no room: there is nothing to show.
        StatusCode::SERVICE_UNAVAILABLE
    } else if !is_request_error(response) {
        StatusCode::OK
    } else if has(ErrorCode::RateLimited) {
        StatusCode::TOO_MANY_REQUESTS
    } else if media_type == MediaType::Json {
        StatusCode::OK
    } else if has(ErrorCode::InternalServerError) {
        StatusCode::INTERNAL_SERVER_ERROR
    } else if has(ErrorCode::RequestTimeout) {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::BAD_REQUEST
    };
    // What grows in steps takes up to three times as much while it does.
    let size = weight(&response.data) + SMALL;
    let reply = json(status, &Body::new(response), media_type, size);
    with_retry_after(reply, retry_after(response))
}

/// The reply to a batch: an array in the order of the request.
pub(crate) fn batch(
    bodies: &[Box<RawValue>],
    retry_after: Option<u64>,
    media_type: MediaType,
) -> Response {
    let size = bodies
        .iter()
        .map(|body| body.get().len() + 1)
        .sum::<usize>()
        + SMALL;
    with_retry_after(json(StatusCode::OK, &bodies, media_type, size), retry_after)
}

/// The longest `retryAfterSeconds` of our own limits.
pub(crate) fn retry_after(response: &GraphqlResponse) -> Option<u64> {
    let errors = response.errors.iter();
    errors
        .filter(|error| {
            let codes = [ErrorCode::RateLimited, ErrorCode::ServiceUnavailable];
            codes.iter().any(|code| code_of(error) == code.as_str())
        })
        .filter_map(
            |error| match error.extensions.as_ref()?.get("retryAfterSeconds") {
                Some(Value::Number(seconds)) => seconds.as_u64(),
                _ => None,
            },
        )
        .max()
}

/// The status that says the same as the code, for replies that are no GraphQL.
pub(crate) fn status_of(error: &ApiError) -> StatusCode {
    match error.code() {
        ErrorCode::Unauthenticated
        | ErrorCode::TokenExpired
        | ErrorCode::TokenRevoked
        | ErrorCode::AccountDisabled => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::RequestTimeout | ErrorCode::ServiceUnavailable => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

pub(crate) fn with_retry_after(mut reply: Response, seconds: Option<u64>) -> Response {
    if let Some(seconds) = seconds {
        reply
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    reply
}

/// Why a request does not reach the schema.
pub(crate) struct Refusal {
    status: StatusCode,
    error: ApiError,
    closes: bool,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: ApiError) -> Self {
        Self {
            status,
            error,
            closes: false,
        }
    }

    /// Says that the connection ends with this reply, because the body was not read: the client must not send another
    /// request on it.
    #[must_use]
    pub(crate) fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// The reply in the caller's language.
    pub(crate) fn into_response(self, headers: &HeaderMap, request_id: &str) -> Response {
        let response = self.error.into_response(locale(headers), request_id);
        let media_type = MediaType::negotiate(headers);
        let mut reply = json(self.status, &Body::new(&response), media_type, SMALL);
        if self.closes {
            let close = HeaderValue::from_static("close");
            reply.headers_mut().insert(header::CONNECTION, close);
        }
        with_retry_after(reply, retry_after(&response))
    }
}

/// A reply of about `size` bytes.
fn json<T: Serialize>(
    status: StatusCode,
    body: &T,
    media_type: MediaType,
    size: usize,
) -> Response {
    let mut text = Vec::with_capacity(size);
    if serde_json::to_writer(&mut text, body).is_err() {
        // Strings, numbers, lists and maps always have a JSON form.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // With room for what the entry adds.
    headers.reserve(HEADERS);
    headers.insert(header::CONTENT_TYPE, media_type.header());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::VARY,
        HeaderValue::from_static("Accept, Accept-Language, Authorization"),
    );
    response
}
