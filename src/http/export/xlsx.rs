//! `GET /rubrics/{slug}/scores.xlsx`: a workbook. It is written to a temporary file row by row and then sent, so its size costs
//! no memory; the first byte comes when the last score is written.

use std::fs::File;
use std::io::{Read, Seek};

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use rust_xlsxwriter::{Workbook, Worksheet, XlsxError};
use tokio::sync::mpsc;

use super::{columns, file_headers, next_page, open, refuse};
use crate::gateway::refusal::rate_limited;
use crate::graphql::error::ApiError;
use crate::graphql::scalars::DateTime;
use crate::http::client_address::ClientAddress;
use crate::http::request_id::RequestId;
use crate::http::state::AppState;
use crate::platform::text::is_line_break;
use crate::scores::ExportRow;

const MEDIA_TYPE: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
/// Rows of a sheet, the one with the names of the columns among them; more scores begin another sheet.
const MAX_ROWS: u32 = 1_048_576;
/// Workbooks that are written at a time: each takes a thread, and disk for a while.
pub(crate) const MAX_WORKBOOKS: usize = 2;
const PIECE: usize = 64 * 1024;

/// `GET /rubrics/{slug}/scores.xlsx`
pub(crate) async fn xlsx(
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
    let Ok(_place) = state.workbooks.try_acquire() else {
        return refuse(rate_limited(30), &headers, &request_id);
    };
    let (sender, rows) = mpsc::channel(2);
    let names = columns(&export);
    let writing = tokio::task::spawn_blocking(move || write(&names, rows));
    let mut after = None;
    loop {
        match next_page(&state.scores, &export, after).await {
            Ok((page, next)) => {
                // A writer that has failed tells why below.
                if sender.send(page).await.is_err() || next.is_none() {
                    break;
                }
                after = next;
            }
            Err(error) => return refuse(error.into(), &headers, &request_id),
        }
    }
    drop(sender);
    match writing.await {
        Ok(Ok(file)) => {
            let answer_headers = file_headers(&export, "xlsx", MEDIA_TYPE);
            (answer_headers, Body::from_stream(pieces(file))).into_response()
        }
        Ok(Err(error)) => refuse(ApiError::internal(error), &headers, &request_id),
        Err(error) => refuse(ApiError::internal(error), &headers, &request_id),
    }
}

/// The workbook, in a file that is gone when it is closed.
fn write(names: &[String], mut pages: mpsc::Receiver<Vec<ExportRow>>) -> Result<File, XlsxError> {
    let mut workbook = Workbook::new();
    let mut sheet = begin_sheet(&mut workbook, names)?;
    let mut place = 1;
    while let Some(page) = pages.blocking_recv() {
        for row in page {
            if place == MAX_ROWS {
                sheet = begin_sheet(&mut workbook, names)?;
                place = 1;
            }
            write_row(sheet, place, &row)?;
            place += 1;
        }
    }
    let mut file = tempfile::tempfile()?;
    workbook.save_to_writer(&mut file)?;
    file.rewind()?;
    Ok(file)
}

fn begin_sheet<'a>(
    workbook: &'a mut Workbook,
    names: &[String],
) -> Result<&'a mut Worksheet, XlsxError> {
    let sheet = workbook.add_worksheet_with_constant_memory()?;
    for (column, name) in (0..).zip(names) {
        sheet.write_string(0, column, name)?;
    }
    Ok(sheet)
}

/// Texts are written as texts, so that nothing is taken for a formula.
fn write_row(sheet: &mut Worksheet, place: u32, row: &ExportRow) -> Result<(), XlsxError> {
    let score = &row.score;
    let texts = [
        score.id.to_string(),
        DateTime(score.submitted_at).text(),
        DateTime(score.updated_at).text(),
        score.account_number.clone(),
        row.author.clone().unwrap_or_default(),
    ];
    for (column, text) in (0..).zip(&texts) {
        sheet.write_string(place, column, text)?;
    }
    sheet.write_number(place, 5, score.total)?;
    for (column, grade) in (6..).step_by(2).zip(&row.grades) {
        if let Some((grade, comment)) = grade {
            sheet.write_number(place, column, *grade)?;
            if let Some(comment) = comment {
                sheet.write_string(place, column + 1, lines(comment))?;
            }
        }
    }
    Ok(())
}

/// With the ends of lines as spreadsheets know them; a carriage return would be shown as `_x000D_`.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace(is_line_break, "\n")
}

fn pieces(file: File) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    stream::try_unfold(file, |mut file| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE];
            let length = file.read(&mut piece)?;
            piece.truncate(length);
            Ok::<_, std::io::Error>((piece, file))
        });
        let (piece, file) = read.await.map_err(std::io::Error::other)??;
        Ok((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
    })
}
