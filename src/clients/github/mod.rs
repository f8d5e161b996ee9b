//! GitHub: its REST API, and the trending pages, which have none.
//!
//! Whatever callers name goes into single parts of paths and into queries, encoded; the hosts come from the settings alone.

mod call;
mod limits;
mod read;
pub mod records;
mod trending;
mod wrong_tokens;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use moka::sync::Cache;
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};

use self::call::{Question, Reply};
use self::limits::{Limits, Resource};
use self::read::{cut_text, read, read_page};
use self::records::{
    Account, Developer, EventPage, Readme, ReadmeForm, Repository, SearchPage, TrendingDeveloper,
    TrendingRepository,
};
use self::wrong_tokens::WrongTokens;
use crate::clients::upstream::{Oversize, Upstream};
use crate::platform::clock::Clock;
use crate::platform::config::GithubConfig;
use crate::platform::digest::sha256_hex;

/// A README beyond this is cut, in bytes.
pub const MAX_README_BYTES: usize = 512 * 1024;
/// Largest answer of the API: a page of a hundred repositories, or a README in base64.
const MAX_API_BYTES: usize = 4 << 20;
/// Largest page; the trending ones have some 600 KB.
const MAX_PAGE_BYTES: usize = 8 << 20;
/// Most repositories that are asked for at once by name.
const MAX_NAMED: usize = 30;
/// Tokens whose limits are remembered.
const MAX_TOKENS: u64 = 10_000;

const JSON: &str = "application/vnd.github+json";
const RAW: &str = "application/vnd.github.raw+json";
const HTML: &str = "text/html";

/// Why GitHub did not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GithubError {
    /// There is no such thing, or none that it tells us of.
    #[error("not at GitHub")]
    NotFound,
    /// We may not see it, or not now.
    #[error("GitHub does not let us see it")]
    Forbidden,
    /// GitHub cannot read what is asked for.
    #[error("GitHub does not understand the question")]
    Invalid,
    /// A user's token is not accepted.
    #[error("GitHub does not accept the token")]
    Unauthorized,
    /// A budget is spent.
    #[error("GitHub limits us")]
    RateLimited {
        /// When to try again.
        retry_after_seconds: u64,
    },
    /// The caller asks too much.
    #[error("too many questions for GitHub")]
    TooMany {
        /// When to try again.
        retry_after_seconds: u64,
    },
    /// No answer in time, or one that makes no sense.
    #[error("GitHub is not available")]
    Unavailable,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub enum Credential<'a> {
    /// Nobody.
    None,
    /// The server, with its own token if it has one.
    Server,
    /// A user.
    User(&'a SecretString),
}

/// What was fetched, if it is another than the copy that we have.
#[derive(Debug)]
pub enum Fetched<T> {
    /// It is.
    New {
        /// What came.
        value: T,
        /// What to compare with the next time.
        etag: Option<String>,
        /// How long it is to be kept, when GitHub says so.
        poll: Option<TimeDelta>,
    },
    /// The copy is still right.
    Unchanged,
}

/// A time over which stars are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// A day.
    Daily,
    /// A week.
    Weekly,
    /// A month.
    Monthly,
}

impl Period {
    fn name(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }
}

/// An order of search results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SearchSort {
    /// GitHub's own.
    BestMatch,
    /// Most stars first.
    Stars,
    /// Most forks first.
    Forks,
    /// Most issues that ask for help first.
    HelpWantedIssues,
    /// Last changed first.
    Updated,
}

impl SearchSort {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::BestMatch => None,
            Self::Stars => Some("stars"),
            Self::Forks => Some("forks"),
            Self::HelpWantedIssues => Some("help-wanted-issues"),
            Self::Updated => Some("updated"),
        }
    }
}

/// Calls GitHub.
#[derive(Clone)]
pub struct GithubClient(Arc<Inner>);

struct Inner {
    api: Upstream,
    web: Upstream,
    http: Client,
    api_url: Url,
    web_url: Url,
    token: Option<SecretString>,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    /// Of the server's token, or of its address.
    limits: Arc<Limits>,
    /// Of users, by a digest of their tokens.
    limits_of_users: Cache<String, Arc<Limits>>,
    wrong_tokens: WrongTokens,
}

