//! Every score of a rubric as a file, for administrators.

mod csv;
mod xlsx;

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::Response;

pub(crate) use self::csv::csv;
pub(crate) use self::xlsx::{Exports, xlsx};
use crate::graphql::error::{ApiError, ErrorCode};
use crate::http::graphql::unauthorized;
use crate::http::reply::Refusal;
use crate::http::router::AppState;
use crate::scores::Export;

/// The export of a rubric, if the caller may have it; the reply that says why not.
async fn open(
    state: &AppState,
    slug: &str,
    address: IpAddr,
    headers: &HeaderMap,
    request_id: &str,
) -> Result<Export, Box<Response>> {
    let opened = async {
        state.endpoint.charge_refusal(address)?;
        let authorization = headers
            .get(header::AUTHORIZATION)
            .map(|value| value.to_str().unwrap_or_default());
        let access = state.endpoint.authenticate(authorization).await?;
        let access = access.ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
        if !access.viewer.is_admin() {
            return Err(ApiError::new(ErrorCode::Forbidden));
        }
        Ok(state.scores.export(&access.viewer, slug).await?)
    };
    opened
        .await
        .map_err(|error| Box::new(refuse(error, headers, request_id)))
}

fn refuse(error: ApiError, headers: &HeaderMap, request_id: &str) -> Response {
    let status = match error.code() {
        ErrorCode::Unauthenticated | ErrorCode::TokenExpired | ErrorCode::TokenRevoked => {
            return unauthorized(error, headers, request_id);
        }
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Refusal::new(status, error).into_response(headers, request_id)
}

fn file_headers(export: &Export, kind: &str, media_type: &str) -> [(HeaderName, String); 3] {
    let disposition = format!("attachment; filename=\"{}.{kind}\"", export.slug);
    [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ]
}

/// The names of the columns; each criterion has two.
fn columns(export: &Export) -> Vec<String> {
    let fixed = [
        "score_id",
        "submitted_at",
        "updated_at",
        "account_number",
        "submitted_by",
        "total",
    ];
    let keys = export.criteria.iter().map(|criterion| &criterion.key);
    let of_criteria = keys.flat_map(|key| [key.clone(), format!("{key}_comment")]);
    fixed
        .into_iter()
        .map(str::to_owned)
        .chain(of_criteria)
        .collect()
}
