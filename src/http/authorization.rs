//! The `Authorization` header, and the reply to one that does not count.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::graphql::error::ApiError;
use crate::http::reply::{Refusal, status_of};

/// 401 for a token that does not count. An error of the database while looking it up is ours, not
/// the token's.
pub(crate) fn unauthorized(error: ApiError, headers: &HeaderMap, request_id: &str) -> Response {
    let status = status_of(&error);
    let mut response = Refusal::new(status, error).into_response(headers, request_id);
    if status == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge(headers));
    }
    response
}

/// What a reply with status 401 says, in `WWW-Authenticate` (RFC 6750, section 3).
pub(crate) fn challenge(request: &HeaderMap) -> HeaderValue {
    HeaderValue::from_static(match request.contains_key(header::AUTHORIZATION) {
        true => "Bearer error=\"invalid_token\"",
        false => "Bearer",
    })
}

/// Stands for a header that cannot be a token of ours.
pub(crate) const NO_TOKEN_OF_OURS: &str = "?";

/// The `Authorization` header; `None` without credentials, as clients without a token send it.
/// Several of them, or one that is no text, count as a token that is not ours.
pub(crate) fn authorization(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?;
    let text = match values.next() {
        None => value.to_str().unwrap_or(NO_TOKEN_OF_OURS),
        Some(_) => NO_TOKEN_OF_OURS,
    };
    Some(text.trim()).filter(|text| !text.is_empty())
}