impl GithubClient {
    /// A client. `http` must have been built by [`crate::platform::http_client`].
    pub fn new(http: Client, config: &GithubConfig, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            api: Upstream::new("GitHub", MAX_API_BYTES, Arc::clone(&clock)),
            web: Upstream::new("GitHub pages", MAX_PAGE_BYTES, Arc::clone(&clock)),
            http,
            api_url: config.api_url.clone(),
            web_url: config.web_url.clone(),
            token: config.token.clone(),
            timeout: config.timeout,
            clock,
            wrong_tokens: WrongTokens::default(),
            limits: Arc::default(),
            limits_of_users: Cache::builder()
                .max_capacity(MAX_TOKENS)
                .time_to_idle(Duration::from_secs(2 * 3600))
                .build(),
        }))
    }

    fn limits_of(&self, credential: Credential<'_>) -> Arc<Limits> {
        match credential {
            Credential::None | Credential::Server => Arc::clone(&self.0.limits),
            Credential::User(token) => {
                let digest = sha256_hex(token.expose_secret().as_bytes());
                self.0.limits_of_users.get_with(digest, Arc::default)
            }
        }
    }

    /// `GET /repos/{owner}/{repo}`, also under a name that it had before. A private one is not found.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn repository(
        &self,
        owner: &str,
        name: &str,
        etag: Option<&str>,
    ) -> Result<Fetched<Repository>, GithubError> {
        let path = ["repos", owner, name];
        let question = api("/repos/{owner}/{repo}", &path, &[], etag);
        let fetched = read(self.ask(question).await?, records::repository)?;
        match &fetched {
            Fetched::New { value, .. } if value.is_private => Err(GithubError::NotFound),
            _ => Ok(fetched),
        }
    }

    /// The README of a repository, cut to [`MAX_README_BYTES`]: `GET /repos/{owner}/{repo}/readme`.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn readme(
        &self,
        owner: &str,
        name: &str,
        etag: Option<&str>,
    ) -> Result<Fetched<Readme>, GithubError> {
        let template = "/repos/{owner}/{repo}/readme";
        let path = ["repos", owner, name, "readme"];
        let reply = self.ask(api(template, &path, &[], etag)).await?;
        let (form, etag, poll) = match read(reply, records::readme)? {
            // Its repository is private by now.
            Fetched::New {
                value: ReadmeForm::Private,
                ..
            } => return Err(GithubError::NotFound),
            Fetched::New { value, etag, poll } => (value, etag, poll),
            Fetched::Unchanged => return Ok(Fetched::Unchanged),
        };
        let (path_of_file, bytes, is_cut) = match form {
            ReadmeForm::Whole { path, bytes } => (path, bytes, false),
            ReadmeForm::Private => return Err(GithubError::NotFound),
            ReadmeForm::Elsewhere { path: of_file } => {
                let question = Question {
                    accept: RAW,
                    max_bytes: MAX_README_BYTES,
                    oversize: Oversize::Cut,
                    ..api(template, &path, &[], None)
                };
                match self.ask(question).await? {
                    Reply::Content(content) => (of_file, content.body, content.is_cut),
                    Reply::Unchanged => return Err(GithubError::Unavailable),
                }
            }
        };
        let (text, is_truncated) = cut_text(&bytes, is_cut);
        Ok(Fetched::New {
            value: Readme {
                path: path_of_file,
                text,
                is_truncated,
            },
            etag,
            poll,
        })
    }

    /// `GET /users/{username}`: a person or an organisation.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn developer(
        &self,
        login: &str,
        etag: Option<&str>,
    ) -> Result<Fetched<Developer>, GithubError> {
        let path = ["users", login];
        let question = api("/users/{username}", &path, &[], etag);
        read(self.ask(question).await?, records::developer)
    }

    /// A page of `GET /search/repositories`, from 1.
    ///
    /// # Errors
    /// See [`GithubError`]; `Invalid` for a query that GitHub cannot read.
    pub async fn search(
        &self,
        query: &str,
        sort: SearchSort,
        per_page: u32,
        page: u32,
    ) -> Result<Fetched<SearchPage>, GithubError> {
        let (per_page, page) = (per_page.to_string(), page.to_string());
        // Our token may see more than everybody, and the number of what is found would tell of it.
        let query = match self.0.token {
            Some(_) => format!("{query} is:public"),
            None => query.to_owned(),
        };
        let mut parameters = vec![
            ("q", query.as_str()),
            ("per_page", &per_page),
            ("page", &page),
        ];
        if let Some(sort) = sort.name() {
            parameters.extend([("sort", sort), ("order", "desc")]);
        }
        let path = ["search", "repositories"];
        let question = Question {
            resource: Resource::Search,
            ..api("/search/repositories", &path, &parameters, None)
        };
        read(self.ask(question).await?, records::search)
    }

    /// Repositories by owner and name, at most [`GithubClient::max_named`], in one search; those that it does not know are
    /// missing.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn repositories_named(
        &self,
        names: &[(String, String)],
    ) -> Result<Vec<Repository>, GithubError> {
        let named = names.iter().take(MAX_NAMED);
        let mut query: String = named
            .map(|(owner, name)| format!("repo:{owner}/{name} "))
            .collect();
        // Without it forks are left out.
        query.push_str("fork:true");
        match self.search(&query, SearchSort::BestMatch, 100, 1).await? {
            Fetched::New { value, .. } => {
                let repositories = value.repositories.into_iter();
                Ok(repositories.map(|(_, repository)| repository).collect())
            }
            Fetched::Unchanged => Err(GithubError::Unavailable),
        }
    }

    /// Whether the server has a token of its own.
    pub fn has_token(&self) -> bool {
        self.0.token.is_some()
    }

    /// Most repositories of one [`GithubClient::repositories_named`].
    pub fn max_named(&self) -> usize {
        MAX_NAMED
    }

    /// Whose a token is: `GET /user`.
    ///
    /// # Errors
    /// See [`GithubError`]; `Unauthorized` for a token that GitHub does not accept.
    pub async fn account(&self, token: &SecretString) -> Result<Account, GithubError> {
        self.0.wrong_tokens.check(self.0.clock.now())?;
        let question = Question {
            credential: Credential::User(token),
            ..api("/user", &["user"], &[], None)
        };
        let reply = self.ask(question).await;
        if reply.as_ref().err() == Some(&GithubError::Unauthorized) {
            self.0.wrong_tokens.count(self.0.clock.now());
        }
        match read(reply?, records::account)? {
            Fetched::New { value, .. } => Ok(value),
            Fetched::Unchanged => Err(GithubError::Unavailable),
        }
    }

    /// A page of `GET /users/{username}/received_events`, from 1, a hundred a page.
    ///
    /// # Errors
    /// See [`GithubError`]; `Invalid` beyond the last page.
    pub async fn received_events(
        &self,
        token: &SecretString,
        login: &str,
        page: u32,
        etag: Option<&str>,
    ) -> Result<Fetched<EventPage>, GithubError> {
        let path = ["users", login, "received_events"];
        let page = page.to_string();
        let query = [("per_page", "100"), ("page", page.as_str())];
        let question = Question {
            credential: Credential::User(token),
            ..api("/users/{username}/received_events", &path, &query, etag)
        };
        let reply = self.ask(question).await?;
        let has_next = matches!(&reply, Reply::Content(content) if content.has_next);
        read(reply, |body| {
            let events = records::events(body)?;
            Ok(EventPage { events, has_next })
        })
    }

    /// `GET /trending`, of one language or of all, perhaps only what is described in one spoken language.
    ///
    /// # Errors
    /// See [`GithubError`]; `Unavailable`, with an error in the log, for a page that is not what it should be.
    pub async fn trending_repositories(
        &self,
        language: Option<&str>,
        spoken_language: Option<&str>,
        since: Period,
        etag: Option<&str>,
    ) -> Result<Fetched<Vec<TrendingRepository>>, GithubError> {
        let path = ["trending", language.unwrap_or_default()];
        let mut query = vec![("since", since.name())];
        query.extend(spoken_language.map(|code| ("spoken_language_code", code)));
        let question = page(
            "/trending/{language}",
            &path[..1 + usize::from(language.is_some())],
            &query,
            etag,
        );
        let reply = self.ask(question).await;
        read_page(reply, trending::repositories::read).await
    }

    /// `GET /trending/developers`, of one language or of all.
    ///
    /// # Errors
    /// As [`GithubClient::trending_repositories`].
    pub async fn trending_developers(
        &self,
        language: Option<&str>,
        since: Period,
        etag: Option<&str>,
    ) -> Result<Fetched<Vec<TrendingDeveloper>>, GithubError> {
        let path = ["trending", "developers", language.unwrap_or_default()];
        let query = [("since", since.name())];
        let question = page(
            "/trending/developers/{language}",
            &path[..2 + usize::from(language.is_some())],
            &query,
            etag,
        );
        let reply = self.ask(question).await;
        read_page(reply, trending::developers::read).await
    }
}

