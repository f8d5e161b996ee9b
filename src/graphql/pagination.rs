//! Relay connections over keysets: a page begins after the sort key and id of a row, so rows that come and go meanwhile
//! neither repeat nor hide others.

use async_graphql::SimpleObject;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::platform::config::PageLimits;
use crate::platform::fault::{Faults, Rule};
use crate::platform::locale::Message;

/// Longest cursor that is decoded: a title of 200 characters fits several times.
const MAX_CURSOR_BYTES: usize = 4096;

/// Where a page lies in its connection.
#[derive(Debug, Clone, SimpleObject)]
pub struct PageInfo {
    /// Whether rows follow this page in the chosen order.
    pub has_next_page: bool,
    /// Whether rows come before this page in the chosen order.
    pub has_previous_page: bool,
    /// Cursor of the first row, for `before`; null on an empty page.
    pub start_cursor: Option<String>,
    /// Cursor of the last row, for `after`; null on an empty page.
    pub end_cursor: Option<String>,
}

/// The four paging arguments as a client sends them.
#[derive(Debug, Clone, Default)]
pub struct PageArgs {
    /// Rows from the start.
    pub first: Option<i32>,
    /// Only rows after this cursor.
    pub after: Option<String>,
    /// Rows from the end.
    pub last: Option<i32>,
    /// Only rows before this cursor.
    pub before: Option<String>,
}

/// Checked paging arguments; `C` is the position of a row.
#[derive(Debug, Clone)]
pub struct Page<C> {
    /// Rows at most.
    pub limit: u64,
    /// Whether the rows are counted from the end.
    pub is_backward: bool,
    /// Only rows after this position.
    pub after: Option<C>,
    /// Only rows before this position.
    pub before: Option<C>,
}

impl PageArgs {
    /// Checks the arguments. `is_ours` tells whether a cursor belongs to the order that is asked for.
    ///
    /// # Errors
    /// A size outside the limits, `first` together with `last`, or a cursor that is not one of this list.
    pub fn check<C: DeserializeOwned>(
        self,
        limits: PageLimits,
        is_ours: impl Fn(&C) -> bool,
    ) -> Result<Page<C>, Faults> {
        let mut faults = Faults::under(&[]);
        let mut size = |name: &str, size: Option<i32>| {
            let size = i64::from(size?);
            let max = i64::from(limits.max);
            if !(0..=max).contains(&size) {
                faults.add(&[name], Rule::OutOfRange { min: 0, max });
            }
            Some(size.unsigned_abs())
        };
        let (first, last) = (size("first", self.first), size("last", self.last));
        if first.is_some() && last.is_some() {
            let expected = Message::new("first 与 last 只能用一个", "use either first or last");
            faults.add(&["last"], Rule::Malformed { expected });
        }
        let mut cursor = |name: &str, text: Option<String>| {
            let cursor = decode(&text?).filter(&is_ours);
            if cursor.is_none() {
                let expected = Message::new(
                    "应为同一列表、同一排序返回的游标",
                    "a cursor of this list in this order",
                );
                faults.add(&[name], Rule::Malformed { expected });
            }
            cursor
        };
        let (after, before) = (cursor("after", self.after), cursor("before", self.before));
        faults.check(Page {
            limit: first.or(last).unwrap_or(u64::from(limits.default)),
            is_backward: last.is_some(),
            after,
            before,
        })
    }
}

/// A position as text that clients pass back unread.
pub fn encode<C: Serialize>(position: &C) -> String {
    // A struct of plain fields always becomes JSON; an empty cursor would be refused when it comes back.
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(position).unwrap_or_default())
}

