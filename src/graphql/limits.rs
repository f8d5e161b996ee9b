//! What is checked of a query before the library looks at it.

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};

/// Deepest nesting of brackets and braces. The parser recurses, and a few thousand levels overflow its stack, which no
/// handler can catch; the deepest query of a client here has about fifteen.
pub const MAX_NESTING: usize = 64;

/// Most fragments of a document. The rules that look for cycles follow chains of them by recursion.
pub const MAX_FRAGMENTS: usize = 30;

/// Whether brackets and braces of `query`, outside strings and comments, nest no deeper than [`MAX_NESTING`].
pub fn is_shallow(query: &str) -> bool {
    let mut depth = 0usize;
    let mut rest = query.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'{' | b'[' | b'(' => {
                depth += 1;
                if depth > MAX_NESTING {
                    return false;
                }
            }
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'#' => rest = after_line(rest),
            b'"' => {
                // The parser takes `"""` that is never closed for an empty string and the start of another, and so do we.
                let block = rest.strip_prefix(b"\"\"").and_then(after_block_string);
                rest = block.unwrap_or_else(|| after_string(rest));
            }
            _ => {}
        }
    }
    true
}

/// Whether `document` asks for the schema itself.
pub fn asks_for_schema(document: &ExecutableDocument) -> bool {
    let in_operations = document
        .operations
        .iter()
        .any(|(_, operation)| selects_schema(&operation.node.selection_set.node));
    in_operations
        || document
            .fragments
            .values()
            .any(|fragment| selects_schema(&fragment.node.selection_set.node))
}

/// The two fields stand on the root type only, so what lies below other fields need not be looked at.
fn selects_schema(selections: &SelectionSet) -> bool {
    selections
        .items
        .iter()
        .any(|selection| match &selection.node {
            Selection::Field(field) => {
                matches!(field.node.name.node.as_str(), "__schema" | "__type")
            }
            Selection::InlineFragment(fragment) => {
                selects_schema(&fragment.node.selection_set.node)
            }
            Selection::FragmentSpread(_) => false,
        })
}

fn after_line(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|b| matches!(b, b'\n' | b'\r'));
    end.map_or(&[], |end| &text[end..])
}

/// A string ends at its quote, or at the end of the line, where it is not closed and the parser will refuse it.
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
        let deep = "[".repeat(MAX_NESTING + 1);
        assert!(!is_shallow(&deep));
        assert!(is_shallow(&"[".repeat(MAX_NESTING)));
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
}