fn api<'a>(
    template: &'static str,
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    etag: Option<&'a str>,
) -> Question<'a> {
    Question {
        resource: Resource::Core,
        credential: Credential::Server,
        template,
        path,
        query,
        accept: JSON,
        etag,
        max_bytes: MAX_API_BYTES,
        oversize: Oversize::Fail,
    }
}

/// A page needs no token.
fn page<'a>(
    template: &'static str,
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    etag: Option<&'a str>,
) -> Question<'a> {
    Question {
        resource: Resource::Pages,
        credential: Credential::None,
        accept: HTML,
        max_bytes: MAX_PAGE_BYTES,
        ..api(template, path, query, etag)
    }
}

/// Whether a text could be the login of a person or an organisation. GitHub gives out stricter ones
/// today than it did: old ones begin or end with a hyphen, or have two in a row. Those of managed
/// users end with an underscore and a short code.
pub fn is_login(text: &str) -> bool {
    (1..=39).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Whether a text could be the name of a repository.
pub fn is_repository_name(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && !matches!(text, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_single_parts_of_a_path() {
        for login in [
            "ada",
            "a-b",
            "A1",
            "-a",
            "a-",
            "a--b",
            "user_corp",
            &"a".repeat(39),
        ] {
            assert!(is_login(login), "{login}");
        }
        for login in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "a%2f",
            "ада",
            "a.b",
            &"a".repeat(40),
        ] {
            assert!(!is_login(login), "{login}");
        }
        for name in ["a", ".github", "a.b-c_d", "...", &"a".repeat(100)] {
            assert!(is_repository_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a?b",
            "a#b",
            "a b",
            "名",
            &"a".repeat(101),
        ] {
            assert!(!is_repository_name(name), "{name}");
        }
    }
}
