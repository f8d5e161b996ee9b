//! GraphiQL: its files are built into the binary; a build without Node leaves them to a CDN, pinned by hash.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

include!(concat!(env!("OUT_DIR"), "/playground_assets.rs"));

const PAGE: &str = include_str!("index.html");

/// A file of the page.
struct Asset {
    /// Name under `/graphiql/`.
    name: &'static str,
    content_type: &'static str,
    /// SHA-256 in hexadecimal; changes with the content.
    hash: &'static str,
    gzip: &'static [u8],
}

/// Where a file is when it is not in the binary.
struct CdnFile {
    url: &'static str,
    integrity: &'static str,
}

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
    for Asset { name, hash, .. } in ASSETS {
        let url = format!("/graphiql/{name}?{}", &hash[..16]);
        if name.ends_with(".css") {
            head.push_str(&format!("<link rel=\"stylesheet\" href=\"{url}\">\n"));
        } else if name.ends_with(".js") {
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
pub(crate) async fn file(Path(name): Path<String>, request: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let etag = format!("\"{}\"", asset.hash);
    let is_known = request
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|known| known.split(',').any(|known| known.trim() == etag));
    let Ok(etag) = HeaderValue::from_str(&etag) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (header::ETAG, etag),
        // The page asks for each file with its hash, so a copy never grows old.
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        ),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let content = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(asset.content_type),
        ),
        // Every browser that runs GraphiQL takes gzip.
        (header::CONTENT_ENCODING, HeaderValue::from_static("gzip")),
    ];
    (headers, content, asset.gzip).into_response()
}
