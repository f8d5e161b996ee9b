//! What is wrong with an input, field by field: the facts behind BAD_USER_INPUT.

use crate::platform::locale::Message;
use crate::platform::text::{is_blank, is_line_break, is_of_block};

/// The rule that a value broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// The value is missing or empty.
    Required,
    /// The text has fewer than `min` characters.
    TooShort {
        /// Fewest characters.
        min: usize,
    },
    /// The text or list has more than `max` characters or entries.
    TooLong {
        /// Most characters or entries.
        max: usize,
    },
    /// The number lies outside `min..=max`.
    OutOfRange {
        /// Smallest number.
        min: i64,
        /// Largest number.
        max: i64,
    },
    /// The value is not of the form that `expected` describes.
    Malformed {
        /// What is expected, in words.
        expected: Message,
    },
    /// The list lacks an entry for `name`.
    Lacks {
        /// What has no entry.
        name: String,
    },
    /// The value names something that does not exist.
    Unknown,
    /// The value stands there already.
    Duplicate,
    /// The field cannot be emptied.
    NotNullable,
    /// Somebody else has the value.
    Taken,
}

/// A rule broken at a path such as `input.grades.0.grade`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Names and indexes from the arguments down to the value.
    pub path: Vec<String>,
    /// What is wrong there.
    pub rule: Rule,
}

/// The faults found so far under one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    base: Vec<String>,
    list: Vec<Fault>,
}

impl Faults {
    /// No faults yet; paths will begin with `base`.
    pub fn under(base: &[&str]) -> Self {
        Self {
            base: base.iter().map(ToString::to_string).collect(),
            list: Vec::new(),
        }
    }

    /// Records that `rule` is broken at `path`, which continues the base path.
    pub fn add(&mut self, path: &[&str], rule: Rule) {
        let mut full = self.base.clone();
        full.extend(path.iter().map(ToString::to_string));
        self.list.push(Fault { path: full, rule });
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The faults in the order they were found.
    pub fn into_list(self) -> Vec<Fault> {
        self.list
    }

    /// `value` if nothing is wrong, otherwise the faults.
    ///
    /// # Errors
    /// Itself, when it is not empty.
    pub fn check<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }

    /// One line of text: trimmed, without line breaks or control characters, of `min..=max`
    /// characters (code points).
    /// With `min` above 0 a text that shows nothing is [`Rule::Required`].
    pub fn line(&mut self, path: &[&str], text: &str, min: usize, max: usize) -> String {
        let text = text.trim();
        let is_refused = |c: char| c.is_control() || is_line_break(c) || turns_text(c);
        if text.chars().any(is_refused) {
            self.add(
                path,
                Rule::Malformed {
                    expected: Message::new(
                        "不能包含换行符或控制字符",
                        "no line breaks or control characters",
                    ),
                },
            );
        }
        self.length(path, if is_blank(text) { "" } else { text }, min, max);
        text.to_owned()
    }

    /// Text of several lines: trimmed, of at most `max` characters; `None` when it shows nothing.
    pub fn block(&mut self, path: &[&str], text: &str, max: usize) -> Option<String> {
        let text = text.trim();
        // PostgreSQL cannot store U+0000, and the others only ever hide something.
        if !text.chars().all(is_of_block) {
            self.add(
                path,
                Rule::Malformed {
                    expected: Message::new("不能包含控制字符", "no control characters"),
                },
            );
        }
        if is_blank(text) {
            return None;
        }
        self.length(path, text, 0, max);
        Some(text.to_owned())
    }

    fn length(&mut self, path: &[&str], text: &str, min: usize, max: usize) {
        let length = text.chars().count();
        if length == 0 && min > 0 {
            self.add(path, Rule::Required);
        } else if length < min {
            self.add(path, Rule::TooShort { min });
        } else if length > max {
            self.add(path, Rule::TooLong { max });
        }
    }
}

/// Characters that change the direction of what follows, and so can make one name look like another.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(faults: Faults) -> Vec<Rule> {
        faults.into_list().into_iter().map(|f| f.rule).collect()
    }

    #[test]
    fn counts_characters_after_trimming() {
        let mut faults = Faults::under(&["input"]);
        assert_eq!(faults.line(&["title"], "  😀汉  ", 1, 2), "😀汉");
        assert!(faults.is_empty());
        faults.line(&["title"], " \u{3000} ", 1, 2);
        faults.line(&["title"], "a", 2, 3);
        faults.line(&["title"], "四个汉字", 1, 3);
        assert_eq!(
            rules(faults),
            [
                Rule::Required,
                Rule::TooShort { min: 2 },
                Rule::TooLong { max: 3 }
            ]
        );
    }

    #[test]
    fn refuses_control_characters_and_keeps_line_breaks_of_blocks() {
        let mut faults = Faults::under(&[]);
        assert_eq!(
            faults
                .block(&["notes"], "a\n\tb\u{2028}\u{b}c\r\n", 9)
                .as_deref(),
            Some("a\n\tb\u{2028}\u{b}c")
        );
        assert_eq!(faults.block(&["notes"], " \n ", 9), None);
        assert!(faults.is_empty());
        faults.block(&["notes"], "a\0b", 9);
        faults.line(&["title"], "\u{202e}gnp.exe", 1, 9);
        assert_eq!(rules(faults).len(), 2);
        for text in [
            "a\nb",
            "a\rb",
            "a\u{b}b",
            "a\u{c}b",
            "a\u{85}b",
            "a\u{2028}b",
            "a\u{2029}b",
        ] {
            let mut faults = Faults::under(&[]);
            faults.line(&["title"], text, 1, 9);
            assert!(
                matches!(rules(faults)[..], [Rule::Malformed { .. }]),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_shows_nothing_is_nothing() {
        let mut faults = Faults::under(&[]);
        faults.line(&["name"], "\u{200b}\u{2800} \u{fe0f}", 1, 9);
        assert_eq!(rules(faults), [Rule::Required]);
        let mut faults = Faults::under(&[]);
        faults.line(&["name"], "👩\u{200d}👩\u{200d}👧", 1, 9);
        assert_eq!(faults.block(&["notes"], "\u{2800}\n\u{e0020}", 1), None);
        assert!(faults.is_empty());
    }
}
