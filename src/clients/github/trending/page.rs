//! What the trending pages have in common: whether a page is what it should be, and reading elements by what has lasted on them:
//! names of tags, addresses of links, `itemprop`, `id`, `alt`. Classes change every other year.

use scraper::{ElementRef, Html, Node};

/// Rows of a page at most; it shows 25.
const MAX_ROWS: usize = 100;
/// First parts of addresses that belong to GitHub itself, not to an owner.
const RESERVED: [&str; 18] = [
    "about",
    "apps",
    "collections",
    "contact",
    "explore",
    "features",
    "issues",
    "login",
    "marketplace",
    "notifications",
    "orgs",
    "pulls",
    "search",
    "settings",
    "site",
    "sponsors",
    "topics",
    "trending",
];

/// Why a page is not taken for what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PageFault {
    /// It ends in the middle.
    #[error("the page is cut off")]
    Cut,
    /// It has no rows and does not say that there are none.
    #[error("the page has no rows")]
    NoRows,
    /// Half of its rows or more cannot be read.
    #[error("{unread} of {rows} rows cannot be read")]
    Unread {
        /// Rows that cannot be read.
        unread: usize,
        /// Rows in all.
        rows: usize,
    },
}

/// The rows of a page. Each finder gives the elements that it takes for rows; the first whose rows can be read wins.
pub(super) fn read_rows<T>(
    page: &str,
    finders: &[fn(&ElementRef<'_>) -> bool],
    read: impl Fn(ElementRef<'_>, usize) -> Option<T>,
) -> Result<Vec<T>, PageFault> {
    if is_cut(page) {
        return Err(PageFault::Cut);
    }
    let html = Html::parse_document(page);
    let mut fault = PageFault::NoRows;
    for finder in finders {
        let found = outermost(html.root_element(), finder);
        let rows = found.len();
        let read: Vec<T> = found
            .into_iter()
            .enumerate()
            .filter_map(|(index, row)| read(row, index))
            .collect();
        let unread = rows - read.len();
        if rows > 0 && unread * 2 < rows {
            if unread > 0 {
                tracing::warn!(unread, rows, "Rows of a trending page cannot be read");
            }
            return Ok(read);
        }
        if rows > 0 && fault == PageFault::NoRows {
            fault = PageFault::Unread { unread, rows };
        }
    }
    let says_so = |element: ElementRef<'_>| {
        element.attr("class").is_some_and(is_blankslate)
            && !is_within(element, html.root_element(), is_aside)
    };
    match fault {
        PageFault::NoRows if html.root_element().descendent_elements().any(says_so) => {
            Ok(Vec::new())
        }
        fault => Err(fault),
    }
}

fn is_blankslate(classes: &str) -> bool {
    classes
        .split_ascii_whitespace()
        .any(|class| class.starts_with("blankslate"))
}

/// Whether the page ends before it is over: a transfer that broke may look complete. A part of a page, with everything closed
/// that it opens, will do.
fn is_cut(page: &str) -> bool {
    let lower = page.to_ascii_lowercase();
    // Something small may stand behind it.
    let tail = lower.len().saturating_sub(1024);
    if lower.as_bytes()[tail..]
        .windows(7)
        .any(|end| end == b"</html>")
    {
        return false;
    }
    ["article", "main", "div", "li"].iter().any(|name| {
        let opened = |text: &str| {
            let is_tag = |(at, _): &(usize, &str)| {
                let next = text.as_bytes().get(at + 1 + name.len());
                next.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-')
            };
            text.match_indices(&format!("<{name}"))
                .filter(is_tag)
                .count()
        };
        opened(&lower) != lower.matches(&format!("</{name}")).count()
    })
}

/// The elements that `is_it` takes, without those inside others of them.
fn outermost<'a>(root: ElementRef<'a>, is_it: &fn(&ElementRef<'_>) -> bool) -> Vec<ElementRef<'a>> {
    let is_outermost = |element: &ElementRef<'a>| {
        !element
            .ancestors()
            .filter_map(ElementRef::wrap)
            .any(|above| is_it(&above))
    };
    root.descendent_elements()
        .filter(|element| {
            is_it(element) && is_outermost(element) && !is_within(*element, root, is_aside)
        })
        .take(MAX_ROWS)
        .collect()
}

/// The elements below `row` in the order of the page.
pub(super) fn below<'a>(row: ElementRef<'a>) -> impl Iterator<Item = ElementRef<'a>> {
    row.descendent_elements()
        .filter(move |element| element.id() != row.id())
}

