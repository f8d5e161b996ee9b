//! What the characters of a text are, by the properties of Unicode.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Whether a text shows nothing: it is empty, or every character of it is invisible. Such a text
/// counts as empty.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_invisible)
}

/// White space, format characters, and what Unicode wants ignored where it is not supported, like
/// variation selectors and fillers. Beside others they have their uses, as in emoji. Other control
/// characters have none: every text with one is refused.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || is_empty_glyph(c)
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::Format
}

/// Whether a character ends a line: the line breaks of Unicode (UAX #14, classes BK, CR, LF, NL).
pub fn is_line_break(c: char) -> bool {
    matches!(c, '\n'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether a text of several lines may have a character: any but control characters, of which only
/// tabs and line breaks show.
pub fn is_of_block(c: char) -> bool {
    !c.is_control() || c == '\t' || is_line_break(c)
}

/// Symbols and letters by their properties, but drawn without ink: the blank Braille pattern, the
/// null notehead, the blanks of Egyptian hieroglyphs and the filler of the Khitan small script.
fn is_empty_glyph(c: char) -> bool {
    matches!(
        c,
        '\u{2800}' | '\u{1d159}' | '\u{13441}' | '\u{13442}' | '\u{16fe4}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_invisible_characters_is_blank() {
        for text in [
            "",
            " \t\r\n",
            "\u{85}",
            "\u{a0}",
            "\u{ad}",
            "\u{34f}",
            "\u{61c}",
            "\u{115f}",
            "\u{1160}",
            "\u{1680}",
            "\u{17b4}",
            "\u{180b}",
            "\u{180e}",
            "\u{2003}",
            "\u{200b}",
            "\u{200d}",
            "\u{2028}",
            "\u{2029}",
            "\u{202e}",
            "\u{2060}",
            "\u{206a}",
            "\u{2800} \u{2800}",
            "\u{3000}",
            "\u{3164}",
            "\u{fe0f}",
            "\u{feff}",
            "\u{ffa0}",
            "\u{fff0}",
            "\u{fff9}",
            "\u{110bd}",
            "\u{13430}",
            "\u{1bca0}",
            "\u{1d159}",
            "\u{1d173}",
            "\u{e0001}",
            "\u{e0020}",
            "\u{e007f}",
            "\u{e0100}",
            "\u{e01ef}",
            "\u{e0fff}",
        ] {
            assert!(is_blank(text), "{text:?}");
        }
    }

    #[test]
    fn lines_end_where_unicode_says() {
        let breaks = ('\0'..=char::MAX).filter(|c| is_line_break(*c));
        assert_eq!(
            breaks.collect::<String>(),
            "\n\u{b}\u{c}\r\u{85}\u{2028}\u{2029}"
        );
        assert!("a\tb\r\n\u{85}\u{2028}".chars().all(is_of_block));
        assert!(!"\0\u{7}\u{1b}\u{1f}\u{7f}\u{9f}".chars().any(is_of_block));
    }

    #[test]
    fn a_text_with_one_visible_character_is_not() {
        for text in [
            "a",
            "。",
            "\u{2801}",
            "\u{200b}x",
            "👩\u{200d}👧",
            "❤\u{fe0f}",
            "é",
            "e\u{301}",
            "\u{fffd}",
            "-",
            "\0",
        ] {
            assert!(!is_blank(text), "{text:?}");
        }
    }
}
