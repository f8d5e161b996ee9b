//! `GET /rubrics/{slug}/scores.csv`: every score of a rubric for administrators, read and sent a thousand at a time.
//!
//! RFC 4180 in UTF-8 with a byte order mark, which spreadsheets want to see. What a spreadsheet
//! would take for a formula begins with an apostrophe.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::{columns, file_headers, next_page, open};
use crate::graphql::scalars::DateTime;
use crate::http::client_address::ClientAddress;
use crate::http::request_id::RequestId;
use crate::http::state::AppState;
use crate::platform::text::is_line_break;
use crate::scores::{Export, ExportRow, ScoreError};

const MARK: &str = "\u{feff}";

/// `GET /rubrics/{slug}/scores.csv`
pub(crate) async fn csv(
    State(state): State<AppState>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    ClientAddress(address): ClientAddress,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Response {
    let export = match open(&state, slug, address, &headers, &request_id).await {
        Ok(export) => export,
        Err(refused) => return *refused,
    };
    let answer_headers = file_headers(&export, "csv", "text/csv; charset=utf-8");
    let begin = Some((export, None, true));
    let lines = stream::try_unfold(begin, move |position| {
        let scores = Arc::clone(&state.scores);
        async move {
            let Some((export, after, is_first)) = position else {
                return Ok(None);
            };
            let (rows, next) = next_page(&scores, &export, after)
                .await
                // The status is sent; all that is left is to break off, so that nobody takes half a file for a whole one.
                .inspect_err(|error| tracing::error!(%error, "An export broke off"))?;
            let mut text = match is_first {
                true => format!("{MARK}{}", head(&export)),
                false => String::new(),
            };
            rows.iter().for_each(|row| line(&mut text, row));
            let rest = next.map(|after| (export, Some(after), false));
            Ok::<_, ScoreError>(Some((Bytes::from(text), rest)))
        }
    });
    (answer_headers, Body::from_stream(lines)).into_response()
}

fn head(export: &Export) -> String {
    let mut cells = columns(export).into_iter().map(|cell| cell_of(&cell));
    let mut text = cells.next().unwrap_or_default();
    for cell in cells {
        text.push(',');
        text.push_str(&cell);
    }
    text.push_str("\r\n");
    text
}

fn line(text: &mut String, row: &ExportRow) {
    let score = &row.score;
    let submitted_at = DateTime(score.submitted_at).text();
    let updated_at = DateTime(score.updated_at).text();
    let author = cell_of(row.author.as_deref().unwrap_or_default());
    text.push_str(&format!(
        "{},{submitted_at},{updated_at},{},{author},{}",
        score.id, score.account_number, score.total
    ));
    for grade in &row.grades {
        match grade {
            Some((grade, comment)) => {
                let comment = cell_of(comment.as_deref().unwrap_or_default());
                text.push_str(&format!(",{grade},{comment}"));
            }
            None => text.push_str(",,"),
        }
    }
    text.push_str("\r\n");
}

/// A text as a cell: in quotes where it needs them, with an apostrophe where a spreadsheet would calculate
/// (OWASP, "CSV Injection").
fn cell_of(text: &str) -> String {
    let text = harmless(text);
    match text.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// With an apostrophe before each sign that begins a formula where a cell could begin. A
/// spreadsheet set to end cells by semicolons or tabs does so within our quotes, too: it sees no
/// cell that begins with them. Spaces and quotes before the sign may be dropped.
fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len() + 1);
    let mut is_at_start = true;
    for c in text.chars() {
        if is_at_start && begins_formula(c) {
            harmless.push('\'');
        }
        harmless.push(c);
        is_at_start = matches!(c, ';' | ',' | '\t')
            || is_line_break(c)
            || is_at_start && matches!(c, ' ' | '"');
    }
    harmless
}

/// Spreadsheets in Chinese take the wide signs for the others.
fn begins_formula(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_harmless() {
        for (text, cell) in [
            ("", ""),
            ("很好 😀", "很好 😀"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            ("＝1+1", "'＝1+1"),
            ("=A1,\"B\"", "\"'=A1,\"\"B\"\"\""),
            ("1-1", "1-1"),
            ("a;=1+1", "a;'=1+1"),
            ("a; =1+1", "a; '=1+1"),
            ("a;\"=1+1\"", "\"a;\"\"'=1+1\"\"\""),
            ("a;;+1;b-1;@x", "a;;'+1;b-1;'@x"),
            ("a\t-1", "a\t'-1"),
            ("a,=1", "\"a,'=1\""),
            ("a\n=1\r\n＝2", "\"a\n'=1\r\n'＝2\""),
            ("a\u{2028}=1", "a\u{2028}'=1"),
            ("a; b = c", "a; b = c"),
        ] {
            assert_eq!(cell_of(text), cell, "{text}");
        }
    }
}
