//! The results of a rubric as a page: `GET /rubrics/{slug}/results`.
//!
//! The server writes the numbers, and a script keeps them fresh through the subscription. When the results are not public, the
//! page asks an administrator to sign in; the script then asks for the same page with the token, which it keeps in memory only.

mod page;

use std::net::IpAddr;

use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use self::page::Notice;
use crate::graphql::error::{ApiError, ErrorCode};
use crate::http::asset::{self, RESULTS};
use crate::http::authorization::{authorization, challenge};
use crate::http::client_address::ClientAddress;
use crate::http::headers::locale;
use crate::http::reply::{status_of, with_retry_after};
use crate::http::request_id::RequestId;
use crate::http::state::AppState;
use crate::platform::task::to_end;
use crate::scores::Results;

/// What the script asks for. The server knows these documents whatever `graphql.documents` says.
pub(crate) const DOCUMENT_ID: &str = "wegraph-results";
pub(crate) const DOCUMENT: &str = include_str!("results.graphql");

/// Nothing from elsewhere, nothing inline; the form is sent by the script alone, so that no password gets into an address.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// `GET /rubrics/{slug}/results`
pub(crate) async fn page(
    State(state): State<AppState>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    ClientAddress(address): ClientAddress,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Response {
    let asked = headers.clone();
    match to_end(async move { open(&state, &slug, address, &asked).await }).await {
        Ok(results) => html(StatusCode::OK, page::results(&results, locale(&headers))),
        Err(error) => refuse(error, &headers, &request_id),
    }
}

/// `GET /results/{file}`
pub(crate) async fn file(
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    asset::serve(RESULTS, &name, query.as_deref(), &headers)
}

async fn open(
    state: &AppState,
    slug: &str,
    address: IpAddr,
    headers: &HeaderMap,
) -> Result<Results, ApiError> {
    state.endpoint.charge_refusal(address)?;
    let access = state.endpoint.authenticate(authorization(headers)).await?;
    let viewer = access.map(|access| access.viewer);
    Ok(state.scores.results(viewer.as_ref(), slug).await?)
}

fn refuse(error: ApiError, headers: &HeaderMap, request_id: &str) -> Response {
    let status = status_of(&error);
    let notice = match error.code() {
        ErrorCode::Unauthenticated | ErrorCode::TokenExpired | ErrorCode::TokenRevoked => {
            Notice::SignIn
        }
        ErrorCode::Forbidden => Notice::AdministratorsOnly,
        // A draft is shown to administrators only, and to nobody else does it differ from a rubric that does not exist.
        ErrorCode::NotFound => Notice::NotFound,
        ErrorCode::RateLimited => Notice::TooMany,
        _ => Notice::Failed,
    };
    let retry_after = error.retry_after();
    error.log(request_id);
    let mut response = html(status, page::notice(notice, locale(headers)));
    if status == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge(headers));
    }
    with_retry_after(response, retry_after)
}

fn html(status: StatusCode, body: maud::Markup) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "Accept-Language, Authorization"),
    ]
    .map(|(name, value)| (name, HeaderValue::from_static(value)));
    (status, headers, body.into_string()).into_response()
}
