//! GraphiQL: its files are built into the binary; a build without Node leaves them to a CDN, pinned by hash.

use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::http::asset::{self, CDN, CDN_ORIGIN, CdnFile, PLAYGROUND};

const PAGE: &str = include_str!("index.html");

/// `GET /graphiql`
pub(crate) async fn page() -> Response {
    let is_embedded = CDN.is_empty();
    let mut head = String::new();
    let mut scripts = String::new();
    for file in CDN {
        let CdnFile { url, integrity } = file;
        let attributes = format!("integrity=\"{integrity}\" crossorigin=\"anonymous\"");
        match url.ends_with(".css") {
            true => head.push_str(&format!(
                "<link rel=\"stylesheet\" href=\"{url}\" {attributes}>\n"
            )),
            false => scripts.push_str(&format!("<script src=\"{url}\" {attributes}></script>\n")),
        }
    }
    for asset in PLAYGROUND {
        let url = format!("/graphiql/{}", asset.versioned_name());
        if asset.name.ends_with(".css") {
            head.push_str(&format!("<link rel=\"stylesheet\" href=\"{url}\">\n"));
        } else if asset.name.ends_with(".js") {
            scripts.push_str(&format!("<script src=\"{url}\"></script>\n"));
        }
    }
    let note = match is_embedded {
        true => "",
        false => {
            "<p id=\"note\">This build has no GraphiQL files, because Node.js was missing; the page loads them from a CDN.</p>"
        }
    };
    let body = PAGE
        .replace("<!-- head -->", &head)
        .replace("<!-- note -->", note)
        .replace("<!-- scripts -->", &scripts);
    let cdn = if is_embedded { "" } else { CDN_ORIGIN };
    // The editor writes style elements; nothing else may be inline, and nothing may be evaluated.
    let policy = format!(
        "default-src 'none'; script-src 'self' {cdn}; style-src 'self' 'unsafe-inline' {cdn}; img-src 'self' data:; \
         font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let Ok(policy) = HeaderValue::from_str(&policy) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, body).into_response()
}

/// `GET /graphiql/{file}`
pub(crate) async fn file(
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    asset::serve(PLAYGROUND, &name, query.as_deref(), &headers)
}
