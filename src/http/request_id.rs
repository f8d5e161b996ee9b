//! The name of a request in the log.

use std::sync::Arc;

use axum::http::HeaderName;

/// The header of the reply that tells it.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Finds one request in the log; also the header `x-request-id` of the reply.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub Arc<str>);
