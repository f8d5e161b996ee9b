//! Faults of syntax that apollo-compiler's parser lets pass: a name without a value among arguments
//! or the fields of an input object, which it drops, and a line break at the start of a string.
//!
//! Only what stands in parentheses is looked at. One pass, without recursion.

/// What is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// Selections; nothing in them is looked at.
    Selections,
    /// The variables of an operation.
    Variables,
    /// A list of values, or a type.
    List,
    /// Arguments or an input object, and what has to come next.
    Fields(Next),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Name,
    Colon,
    Value,
}

/// The offset of the first such fault. `text` has neither comments nor commas between its tokens.
pub fn fault(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open: Vec<Open> = Vec::new();
    let mut index = 0;
    while let Some(&byte) = bytes.get(index) {
        let start = index;
        index += 1;
        match byte {
            _ if is_space(byte) => continue,
            b'(' => open.push(match open.is_empty() {
                true => Open::Variables,
                false => Open::Fields(Next::Name),
            }),
            b'{' => {
                let is_value = matches!(
                    open.last(),
                    Some(Open::Variables | Open::List | Open::Fields(_))
                );
                open.push(match is_value {
                    true => Open::Fields(Next::Name),
                    false => Open::Selections,
                });
            }
            b'[' => open.push(Open::List),
            b')' | b'}' | b']' => {
                if matches!(open.pop(), Some(Open::Fields(Next::Colon | Next::Value))) {
                    return Some(start);
                }
                has_value(&mut open);
            }
            b':' => {
                if let Some(Open::Fields(next @ Next::Colon)) = open.last_mut() {
                    *next = Next::Value;
                }
            }
            b'"' => {
                index = end_of_string(bytes, start)?;
                if is_broken(&text[start..index]) || is_waiting(&open, Next::Colon) {
                    return Some(start);
                }
                has_value(&mut open);
            }
            // A variable is a value, its name is not another.
            b'$' => {
                index += bytes[index..].iter().take_while(|b| is_space(**b)).count();
                index += word(&bytes[index..]);
            }
            _ if is_word(byte) => {
                index += word(&bytes[index..]);
                match open.last_mut() {
                    Some(Open::Fields(next @ Next::Name)) => {
                        *next = Next::Colon;
                        continue;
                    }
                    Some(Open::Fields(Next::Colon)) => return Some(start),
                    _ => {}
                }
                has_value(&mut open);
            }
            _ => continue,
        }
        if byte == b'$' {
            if is_waiting(&open, Next::Colon) {
                return Some(start);
            }
            has_value(&mut open);
        }
    }
    None
}

fn is_waiting(open: &[Open], for_what: Next) -> bool {
    open.last() == Some(&Open::Fields(for_what))
}

/// A value has ended: a name comes next.
fn has_value(open: &mut [Open]) {
    if let Some(Open::Fields(next @ Next::Value)) = open.last_mut() {
        *next = Next::Name;
    }
}

fn is_word(byte: u8) -> bool {
    // Signs and points of numbers, so that a number is one token.
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'.')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn word(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| is_word(**byte)).count()
}

/// Where the string that starts at `start` ends; `None` when it does not, which the parser will
/// say.
fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let is_block = bytes[start..].starts_with(b"\"\"\"");
    let mut index = start + if is_block { 3 } else { 1 };
    loop {
        let rest = bytes.get(index..)?;
        match rest.first()? {
            b'\\' if is_block && rest.starts_with(b"\\\"\"\"") => index += 4,
            b'\\' if !is_block => index += 2,
            b'"' if !is_block => return Some(index + 1),
            b'"' if rest.starts_with(b"\"\"\"") => return Some(index + 3),
            _ => index += 1,
        }
    }
}

/// Whether a string, other than a block string, goes over a line.
fn is_broken(string: &str) -> bool {
    !string.starts_with("\"\"\"") && string.contains(['\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_names_without_values() {
        for text in [
            "{a(foo){b}}",
            "{a(b true){c}}",
            "{a(foo bar b:true baz){c}}",
            "{a(b b: \"x\")}",
            "{a @include(if: true foo){b}}",
            "{a(b:{foo})}",
            "{a(b:{foo c:\"x\" bar})}",
            "{a(b:[{foo}])}",
            "query($x: A = {foo}){a}",
            "query($x: A @d(foo)){a}",
            "{a(b: 1 c $d)}",
            "{a(b \"x\")}",
            "{a(b: \"\n\")}",
            "{a(b: \"\rx\")}",
        ] {
            assert!(fault(text).is_some(), "{text}");
        }
    }

    #[test]
    fn lets_the_rest_be() {
        for text in [
            "{a(b:true c:$d e:[1 -2.5e+3 X $y {f:\"x\"}] g:{} h:\"\"\"\n\"\"\"){i j:k(l:null)}}",
            "query Q($a:[ID!]! = [\"x\" 1] @d(e:{f:$g}) $b:In={a:1 b:X}) @h(i:1) {a ...on B @skip(if:$a) {c}}",
            "fragment F on A {b(c:d e:f)} {...F}",
            "{a(b: \"\\\"\\\\\")}",
            "query($ a : B){c(d : $\n a e: $ a)}",
            "{a(b:\"\"\"x \\\"\"\" y\"\"\" c:1)}",
            "{a(b: \"x",
        ] {
            assert_eq!(fault(text), None, "{text}");
        }
    }
}
