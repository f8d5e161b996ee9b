//! What every request passes first: it gets an id and an address, says soundly which host it is
//! for, and is answered whatever happens.
//!
//! One function instead of a layer for each concern, because each costs every request an allocation
//! and a clone.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::Response;
use futures_util::FutureExt;
use futures_util::future::Either;
use hyper::body::Incoming;
use tower::ServiceExt;
use uuid::Uuid;

use crate::graphql::error::ApiError;
use crate::http::client_address::TrustedProxies;
use crate::http::reply::Refusal;
use crate::http::request_id::{REQUEST_ID, RequestId};
use crate::http::state::AppState;
use crate::http::{dev_only, graphql, host};
use crate::platform::id::new_id;
use crate::platform::request::{Caller, Work};
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

/// What answers requests. A clone is cheap.
#[derive(Clone)]
pub struct Entry(Arc<Inner>);

struct Inner {
    state: AppState,
    router: Router,
    proxies: TrustedProxies,
    is_dev: bool,
}

impl Entry {
    /// An entry to `router`; in development it takes what comes from this machine alone.
    pub(crate) fn new(
        state: AppState,
        router: Router,
        proxies: TrustedProxies,
        is_dev: bool,
    ) -> Self {
        Self(Arc::new(Inner {
            state,
            router,
            proxies,
            is_dev,
        }))
    }

    /// Whether a peer is a proxy that many clients come through.
    pub(crate) fn is_proxy(&self, peer: IpAddr) -> bool {
        self.0.proxies.contains(peer)
    }

    /// Answers a request that `peer` sent.
    ///
    /// No `async fn`, here and below: its future would hold its arguments twice.
    pub(crate) fn answer(
        self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response> + Send {
        let mut id = Uuid::encode_buffer();
        let id: Arc<str> = (&*new_id().hyphenated().encode_lower(&mut id)).into();
        async move {
            let mut response = match self.refusal(&request) {
                Some(refusal) => refusal.into_response(request.headers(), &id),
                None => self.handle(&id, request, peer).await,
            };
            let headers = response.headers_mut();
            headers.reserve(DEFAULT_HEADERS.len() + 1);
            for (name, value) in DEFAULT_HEADERS {
                headers.entry(name).or_insert(value);
            }
            if let Ok(value) = HeaderValue::from_str(&id) {
                headers.insert(REQUEST_ID, value);
            }
            response
        }
    }

    fn refusal(&self, request: &Request<Incoming>) -> Option<Refusal> {
        if let Some(fault) = host::fault(request) {
            return Some(Refusal::new(StatusCode::BAD_REQUEST, fault).closing());
        }
        let fault = self.0.is_dev.then(|| dev_only::fault(request)).flatten();
        fault.map(|fault| Refusal::new(StatusCode::FORBIDDEN, fault))
    }

    fn handle<'a>(
        &'a self,
        id: &'a Arc<str>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response> + Send + 'a {
        let languages = request.headers().get(header::ACCEPT_LANGUAGE).cloned();
        async move {
            let handling = async move { self.route(id, request, peer).await };
            match AssertUnwindSafe(handling).catch_unwind().await {
                Ok(response) => response,
                Err(_) => {
                    let panics = count_panic();
                    tracing::error!(panics, request_id = &**id, "A request handler panicked");
                    let languages = languages.map(|languages| (header::ACCEPT_LANGUAGE, languages));
                    let error = ApiError::internal("a request handler panicked");
                    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error)
                        .into_response(&HeaderMap::from_iter(languages), id)
                }
            }
        }
    }

    /// What mini-programs send goes to its handler at once: the router would find the same, at the
    /// cost of some allocations. A page of a browser says where it comes from, and CORS has a word
    /// in that.
    fn route<'a>(
        &'a self,
        id: &'a Arc<str>,
        mut request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response> + Send + 'a {
        let address = self.0.proxies.client_of(peer, request.headers());
        if request.method() == Method::POST
            && request.uri().path() == graphql::PATH
            && !request.headers().contains_key(header::ORIGIN)
        {
            let answer = graphql::answer_post(&self.0.state, id, address.0, request);
            return Either::Left(answer);
        }
        let extensions = request.extensions_mut();
        extensions.insert(address);
        extensions.insert(RequestId(Arc::clone(id)));
        // Pages and exports take their connections as their caller's.
        let work = Work::new(id, Caller::of(None, address.0), false);
        let answer = work.scope(self.0.router.clone().oneshot(request.map(Body::new)));
        // Boxed, so that what mini-programs send makes no room for it.
        Either::Right(Box::pin(
            answer.map(|Ok(response): Result<_, Infallible>| response),
        ))
    }
}
