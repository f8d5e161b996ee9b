//! Searches in the schema.

use async_graphql::{Context, Enum, Object, SimpleObject};
use serde::{Deserialize, Serialize};

use super::repository::Repository;
use crate::clients::github::{GithubError, SearchSort};
use crate::github::Asker;
use crate::github::GithubService;
use crate::github::service::{Found, MAX_RESULTS};
use crate::graphql::context::service;
use crate::graphql::error::ApiError;
use crate::graphql::pagination::{PageArgs, PageInfo, encode};
use crate::graphql::scalars::DateTime;
use crate::graphql::scope::shared;
use crate::platform::config::PageLimits;
use crate::platform::digest::sha256_hex;
use crate::platform::fault::{Faults, Rule};
use crate::platform::locale::Message;
use crate::platform::text::is_blank;

/// Longest query, in characters; GitHub takes no more.
const MAX_QUERY: usize = 256;

/// An order of search results, the most of it first.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "SearchSort")]
pub(crate) enum RepositorySort {
    /// In the order that GitHub thinks best.
    BestMatch,
    /// By stars.
    Stars,
    /// By forks.
    Forks,
    /// By open issues that ask for help.
    HelpWantedIssues,
    /// By the last change.
    Updated,
}

/// The place of a repository in a search: GitHub pages by number, not by what was seen last.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct SearchCursor {
    /// The beginning of a digest of query and order.
    search: String,
    /// Repositories up to this one.
    passed: u32,
}

/// One page of a search for repositories.
pub(crate) struct RepositoryConnection {
    found: Found,
    search: String,
    offset: u32,
}

/// One entry of a page of a search for repositories.
#[derive(SimpleObject)]
pub(crate) struct RepositoryEdge {
    /// Opaque position of the entry, for `after` of the same search.
    cursor: String,
    /// The entry itself.
    node: Repository,
}

impl RepositoryConnection {
    /// Searches.
    ///
    /// # Errors
    /// BAD_USER_INPUT, and what GitHub's failures mean.
    pub(super) async fn load(
        ctx: &Context<'_>,
        query: &str,
        sort: SearchSort,
        args: PageArgs,
    ) -> Result<Self, ApiError> {
        let query = query.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut faults = Faults::under(&[]);
        if is_blank(&query) {
            faults.add(&["query"], Rule::Required);
        } else if query.chars().count() > MAX_QUERY {
            faults.add(&["query"], Rule::TooLong { max: MAX_QUERY });
        } else if query.contains(char::is_control) {
            let expected = Message::new("不能有控制字符", "no control characters");
            faults.add(&["query"], Rule::Malformed { expected });
        }
        faults.check(())?;
        if asks_for_private(&query) {
            return Err(unreadable());
        }
        let mut search = sha256_hex(format!("{sort:?} {query}").as_bytes());
        search.truncate(16);
        let limits: PageLimits = *service(ctx)?;
        let page = args.check(limits, |cursor: &SearchCursor| {
            cursor.search == search && (1..=MAX_RESULTS).contains(&cursor.passed)
        })?;
        let offset = page.after.map_or(0, |cursor| cursor.passed);
        let limit = u32::try_from(page.limit).unwrap_or(limits.max);
        let github: &GithubService = service(ctx)?;
        let found = github
            .search(&*shared::<Asker>(ctx)?, &query, sort, offset, limit)
            .await;
        let found = found.map_err(|error| match error {
            GithubError::Invalid => unreadable(),
            error => error.into(),
        })?;
        Ok(Self {
            found,
            search,
            offset,
        })
    }

    fn cursor(&self, place: u32) -> String {
        encode(&SearchCursor {
            search: self.search.clone(),
            passed: place + 1,
        })
    }

    fn node(&self, record: &crate::clients::github::records::Repository) -> Repository {
        Repository::new(record.clone(), self.found.fetched_at, self.found.is_stale)
    }
}

/// Whether a query asks for what not everybody may see.
fn asks_for_private(query: &str) -> bool {
    query.split(' ').any(|part| {
        let part = part.trim_matches(['-', '(', ')', '"']).to_lowercase();
        matches!(part.split_once(':'), Some(("is" | "visibility", value)) if value != "public"
            && matches!(value.trim_matches('"'), "private" | "internal"))
    })
}

fn unreadable() -> ApiError {
    let mut faults = Faults::under(&[]);
    let expected = Message::new(
        "应为 GitHub 能理解的搜索语句，AND、OR、NOT 最多 5 个",
        "a search that GitHub understands, with at most 5 AND, OR or NOT",
    );
    faults.add(&["query"], Rule::Malformed { expected });
    faults.into()
}

/// One page of a search for repositories. GitHub pages by number: what moves up or down between two pages may be seen twice or not
/// at all.
#[Object]
impl RepositoryConnection {
    /// The entries of this page, each with its cursor.
    async fn edges(&self) -> Vec<RepositoryEdge> {
        let edge = |(place, record): &(u32, _)| RepositoryEdge {
            cursor: self.cursor(*place),
            node: self.node(record),
        };
        self.found.repositories.iter().map(edge).collect()
    }

    /// The entries of this page without their cursors.
    async fn nodes(&self) -> Vec<Repository> {
        let found = self.found.repositories.iter();
        found.map(|(_, record)| self.node(record)).collect()
    }

    /// Where the page lies among the first 1000.
    async fn page_info(&self) -> PageInfo {
        let cursor = |(place, _): &(u32, _)| self.cursor(*place);
        PageInfo {
            has_next_page: self.found.has_next,
            has_previous_page: self.offset > 0,
            start_cursor: self.found.repositories.first().map(cursor),
            // The last entries may be such as nobody sees.
            end_cursor: (self.found.passed > self.offset)
                .then(|| self.cursor(self.found.passed - 1)),
        }
    }

    /// How many GitHub found in all, which may be more than the 1000 that it gives out.
    async fn total_count(&self) -> i32 {
        i32::try_from(self.found.total).unwrap_or(i32::MAX)
    }

    /// Whether GitHub ran out of time, so that there may be more.
    async fn is_incomplete(&self) -> bool {
        self.found.is_incomplete
    }

    /// When this server had the page from GitHub.
    async fn fetched_at(&self) -> DateTime {
        self.found.fetched_at.into()
    }

    /// Whether it should have been fetched again by now: GitHub does not answer, limits us, or is just being asked.
    async fn is_stale(&self) -> bool {
        self.found.is_stale
    }
}
