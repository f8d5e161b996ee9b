//! What every request passes first: it gets an id and an address, says soundly which host it is for, and is answered whatever happens.
//!
//! One layer instead of one for each concern, because each costs every request an allocation and a clone.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;

use crate::graphql::error::ApiError;
use crate::http::client_address::TrustedProxies;
use crate::http::reply::Refusal;
use crate::http::request_id::{REQUEST_ID, RequestId};
use crate::http::{dev_only, host};
use crate::platform::id::new_id;
use crate::platform::telemetry::count_panic;

/// Headers of every reply that does not bring its own.
const DEFAULT_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    // Pages bring their own.
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
];

/// How requests come in.
#[derive(Debug, Clone)]
pub(crate) struct Entry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    proxies: TrustedProxies,
    is_dev: bool,
}

impl Entry {
    /// An entry behind these proxies; in development it takes what comes from this machine alone.
    pub(crate) fn new(proxies: TrustedProxies, is_dev: bool) -> Self {
        Self(Arc::new(Inner { proxies, is_dev }))
    }

    fn refusal(&self, request: &Request) -> Option<Refusal> {
        if let Some(fault) = host::fault(request) {
            return Some(Refusal::new(StatusCode::BAD_REQUEST, fault).closing());
        }
        let fault = self.0.is_dev.then(|| dev_only::fault(request)).flatten();
        fault.map(|fault| Refusal::new(StatusCode::FORBIDDEN, fault))
    }
}

/// The layer.
pub(crate) async fn pass(State(entry): State<Entry>, request: Request, next: Next) -> Response {
    let id = new_id().to_string();
    let mut response = match entry.refusal(&request) {
        Some(refusal) => refusal.into_response(request.headers(), &id),
        None => handle(&entry, id.clone(), request, next).await,
    };
    let headers = response.headers_mut();
    headers.reserve(DEFAULT_HEADERS.len() + 1);
    for (name, value) in DEFAULT_HEADERS {
        headers.entry(name).or_insert(value);
    }
    if let Ok(value) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

async fn handle(entry: &Entry, id: String, mut request: Request, next: Next) -> Response {
    if let Some(address) = entry.0.proxies.client_of(&request) {
        request.extensions_mut().insert(address);
    }
    request.extensions_mut().insert(RequestId(id.clone()));
    let languages = request.headers().get(header::ACCEPT_LANGUAGE).cloned();
    let handling = AssertUnwindSafe(next.run(request)).catch_unwind();
    match handling.await {
        Ok(response) => response,
        Err(_) => {
            let panics = count_panic();
            tracing::error!(panics, request_id = id, "A request handler panicked");
            let languages = languages.map(|languages| (header::ACCEPT_LANGUAGE, languages));
            let error = ApiError::internal("a request handler panicked");
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error)
                .into_response(&HeaderMap::from_iter(languages), &id)
        }
    }
}
