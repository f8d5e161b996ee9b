//! Lines and columns of offsets in a text.

use std::cell::Cell;

use async_graphql::Pos;

/// Longest excerpt, in characters.
const MAX_EXCERPT: usize = 40;

/// Turns offsets into lines and columns, both from 1. Columns count characters.
///
/// Asking in the order of the text takes time by its length in all, whatever the lengths of its
/// lines.
#[derive(Debug)]
pub struct Places<'a> {
    text: &'a str,
    /// Offsets of the first bytes of lines.
    lines: Vec<usize>,
    /// An offset that was asked for and its place.
    last: Cell<(usize, Pos)>,
}

impl<'a> Places<'a> {
    /// Places in `text`, whose lines end as GraphQL has it: by `\n`, `\r\n` or `\r`.
    pub fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(index, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(index + 1) != Some(&b'\n'),
            _ => false,
        });
        Self {
            text,
            lines: std::iter::once(0)
                .chain(ends.map(|(index, _)| index + 1))
                .collect(),
            last: Cell::new((0, Pos { line: 1, column: 1 })),
        }
    }

    /// What stands between two offsets, as an error may repeat it: the first word of it when it is
    /// long.
    pub fn excerpt(&self, start: usize, end: usize) -> &'a str {
        let whole = self.text.get(start..end).unwrap_or_default();
        if whole.chars().count() <= MAX_EXCERPT && !whole.contains(['\n', '\r', '{', '(', ':']) {
            return whole;
        }
        let signs = whole.len() - whole.trim_start_matches(['$', '@', '-', '.']).len();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = whole[signs..].find(|c| !is_word(c));
        match length.map_or(whole.len(), |length| signs + length) {
            0 => "…",
            length => &whole[..length],
        }
    }

    /// The place of the byte at `offset`; that of the end for what lies behind it.
    pub fn at(&self, offset: usize) -> Pos {
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line - 1];
        let (known, place) = self.last.get();
        let (from, column) = match known <= offset && place.line == line {
            true => (known, place.column),
            false => (start, 1),
        };
        let column = column + self.text[from..offset].chars().count();
        let place = Pos { line, column };
        self.last.set((offset, place));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_characters() {
        let places = Places::new("a中\nb\r\n\rc");
        let at = |offset| {
            let Pos { line, column } = places.at(offset);
            (line, column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(1), (1, 2));
        assert_eq!(at(2), (1, 2));
        assert_eq!(at(4), (1, 3));
        assert_eq!(at(5), (2, 1));
        assert_eq!(at(8), (3, 1));
        assert_eq!(at(9), (4, 1));
        assert_eq!(at(1), (1, 2));
        assert_eq!(at(99), (4, 2));
    }
}
