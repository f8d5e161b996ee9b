//! Halves of surrogate pairs in JSON: `"\ud83d"` is an escape that JSON allows and that stands for
//! no character. Clients that cut text between two UTF-16 units send them.

use std::ops::Range;

use serde_json::Value;

use crate::graphql::error::{ApiError, ErrorCode};
use crate::platform::fault::{Fault, Rule};
use crate::platform::locale::Message;

/// Stands for the first of them while the field is looked for; a noncharacter, which no client
/// sends.
const MARK: char = '\u{fdd0}';
const ESCAPED_MARK: &str = "\\ufdd0";

/// BAD_USER_INPUT that names the field with the first escape that is half a character; `None` when
/// there is none, or when the text is no JSON otherwise either.
pub fn lone_surrogate(json: &[u8]) -> Option<ApiError> {
    let json = std::str::from_utf8(json).ok()?;
    let found = lone_escapes(json);
    let first = found.first()?;
    let mut text = String::with_capacity(json.len());
    let mut end = 0;
    for escape in &found {
        text.push_str(&json[end..escape.start]);
        text.push_str(match escape == first {
            true => ESCAPED_MARK,
            false => "\\ufffd",
        });
        end = escape.end;
    }
    text.push_str(&json[end..]);
    let value = serde_json::from_str(&text).ok()?;
    let mut path = Vec::new();
    find_mark(&value, &mut path);
    let fault = Fault {
        path,
        rule: Rule::Malformed {
            expected: Message::new("完整的 Unicode 字符", "whole Unicode characters"),
        },
    };
    Some(ApiError::new(ErrorCode::BadUserInput).with_fields(vec![fault]))
}

/// Where escapes stand that are no character, alone or with the next.
fn lone_escapes(json: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut index = 0;
    while let Some(offset) = json[index..].find('\\') {
        index += offset;
        let Some(unit) = unit_at(json, index) else {
            // The escaped character may take several bytes.
            let next = json[index + 1..].chars().next();
            index += 1 + next.map_or(0, char::len_utf8);
            continue;
        };
        let is_pair = matches!(unit, 0xd800..=0xdbff)
            && matches!(unit_at(json, index + 6), Some(0xdc00..=0xdfff));
        let length = if is_pair { 12 } else { 6 };
        if !is_pair && matches!(unit, 0xd800..=0xdfff) {
            found.push(index..index + length);
        }
        index += length;
    }
    found
}

/// The UTF-16 unit of an escape.
fn unit_at(json: &str, index: usize) -> Option<u16> {
    let digits = json.get(index..index + 6)?.strip_prefix("\\u")?;
    u16::from_str_radix(digits, 16).ok()
}

fn find_mark(value: &Value, path: &mut Vec<String>) -> bool {
    let mut step = |name: String, below: Option<&Value>| {
        let is_here = name.contains(MARK);
        path.push(name.replace(MARK, "\u{fffd}"));
        let found = is_here || below.is_some_and(|below| find_mark(below, path));
        if !found {
            path.pop();
        }
        found
    };
    match value {
        Value::String(text) => text.contains(MARK),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .any(|(index, item)| step(index.to_string(), Some(item))),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| step(name.clone(), Some(value))),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_halves_of_pairs() {
        for (json, found) in [
            (r#""\ud83d\ude00 \\ud83d \n""#, 0),
            (r#""\ud83d""#, 1),
            (r#""\ude00\ud83d""#, 2),
            (r#""\ud83d\u0041\\""#, 1),
            (r#""\u00g1\中\ud83""#, 0),
        ] {
            assert_eq!(lone_escapes(json).len(), found, "{json}");
        }
    }

    #[test]
    fn names_the_field() {
        let text = |json: &str| lone_surrogate(json.as_bytes()).map(|error| error.in_english());
        let title = text(r#"{"variables": {"input": {"tags": ["a", "b\ud83d"]}}}"#);
        assert!(title.unwrap().contains("variables.input.tags.1 "));
        assert_eq!(text(r#"{"a": "\ud83d\ude00"}"#), None);
        assert_eq!(text(r#"{"a": "\ud83d""#), None);
    }
}
