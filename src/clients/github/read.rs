//! From bodies to what they tell.

use chrono::TimeDelta;

use super::call::{Content, Reply};
use super::trending::PageFault;
use super::{Fetched, GithubError, MAX_README_BYTES};
use crate::platform::telemetry::count_panic;

pub(super) fn read<T>(
    reply: Reply,
    read: impl FnOnce(&[u8]) -> serde_json::Result<T>,
) -> Result<Fetched<T>, GithubError> {
    let content = match reply {
        Reply::Content(content) => content,
        Reply::Unchanged => return Ok(Fetched::Unchanged),
    };
    match read(&content.body) {
        Ok(value) => Ok(fetched(value, content)),
        Err(error) => {
            // Its text tells of types and places, not of values.
            let kind = error.classify();
            tracing::warn!(
                ?kind,
                bytes = content.body.len(),
                "GitHub's answer cannot be read"
            );
            Err(GithubError::Unavailable)
        }
    }
}

pub(super) async fn read_page<T: Send + 'static>(
    reply: Result<Reply, GithubError>,
    read: fn(&str) -> Result<Vec<T>, PageFault>,
) -> Result<Fetched<Vec<T>>, GithubError> {
    let mut content = match reply {
        Ok(Reply::Content(content)) => content,
        Ok(Reply::Unchanged) => return Ok(Fetched::Unchanged),
        Err(error @ (GithubError::NotFound | GithubError::Forbidden | GithubError::Invalid)) => {
            tracing::error!(%error, "GitHub's trending page is not where it was; the last good copy is kept");
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    let body = std::mem::take(&mut content.body);
    // Half a megabyte of HTML takes a while.
    let rows = tokio::task::spawn_blocking(move || read(&String::from_utf8_lossy(&body))).await;
    match rows {
        Ok(Ok(rows)) => Ok(fetched(rows, content)),
        Ok(Err(fault)) => {
            tracing::error!(%fault, "GitHub's trending page is not what it was; the last good copy is kept");
            Err(GithubError::Unavailable)
        }
        Err(error) => {
            let panics = count_panic();
            tracing::error!(panics, %error, "Reading a trending page panicked");
            Err(GithubError::Unavailable)
        }
    }
}

pub(super) fn fetched<T>(value: T, content: Content) -> Fetched<T> {
    Fetched::New {
        value,
        etag: content.etag,
        poll: content
            .poll_seconds
            .map(|seconds| TimeDelta::seconds(seconds.into())),
    }
}

/// A text of at most [`MAX_README_BYTES`], which ends with a whole character, and whether it goes on.
pub(super) fn cut_text(bytes: Vec<u8>, is_cut: bool) -> (String, bool) {
    let is_cut = is_cut || bytes.len() > MAX_README_BYTES;
    let mut bytes = bytes;
    bytes.truncate(MAX_README_BYTES);
    if is_cut {
        // Bytes that a whole character might follow.
        let start = bytes.len().saturating_sub(3);
        let last = (start..bytes.len())
            .rev()
            .find(|at| bytes[*at] & 0xC0 == 0xC0);
        if let Some(at) = last
            && std::str::from_utf8(&bytes[at..]).is_err()
        {
            bytes.truncate(at);
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match text.strip_prefix('\u{feff}') {
        Some(rest) => (rest.to_owned(), is_cut),
        None => (text, is_cut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        let long = "中".repeat(MAX_README_BYTES / 3 + 1);
        assert!(long.len() > MAX_README_BYTES);
        let (text, is_cut) = cut_text(long.into_bytes(), false);
        assert!(is_cut && text.chars().all(|c| c == '中'));
        assert_eq!(text.len(), MAX_README_BYTES / 3 * 3);
        let exact = "a".repeat(MAX_README_BYTES);
        assert_eq!(cut_text(exact.clone().into_bytes(), false), (exact, false));
        assert_eq!(
            cut_text(vec![0xEF, 0xBB, 0xBF, b'a', 0xFF], false),
            ("a\u{fffd}".to_owned(), false)
        );
        assert_eq!(cut_text(Vec::new(), false), (String::new(), false));
    }
}
