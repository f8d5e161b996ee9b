//! What is looked at before anything is parsed: sizes that a parser would have to pay for first.
//!
//! Both scans are one pass over the bytes without recursion and without allocation. The parser of
//! GraphQL recurses, and a few thousand levels overflow its stack, which no handler can catch.

use std::ops::Range;

/// What there is too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Lexical tokens and comments, or values of JSON.
    Count,
    /// Depth of brackets, braces and parentheses.
    Nesting,
    /// Bytes of one name.
    NameLength,
}

/// Longest name in a query, in bytes: errors and replies repeat names.
pub const MAX_NAME_BYTES: usize = 256;

/// Lines of a block string that count as a token: the parser keeps a list of them.
const LINES_PER_TOKEN: usize = 16;

/// Bytes of a comment that count as a token.
const COMMENT_BYTES_PER_TOKEN: usize = 32;

/// U+FEFF, the byte order mark.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Counts the tokens and comments of a GraphQL document.
///
/// # Errors
/// What there is too much of.
pub fn scan_query(query: &str, max_tokens: usize, max_nesting: usize) -> Result<usize, Excess> {
    let mut tokens = 0;
    let mut depth = 0usize;
    let mut has_block_end = true;
    let mut rest = query.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => {
                rest = tail;
                continue;
            }
            // No token, but the parser takes longer over it than over one, letter by letter.
            b'#' => {
                rest = after_line(tail);
                tokens += (tail.len() - rest.len()) / COMMENT_BYTES_PER_TOKEN;
            }
            b'{' | b'[' | b'(' => {
                depth += 1;
                if depth > max_nesting {
                    return Err(Excess::Nesting);
                }
                rest = tail;
            }
            b'}' | b']' | b')' => {
                depth = depth.saturating_sub(1);
                rest = tail;
            }
            b'"' => {
                rest = after_any_string(tail, &mut has_block_end);
                let text = tail[..tail.len() - rest.len()].iter();
                tokens += text.filter(|b| matches!(b, b'\n' | b'\r')).count() / LINES_PER_TOKEN;
            }
            b'.' => rest = tail.strip_prefix(b"..").unwrap_or(tail),
            _ if is_word(byte) => {
                let length = rest.iter().take_while(|b| is_word(**b)).count();
                if length > MAX_NAME_BYTES {
                    return Err(Excess::NameLength);
                }
                rest = &rest[length..];
            }
            _ => rest = tail,
        }
        tokens += 1;
        if tokens > max_tokens {
            return Err(Excess::Count);
        }
    }
    Ok(tokens)
}

/// A document without what the parser stumbles over.
#[derive(Debug)]
pub struct Blanked {
    /// Its text, as long as it was.
    pub text: String,
    /// Where the strings stood that describe operations, fragments and variables.
    pub descriptions: Vec<Range<usize>>,
}

/// The document without what the parser stumbles over, blanked byte for byte so that places in the
/// text stay what they are: commas, comments and byte order marks between tokens, and the
/// descriptions of operations, fragments and variables.
pub fn blanked(query: &str) -> Blanked {
    let mut descriptions = Vec::new();
    let mut text = Vec::with_capacity(query.len());
    let mut has_block_end = true;
    let mut depth = 0usize;
    // Whether the brackets around are those of an operation's variables.
    let mut are_variables = false;
    let mut before = b' ';
    let mut rest = query.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let ignored = ignored(rest);
        let (kept, after) = match byte {
            _ if ignored > 0 => (byte.is_ascii_whitespace(), &rest[ignored..]),
            b'"' => {
                let after = after_any_string(tail, &mut has_block_end);
                let describes = match depth {
                    0 => describes_definition(after),
                    1 => are_variables && before != b'=' && describes_variable(after),
                    _ => false,
                };
                if describes {
                    let start = text.len();
                    descriptions.push(start..start + rest.len() - after.len());
                }
                (!describes, after)
            }
            b'(' | b'[' | b'{' => {
                are_variables = if depth == 0 {
                    byte == b'('
                } else {
                    are_variables
                };
                depth += 1;
                (true, tail)
            }
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                (true, tail)
            }
            _ => (true, tail),
        };
        let length = rest.len() - after.len();
        match kept {
            true => text.extend_from_slice(&rest[..length]),
            false => text.resize(text.len() + length, b' '),
        }
        if ignored == 0 {
            before = byte;
        }
        rest = after;
    }
    Blanked {
        // Whole characters were kept or replaced.
        text: String::from_utf8(text).unwrap_or_default(),
        descriptions,
    }
}

