//! Every score of a rubric as a file, for administrators.

mod csv;
mod xlsx;

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::Response;

pub(crate) use self::csv::csv;
pub(crate) use self::xlsx::{MAX_WORKBOOKS, xlsx};
use crate::graphql::error::{ApiError, ErrorCode};
use crate::http::authorization::{authorization, unauthorized};
use crate::http::reply::{Refusal, status_of};
use crate::http::state::AppState;
use crate::platform::task::to_end;
use crate::scores::{Export, ExportRow, Position, ScoreError, ScoreService};

/// The export of a rubric, if the caller may have it; the reply that says why not.
async fn open(
    state: &AppState,
    slug: String,
    address: IpAddr,
    headers: &HeaderMap,
    request_id: &str,
) -> Result<Arc<Export>, Box<Response>> {
    let (state, token) = (state.clone(), authorization(headers).map(str::to_owned));
    let opened = to_end(async move {
        state.endpoint.charge_refusal(address)?;
        let access = state.endpoint.authenticate(token.as_deref()).await?;
        let access = access.ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
        if !access.viewer.is_admin() {
            return Err(ApiError::new(ErrorCode::Forbidden));
        }
        let export = state.scores.export(&access.viewer, &slug).await?;
        Ok(Arc::new(export))
    });
    opened
        .await
        .map_err(|error| Box::new(refuse(error, headers, request_id)))
}

/// The next scores of an export, and where it goes on.
async fn next_page(
    scores: &Arc<ScoreService>,
    export: &Arc<Export>,
    after: Position,
) -> Result<(Vec<ExportRow>, Position), ScoreError> {
    let (scores, export) = (Arc::clone(scores), Arc::clone(export));
    to_end(async move { scores.export_page(&export, after).await }).await
}

fn refuse(error: ApiError, headers: &HeaderMap, request_id: &str) -> Response {
    match status_of(&error) {
        StatusCode::UNAUTHORIZED => unauthorized(error, headers, request_id),
        status => Refusal::new(status, error).into_response(headers, request_id),
    }
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