/// The position behind such a text; `None` for any other text.
pub fn decode<C: DeserializeOwned>(text: &str) -> Option<C> {
    if text.len() > MAX_CURSOR_BYTES {
        return None;
    }
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// The rows of a page in the chosen order.
#[derive(Debug, Clone)]
pub struct Slice<T> {
    /// At most `limit` rows.
    pub rows: Vec<T>,
    /// Whether rows follow.
    pub has_next: bool,
    /// Whether rows come before.
    pub has_previous: bool,
}

impl<C> Page<C> {
    /// How many rows to fetch: one more than the page, which tells whether there are more.
    pub fn fetch(&self) -> u64 {
        self.limit + 1
    }

    /// Makes a page of the rows fetched, which stand in reverse when the page is counted from the end.
    pub fn slice<T>(&self, mut rows: Vec<T>) -> Slice<T> {
        let has_more = rows.len() as u64 > self.limit;
        rows.truncate(self.limit as usize);
        if self.is_backward {
            rows.reverse();
            Slice {
                rows,
                has_next: self.before.is_some(),
                has_previous: has_more,
            }
        } else {
            Slice {
                rows,
                has_next: has_more,
                has_previous: self.after.is_some(),
            }
        }
    }
}

/// Writes the cursor of a row.
pub type CursorOf<R> = Box<dyn Fn(&R) -> String + Send + Sync>;

/// Declares the connection and edge types of a list: `edges`, `nodes`, `pageInfo` and `totalCount`. `$node` is made
/// from the row `$row`; edges and nodes are made only when they are selected.
macro_rules! relay_connection {
    ($connection:ident, $edge:ident, $node:ident($row:ty), $plural:literal) => {
        #[doc = concat!("One page of ", $plural, ".")]
        pub(crate) struct $connection {
            pub(crate) slice: $crate::graphql::pagination::Slice<$row>,
            pub(crate) total_count: u64,
            pub(crate) cursor: $crate::graphql::pagination::CursorOf<$row>,
        }

        #[doc = concat!("One entry of a page of ", $plural, ".")]
        #[derive(async_graphql::SimpleObject)]
        pub(crate) struct $edge {
            /// Opaque position of the entry, for `after` and `before` of the same list in the same order.
            cursor: String,
            /// The entry itself.
            node: $node,
        }

        #[doc = concat!("One page of ", $plural, ".")]
        #[async_graphql::Object]
        impl $connection {
            /// The entries of this page, each with its cursor.
            async fn edges(&self) -> Vec<$edge> {
                let edge = |row: &$row| $edge {
                    cursor: (self.cursor)(row),
                    node: $node::from(row.clone()),
                };
                self.slice.rows.iter().map(edge).collect()
            }

            /// The entries of this page without their cursors.
            async fn nodes(&self) -> Vec<$node> {
                self.slice.rows.iter().cloned().map($node::from).collect()
            }

            /// Where the page lies in the list.
            async fn page_info(&self) -> $crate::graphql::pagination::PageInfo {
                $crate::graphql::pagination::PageInfo {
                    has_next_page: self.slice.has_next,
                    has_previous_page: self.slice.has_previous,
                    start_cursor: self.slice.rows.first().map(&self.cursor),
                    end_cursor: self.slice.rows.last().map(&self.cursor),
                }
            }

            /// How many entries match in all, on every page. Costs a query of its own, only when it is selected.
            async fn total_count(&self) -> i32 {
                i32::try_from(self.total_count).unwrap_or(i32::MAX)
            }
        }
    };
}
pub(crate) use relay_connection;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PageLimits = PageLimits {
        default: 20,
        max: 100,
    };

    fn check(args: PageArgs) -> Result<Page<i64>, Faults> {
        args.check(LIMITS, |position| *position >= 0)
    }

    #[test]
    fn allows_sizes_up_to_a_hundred_and_one_direction() {
        let first = |first| PageArgs {
            first: Some(first),
            ..PageArgs::default()
        };
        assert_eq!(check(PageArgs::default()).unwrap().limit, 20);
        assert_eq!(check(first(0)).unwrap().limit, 0);
        assert_eq!(check(first(100)).unwrap().limit, 100);
        for wrong in [
            first(101),
            first(-1),
            first(i32::MIN),
            PageArgs {
                last: Some(1),
                ..first(1)
            },
        ] {
            assert!(check(wrong).is_err());
        }
    }

    #[test]
    fn refuses_cursors_that_are_not_its_own() {
        let after = |after: String| PageArgs {
            after: Some(after),
            ..PageArgs::default()
        };
        assert_eq!(check(after(encode(&7))).unwrap().after, Some(7));
        for wrong in [
            String::new(),
            "!".to_owned(),
            encode(&-7),
            encode(&"text"),
            "A".repeat(5000),
        ] {
            assert!(check(after(wrong)).is_err());
        }
    }

    #[test]
    fn turns_pages_counted_from_the_end_round() {
        let page = Page {
            limit: 2,
            is_backward: true,
            after: None::<i64>,
            before: Some(9),
        };
        let slice = page.slice(vec![8, 7, 6]);
        assert_eq!(
            (slice.rows, slice.has_next, slice.has_previous),
            (vec![7, 8], true, true)
        );
    }
}