/// Bytes of what GraphQL ignores at the start of a text: one white space, comma or byte order mark,
/// or a comment.
fn ignored(text: &[u8]) -> usize {
    match text.first() {
        Some(b' ' | b'\t' | b'\n' | b'\r' | b',') => 1,
        Some(b'#') => text.len() - after_line(text).len(),
        _ if text.starts_with(MARK) => MARK.len(),
        _ => 0,
    }
}

fn after_ignored(mut text: &[u8]) -> &[u8] {
    loop {
        match ignored(text) {
            0 => return text,
            length => text = &text[length..],
        }
    }
}

fn describes_definition(after: &[u8]) -> bool {
    let text = after_ignored(after);
    let length = text.iter().take_while(|b| is_word(**b)).count();
    matches!(
        &text[..length],
        b"query" | b"mutation" | b"subscription" | b"fragment"
    )
}

fn describes_variable(after: &[u8]) -> bool {
    after_ignored(after).first() == Some(&b'$')
}

/// Counts the values of a JSON text.
///
/// # Errors
/// What there is too much of.
pub fn scan_json(json: &[u8], max_values: usize, max_nesting: usize) -> Result<usize, Excess> {
    let mut values = 1;
    let mut depth = 0usize;
    let mut rest = json;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                values += 1;
                if depth > max_nesting {
                    return Err(Excess::Nesting);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            b'"' => rest = after_json_string(tail),
            _ => {}
        }
        if values > max_values {
            return Err(Excess::Count);
        }
    }
    Ok(values)
}

/// What follows a string or a block string whose first quote was taken off. `"""` that is never
/// closed counts as an empty string and the start of another; once one was found open to the end,
/// so is every later one: looking again each time would be quadratic.
fn after_any_string<'a>(tail: &'a [u8], has_block_end: &mut bool) -> &'a [u8] {
    let block = tail.strip_prefix(b"\"\"").filter(|_| *has_block_end);
    let after_block = block.and_then(after_block_string);
    *has_block_end &= block.is_none() || after_block.is_some();
    after_block.unwrap_or_else(|| after_string(tail))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn after_line(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|b| matches!(b, b'\n' | b'\r'));
    end.map_or(&[], |end| &text[end..])
}

/// A string ends at its quote, or at the end of the line, where it is not closed and the parser
/// will refuse it.
fn after_string(mut text: &[u8]) -> &[u8] {
    while let Some((&byte, tail)) = text.split_first() {
        text = match byte {
            b'"' => return tail,
            b'\n' | b'\r' => return text,
            b'\\' => match tail.split_first() {
                Some((b'\n' | b'\r', _)) | None => tail,
                Some((_, after)) => after,
            },
            _ => tail,
        };
    }
    text
}

fn after_json_string(mut text: &[u8]) -> &[u8] {
    while let Some((&byte, tail)) = text.split_first() {
        text = match byte {
            b'"' => return tail,
            b'\\' => tail.get(1..).unwrap_or_default(),
            _ => tail,
        };
    }
    text
}

