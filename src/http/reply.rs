//! GraphQL responses as HTTP responses.

use async_graphql::{Response as GraphqlResponse, ServerError, Value};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::graphql::error::{ApiError, ErrorCode, code_of};
use crate::platform::locale::Locale;

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

/// The caller's language, by `Accept-Language`.
pub(crate) fn locale(headers: &HeaderMap) -> Locale {
    headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .map(Locale::from_accept_language)
        .unwrap_or_default()
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
        // An error of a field has a path; what has none stopped the request before it ran.
        let is_executed = response.errors.iter().all(|error| !error.path.is_empty());
        Self {
            errors: &response.errors,
            data: (is_executed || response.data != Value::Null).then_some(&response.data),
        }
    }
}

/// The reply to a request that reached the schema.
pub(crate) fn graphql(response: &GraphqlResponse, media_type: MediaType) -> Response {
    let body = Body::new(response);
    let has = |code: ErrorCode| {
        response
            .errors
            .iter()
            .any(|error| code_of(error) == code.as_str())
    };
    let status = match (media_type, body.data) {
        (MediaType::GraphqlResponse, None) if has(ErrorCode::InternalServerError) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        (MediaType::GraphqlResponse, None) if has(ErrorCode::RequestTimeout) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        (MediaType::GraphqlResponse, None) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    json(status, &body, media_type)
}

/// The reply to a request that did not.
pub(crate) fn refusal(
    status: StatusCode,
    error: ApiError,
    headers: &HeaderMap,
    request_id: &str,
) -> Response {
    let response = error.into_response(locale(headers), request_id);
    json(status, &Body::new(&response), MediaType::negotiate(headers))
}

fn json(status: StatusCode, body: &Body<'_>, media_type: MediaType) -> Response {
    let Ok(text) = serde_json::to_vec(body) else {
        // Strings, numbers, lists and maps always have a JSON form.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, media_type.header()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::VARY,
            HeaderValue::from_static("Accept, Accept-Language, Authorization"),
        ),
    ];
    (status, headers, text).into_response()
}
