//! The routes, and what every request passes first.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::cors::{AllowCredentials, AllowOrigin, Any, CorsLayer};

use crate::gateway::refusal::malformed;
use crate::graphql::error::{ApiError, ErrorCode};
use crate::http::client_address::TrustedProxies;
use crate::http::entry::Entry;
use crate::http::reply::Refusal;
use crate::http::request_id::{REQUEST_ID, RequestId};
use crate::http::state::AppState;
use crate::http::{dev_only, export, graphql, playground, results, websocket};
use crate::platform::config::{CorsConfig, Origins};
use crate::platform::db::ping;
use crate::platform::task::to_end;
use crate::schema::sdl;

/// The whole HTTP surface.
pub fn build(state: AppState, is_dev: bool) -> Entry {
    let config = Arc::clone(&state.config);
    let mut router = Router::new()
        .route("/graphql", get(graphql::get).post(graphql::post))
        .route("/graphql/ws", get(websocket::upgrade))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/rubrics/{slug}/scores.csv", get(export::csv))
        .route("/rubrics/{slug}/scores.xlsx", get(export::xlsx))
        .route("/rubrics/{slug}/results", get(results::page))
        .route("/results/{file}", get(results::file));
    if config.graphql.introspection {
        router = router.route("/schema.graphql", get(schema));
    }
    if config.graphql.playground {
        router = router
            .route("/graphiql", get(playground::page))
            .route("/graphiql/{file}", get(playground::file));
    }
    router = router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed);
    router = router.layer(cors(&config.cors, is_dev));
    let proxies = TrustedProxies::new(&config.http.trusted_proxies, config.http.forwarding_header);
    Entry::new(state.clone(), router.with_state(state), proxies, is_dev)
}

/// Lets the pages of other sites call, in development also those of this machine, and browsers
/// remember that for two hours.
fn cors(config: &CorsConfig, is_dev: bool) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(config.allowed_headers.clone())
        .expose_headers([REQUEST_ID, header::RETRY_AFTER])
        .max_age(Duration::from_secs(7200));
    match &config.origins {
        Origins::Any => layer.allow_origin(Any),
        Origins::Listed(origins) => {
            let origins: Vec<HeaderValue> = origins
                .iter()
                .filter_map(|origin| HeaderValue::from_str(origin).ok())
                .collect();
            let may_call = move |origin: &HeaderValue, _: &Parts| {
                origins.contains(origin) || (is_dev && dev_only::is_own_page(origin))
            };
            layer
                .allow_origin(AllowOrigin::predicate(may_call.clone()))
                .allow_credentials(AllowCredentials::predicate(may_call))
        }
    }
}

async fn not_found(Extension(RequestId(id)): Extension<RequestId>, headers: HeaderMap) -> Response {
    Refusal::new(StatusCode::NOT_FOUND, ApiError::new(ErrorCode::NotFound))
        .into_response(&headers, &id)
}

async fn method_not_allowed(
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    let error = malformed(
        "此地址不支持该请求方法",
        "this address does not take that method",
    );
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error).into_response(&headers, &id)
}

async fn schema() -> impl IntoResponse {
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(header::CONTENT_TYPE, content_type)], sdl())
}

/// The public keys of access tokens, for other services that check them.
async fn jwks(State(state): State<AppState>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/jwk-set+json"),
        // Short, so that a new key is known before it signs for long.
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    match serde_json::to_string(&state.identity.public_keys()) {
        Ok(keys) => (headers, keys).into_response(),
        Err(error) => {
            tracing::error!(%error, "The public keys cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Whether requests can be served: the database answers.
async fn readyz(State(state): State<AppState>) -> Response {
    // Not one of those that requests wait for.
    let connection = state.db.background().clone();
    match to_end(async move { ping(&connection).await }).await {
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
