//! The files that our pages load: built into the binary, compressed, and named with their hash.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// A file of a page.
#[derive(Debug)]
pub(crate) struct Asset {
    /// Name in the folder of the page.
    pub(crate) name: &'static str,
    content_type: &'static str,
    /// SHA-256 in hexadecimal; changes with the content.
    hash: &'static str,
    gzip: &'static [u8],
}

impl Asset {
    /// The name with which a page asks for it, which changes with the content.
    pub(crate) fn versioned_name(&self) -> String {
        format!("{}?{}", self.name, &self.hash[..16])
    }
}

/// Where a file is when it is not in the binary.
#[derive(Debug)]
pub(crate) struct CdnFile {
    pub(crate) url: &'static str,
    pub(crate) integrity: &'static str,
}

/// The reply to a request for one of `assets`.
pub(crate) fn serve(
    assets: &'static [Asset],
    name: &str,
    query: Option<&str>,
    request: &HeaderMap,
) -> Response {
    let Some(asset) = assets.iter().find(|asset| asset.name == name) else {
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
    // A page asks for each file with its hash, so a copy never grows old. While servers are replaced by others, the page of one
    // may ask the other, whose file is not the one that is meant.
    let caching = match query == Some(&asset.hash[..16]) {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let headers = [
        (header::ETAG, etag),
        (header::CACHE_CONTROL, HeaderValue::from_static(caching)),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let content = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(asset.content_type),
        ),
        // Every browser that runs these pages takes gzip.
        (header::CONTENT_ENCODING, HeaderValue::from_static("gzip")),
    ];
    (headers, content, asset.gzip).into_response()
}