/// Whether the element, or one around it up to `row`, passes the test.
pub(super) fn is_within(
    element: ElementRef<'_>,
    row: ElementRef<'_>,
    test: impl Fn(&ElementRef<'_>) -> bool,
) -> bool {
    std::iter::once(element)
        .chain(
            element
                .ancestors()
                .take_while(|above| above.id() != row.id())
                .filter_map(ElementRef::wrap),
        )
        .any(|element| test(&element))
}

/// Whether the element is a heading of any level.
pub(super) fn is_heading(element: &ElementRef<'_>) -> bool {
    matches!(
        element.value().name(),
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6"
    )
}

/// Whether the element is none that people see among the rest.
pub(super) fn is_aside(element: &ElementRef<'_>) -> bool {
    matches!(
        element.value().name(),
        "template"
            | "dialog"
            | "modal-dialog"
            | "details"
            | "form"
            | "nav"
            | "include-fragment"
            | "tool-tip"
    ) || element.attr("hidden").is_some()
        || element.attr("role") == Some("dialog")
        || element.attr("aria-hidden") == Some("true")
}

/// Whether the element has this class among others.
pub(super) fn has_class(element: &ElementRef<'_>, class: &str) -> bool {
    element.value().classes().any(|one| one == class)
}

/// What people read of an element, with single spaces: no drawings, scripts and tooltips; emoji by their names when they are
/// images.
pub(super) fn text(element: ElementRef<'_>) -> String {
    let mut text = String::new();
    // Pages may nest deeper than a stack reaches.
    let mut waiting = vec![*element];
    while let Some(node) = waiting.pop() {
        match node.value() {
            Node::Text(part) => text.push_str(part),
            Node::Element(value) => match value.name() {
                "svg" | "script" | "style" | "template" | "tool-tip" => {}
                "img" if value.classes().any(|class| class == "emoji") => {
                    text.push_str(value.attr("alt").unwrap_or_default());
                }
                "br" => text.push(' '),
                _ => waiting.extend(node.children().rev()),
            },
            _ => waiting.extend(node.children().rev()),
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// As [`text`]; `None` when there is nothing to read.
pub(super) fn some_text(element: ElementRef<'_>) -> Option<String> {
    Some(text(element)).filter(|text| !text.is_empty())
}

/// The first number of a text: `17,440`, `1 002`, `17.4k`. `None` without one, or when it is too large for a count.
pub(super) fn number(text: &str) -> Option<u32> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let rest = &text[start..];
    let end = end_of_number(rest);
    let (written, after) = rest.split_at(end);
    let factor = match after.chars().next() {
        Some('k' | 'K') => 1_000.0,
        Some('m' | 'M') => 1_000_000.0,
        _ => {
            let digits: String = written.chars().filter(char::is_ascii_digit).collect();
            return digits.parse().ok();
        }
    };
    let decimal: f64 = written
        .replace(',', "")
        .trim_end_matches('.')
        .parse()
        .ok()?;
    let number = (decimal * factor).round();
    (number <= f64::from(u32::MAX)).then_some(number as u32)
}

/// Where a number ends that a text begins with. A space belongs to it when three digits follow and no fourth.
pub(super) fn end_of_number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut end = 0;
    loop {
        end += digits(end);
        let rest = &text[end..];
        let separator = match rest.chars().next() {
            Some(c @ (',' | '.')) if digits(end + 1) > 0 => c.len_utf8(),
            Some(c @ (' ' | '\u{a0}' | '\u{202f}')) if digits(end + c.len_utf8()) == 3 => {
                c.len_utf8()
            }
            _ => return end,
        };
        end += separator;
    }
}

/// The parts of the path of a link within GitHub.
pub(super) fn path<'a>(link: &ElementRef<'a>) -> Option<Vec<&'a str>> {
    let href = link
        .attr("href")
        .filter(|_| link.value().name() == "a")?
        .trim();
    let path = match href.split_once("://") {
        Some((_, rest)) => {
            let (host, path) = rest.split_once('/')?;
            matches!(host, "github.com" | "www.github.com").then_some(path)?
        }
        None if href.starts_with("//") => return None,
        None => href.strip_prefix('/')?,
    };
    let path = path.split(['?', '#']).next()?;
    Some(path.split('/').filter(|part| !part.is_empty()).collect())
}

/// Owner and name, when a link leads to a repository.
pub(super) fn repository_of<'a>(link: &ElementRef<'a>) -> Option<(&'a str, &'a str)> {
    let [owner, name] = path(link)?.try_into().ok()?;
    (is_login(owner) && is_repository_name(name)).then_some((owner, name))
}

/// The login, when a link leads to somebody.
pub(super) fn login_of<'a>(link: &ElementRef<'a>) -> Option<&'a str> {
    let [login] = path(link)?.try_into().ok()?;
    is_login(login).then_some(login)
}

/// Whether a text could be somebody's login; of apps it ends in `[bot]`.
pub(super) fn is_login(text: &str) -> bool {
    let name = text.strip_suffix("[bot]").unwrap_or(text);
    super::super::is_login(name) && !RESERVED.contains(&name)
}

pub(super) fn is_repository_name(text: &str) -> bool {
    super::super::is_repository_name(text)
}

/// The login that a picture shows: `alt="@login"`.
pub(super) fn pictured<'a>(image: &ElementRef<'a>) -> Option<&'a str> {
    let alt = image
        .attr("alt")
        .filter(|_| image.value().name() == "img")?;
    alt.trim().strip_prefix('@').filter(|login| is_login(login))
}

/// The address of a picture.
pub(super) fn picture(image: &ElementRef<'_>) -> Option<String> {
    let src = image.attr("src").or_else(|| image.attr("data-src"))?.trim();
    let is_address = src.starts_with("https://") || src.starts_with("http://");
    is_address.then(|| src.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, expected) in [
            ("17,440", Some(17_440)),
            ("1,017,440", Some(1_017_440)),
            ("1\u{a0}002 stars today", Some(1_002)),
            ("1 234 567", Some(1_234_567)),
            ("7 12", Some(7)),
            ("5. 6", Some(5)),
            ("star 7", Some(7)),
            ("17.4k", Some(17_400)),
            ("1.2M stars", Some(1_200_000)),
            ("0", Some(0)),
            ("99,999,999,999", None),
            ("none", None),
            ("", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }

    #[test]
    fn a_page_that_ends_in_the_middle_is_told_from_a_part_of_one() {
        for (page, expected) in [
            (
                "<html><body><div><article></article></div></body></html>\n",
                false,
            ),
            ("<div><br></html><!-- served -->", false),
            ("<article><div>a</div></article>", false),
            ("<html><body><div class=\"Box\"><article>a</article>", true),
            ("<article><div>a</div><h2>b", true),
            ("<divider><div>a</div>", false),
            ("", false),
        ] {
            assert_eq!(is_cut(page), expected, "{page}");
        }
    }
}
