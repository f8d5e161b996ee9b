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
/// It is in UTF-8 unless a byte order mark says UTF-16; the mark is not part of it.
pub(super) fn cut_text(bytes: &[u8], is_cut: bool) -> (String, bool) {
    let head = &bytes[..bytes.len().min(MAX_README_BYTES)];
    let is_cut = is_cut || head.len() < bytes.len();
    let mut decoder = encoding_rs::UTF_8.new_decoder();
    let room = decoder.max_utf8_buffer_length(head.len());
    let mut text = String::with_capacity(room.unwrap_or_default());
    // Of a text that goes on, the bytes of a character that does not end here are left out.
    let _ = decoder.decode_to_string(head, &mut text, !is_cut);
    let end = text.floor_char_boundary(MAX_README_BYTES);
    let is_cut = is_cut || end < text.len();
    text.truncate(end);
    // It is kept, and the room was for the worst case.
    text.shrink_to_fit();
    (text, is_cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        let long = "中".repeat(MAX_README_BYTES / 3 + 1);
        assert!(long.len() > MAX_README_BYTES);
        let (text, is_cut) = cut_text(long.as_bytes(), false);
        assert!(is_cut && text.chars().all(|c| c == '中'));
        assert_eq!(text.len(), MAX_README_BYTES / 3 * 3);
        let exact = "a".repeat(MAX_README_BYTES);
        assert_eq!(cut_text(exact.as_bytes(), false), (exact, false));
        for (bytes, is_cut, expected) in [
            (&b"\xef\xbb\xbfa\xff"[..], false, "a\u{fffd}"),
            (b"a\xe4\xb8", false, "a\u{fffd}"),
            (b"a\xe4\xb8", true, "a"),
            (b"", false, ""),
        ] {
            assert_eq!(cut_text(bytes, is_cut), (expected.to_owned(), is_cut));
        }
    }

    #[test]
    fn a_byte_order_mark_tells_the_encoding() {
        for (bytes, is_cut, expected) in [
            (&b"\xff\xfea\0\x2d\x4e"[..], false, "a中"),
            (b"\xfe\xff\0a\x4e\x2d", false, "a中"),
            (b"\xff\xfea\0\x3d\xd8\0\xde", false, "a😀"),
            // The second half of the last character is missing, or of a unit.
            (b"\xff\xfea\0\x3d\xd8", true, "a"),
            (b"\xff\xfea\0\x3d", true, "a"),
            (b"\xff\xfea\0\x3d\xd8", false, "a\u{fffd}"),
            (b"\xff\xfe", false, ""),
        ] {
            assert_eq!(cut_text(bytes, is_cut), (expected.to_owned(), is_cut));
        }
        // A character of two bytes here has three in UTF-8.
        let mut long = b"\xfe\xff".to_vec();
        long.extend(b"\x4e\x2d".repeat(MAX_README_BYTES / 2 - 1));
        let (text, is_cut) = cut_text(&long, false);
        assert!(is_cut && text.chars().all(|c| c == '中'));
        assert_eq!(text.len(), MAX_README_BYTES / 3 * 3);
    }
}
