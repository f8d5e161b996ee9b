//! The routes, and what every request passes first.

use std::any::Any;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, http};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::graphql::error::{ApiError, ErrorCode};
use crate::http::endpoint::Endpoint;
use crate::http::{dev_only, graphql, playground, reply, websocket};
use crate::platform::config::GraphqlConfig;
use crate::platform::db::{Database, ping};
use crate::platform::id::new_id;
use crate::platform::locale::Message;
use crate::platform::telemetry::count_panic;
use crate::schema::sdl;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the handlers share.
#[derive(Clone)]
pub struct AppState {
    /// The way into the schema.
    pub endpoint: Endpoint,
    /// For `/readyz`.
    pub db: Arc<Database>,
    /// Whether GraphiQL is served.
    pub has_playground: bool,
}

/// Finds one request in the log; also the header `x-request-id` of the reply.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// The whole HTTP surface.
pub fn build(state: AppState, config: &GraphqlConfig, is_dev: bool) -> Router {
    let mut router = Router::new()
        .route("/graphql", get(graphql::get).post(graphql::post))
        .route("/graphql/ws", get(websocket::upgrade))
        .route("/schema.graphql", get(schema))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz));
    if state.has_playground {
        router = router
            .route("/graphiql", get(playground::page))
            .route("/graphiql/{file}", get(playground::file));
    }
    router = router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed);
    if is_dev {
        router = router.layer(middleware::from_fn(dev_only::guard));
    }
    router
        .layer(DefaultBodyLimit::max(config.max_body_bytes))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(add_request_id))
        .with_state(state)
}

async fn add_request_id(mut request: Request, next: Next) -> Response {
    let id = new_id().to_string();
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> http::Response<axum::body::Body> {
    let panics = count_panic();
    let request_id = new_id().to_string();
    tracing::error!(panics, request_id, "A request handler panicked");
    let error = ApiError::internal("a request handler panicked");
    reply::refusal(
        StatusCode::INTERNAL_SERVER_ERROR,
        error,
        &HeaderMap::new(),
        &request_id,
    )
}

async fn not_found(Extension(RequestId(id)): Extension<RequestId>, headers: HeaderMap) -> Response {
    reply::refusal(
        StatusCode::NOT_FOUND,
        ApiError::new(ErrorCode::NotFound),
        &headers,
        &id,
    )
}

async fn method_not_allowed(
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    let error = ApiError::new(ErrorCode::BadUserInput).with_message(Message::new(
        "此地址不支持该请求方法",
        "this address does not take that method",
    ));
    reply::refusal(StatusCode::METHOD_NOT_ALLOWED, error, &headers, &id)
}

async fn schema() -> impl IntoResponse {
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(header::CONTENT_TYPE, content_type)], sdl())
}

/// Whether requests can be served: the database answers.
async fn readyz(State(state): State<AppState>) -> Response {
    match ping(state.db.read()).await {
        Ok(()) if state.db.is_writable() => "ok\n".into_response(),
        Ok(()) => {
            tracing::error!("The database writer has stopped");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the database takes no writes\n",
            )
                .into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "The database does not answer");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the database does not answer\n",
            )
                .into_response()
        }
    }
}