/// What follows the closing quotes; `None` when there are none.
fn after_block_string(mut text: &[u8]) -> Option<&[u8]> {
    while !text.is_empty() {
        if let Some(after) = text.strip_prefix(b"\\\"\"\"") {
            text = after;
        } else if let Some(after) = text.strip_prefix(b"\"\"\"") {
            return Some(after);
        } else {
            text = &text[1..];
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_only_what_nests() {
        let is_shallow = |query: &str| scan_query(query, usize::MAX, 64) != Err(Excess::Nesting);
        let deep = "[".repeat(65);
        assert!(!is_shallow(&deep));
        assert!(is_shallow(&"[".repeat(64)));
        assert!(is_shallow(&"[]".repeat(10_000)));
        assert!(is_shallow(&format!("{{ a(x: \"{deep}\") }}")));
        assert!(is_shallow(&format!("{{ a(x: \"\\\"{deep}\") }}")));
        assert!(is_shallow(&format!(
            "{{ a(x: \"\"\"{deep} \\\"\"\" {deep}\"\"\") }}"
        )));
        assert!(is_shallow(&format!("# {deep}\n{{ a }}")));
        assert!(!is_shallow(&format!("\"unclosed\n{deep}")));
        assert!(!is_shallow(&format!("\"\" {deep}")));
        for quotes in ["\"\"\"\"", "\"\"\"\"\"\"", "\"\"\"\\\"\"\"\""] {
            let query = format!("{{ a(x: [{quotes} {deep}");
            assert!(!is_shallow(&query), "{quotes}");
        }
    }

    #[test]
    fn counts_tokens_as_the_specification_does() {
        for (query, tokens) in [
            ("", 0),
            (" ,\n# comment { a }\r\n", 1),
            ("{ a }", 3),
            (
                "query Q($x: [Int!] = 1) { a(b: $x) @skip(if: true) ...F }",
                31,
            ),
            ("\"a b c\" \"\"\" d e \"\"\" \"\"", 3),
            ("...on", 2),
            (&format!("#{}\na", "x".repeat(100)), 5),
            ("\"\"\"\n\n\"\"\"", 1),
            (&format!("\"\"\"{}\"\"\"", "\n".repeat(32)), 3),
        ] {
            assert_eq!(scan_query(query, 100, 100), Ok(tokens), "{query}");
        }
        assert_eq!(scan_query("a b c", 2, 9), Err(Excess::Count));
        assert_eq!(scan_query(&"a".repeat(257), 9, 9), Err(Excess::NameLength));
    }

    #[test]
    fn blanks_what_the_parser_stumbles_over() {
        for (query, left) in [
            (
                "{a,b # {\"\n\u{feff}c(x: \"#,\", y: 1)}",
                "{a b     \n   c(x: \"#,\"  y: 1)}",
            ),
            ("\"d\"query Q{a}", "   query Q{a}"),
            (
                "\"\"\"d\n\"\"\" # c\n fragment F on A{a}",
                "            \n fragment F on A{a}",
            ),
            ("\"d\" {a}", "\"d\" {a}"),
            ("\"d\" type A{a:B}", "\"d\" type A{a:B}"),
            (
                "query(\"d\" $a: A = \"x\" \"e\" $b: B) {c(d: [\"x\" $a])}",
                "query(    $a: A = \"x\"     $b: B) {c(d: [\"x\" $a])}",
            ),
            (
                "query($a: A=\"x\" $b: B) {c}",
                "query($a: A=\"x\" $b: B) {c}",
            ),
            (
                "query Q($a: A @d(x: \"y\") $b: B)",
                "query Q($a: A @d(x: \"y\") $b: B)",
            ),
        ] {
            assert_eq!(blanked(query).text, left, "{query}");
        }
    }

    #[test]
    fn counts_values_of_json() {
        for (json, values) in [
            ("1", 1),
            (r#"{"a": [1, 2], "b": "[,,,"}"#, 5),
            (r#""\",,,""#, 1),
        ] {
            assert_eq!(scan_json(json.as_bytes(), 100, 2), Ok(values), "{json}");
        }
        assert_eq!(scan_json(b"[1,1,1]", 3, 9), Err(Excess::Count));
        assert_eq!(scan_json(b"[[[", 9, 2), Err(Excess::Nesting));
    }
}
