//! What GitHub tells, as far as we use it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

use crate::platform::clock::Timestamp;

/// Somebody: a person, an organisation or an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// As GitHub writes it; of apps it ends in `[bot]`.
    pub login: String,
    /// Address of the picture.
    pub avatar_url: Option<String>,
    /// Path of the page at github.com, without the first slash.
    pub path: String,
}

impl Actor {
    fn new(login: String, avatar_url: Option<String>) -> Self {
        let path = match login.strip_suffix("[bot]") {
            Some(app) => format!("apps/{app}"),
            None => login.clone(),
        };
        Self {
            login,
            avatar_url,
            path,
        }
    }
}

/// A language as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Language {
    /// As GitHub writes it.
    pub name: String,
    /// `#rrggbb`.
    pub color: Option<String>,
}

/// A row of the page of trending repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrendingRepository {
    /// Login of the owner.
    pub owner: String,
    /// Name without the owner.
    pub name: String,
    /// What it says of itself.
    pub description: Option<String>,
    /// The language of most of it.
    pub language: Option<Language>,
    /// Stars in all.
    pub stars: Option<u32>,
    /// Forks in all.
    pub forks: Option<u32>,
    /// Stars of the day, week or month.
    pub stars_in_period: Option<u32>,
    /// Who built it.
    pub built_by: Vec<Actor>,
}

/// A row of the page of trending developers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrendingDeveloper {
    /// From 1.
    pub rank: u32,
    /// Login.
    pub login: String,
    /// Name.
    pub name: Option<String>,
    /// Address of the picture.
    pub avatar_url: Option<String>,
    /// The repository that the page shows beside the name, perhaps an organisation's.
    pub popular_repository: Option<PopularRepository>,
}

/// A repository beside a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopularRepository {
    /// Login of the owner.
    pub owner: String,
    /// Name without the owner.
    pub name: String,
    /// What it says of itself.
    pub description: Option<String>,
}

/// A licence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct License {
    /// In words.
    pub name: String,
    /// By the list of SPDX.
    pub spdx_id: Option<String>,
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Who owns it.
    pub owner: Actor,
    /// Name without the owner.
    pub name: String,
    /// Owner and name.
    pub full_name: String,
    /// What it says of itself.
    pub description: Option<String>,
    /// Address of its own site.
    pub homepage_url: Option<String>,
    /// The language of most of it.
    pub language: Option<String>,
    /// Its licence.
    pub license: Option<License>,
    /// Stars.
    pub stars: u64,
    /// Forks.
    pub forks: u64,
    /// Those who are told of everything. Only known of a repository that was asked for by itself.
    pub watchers: Option<u64>,
    /// Open issues and pull requests.
    pub open_issues: u64,
    /// Topics.
    pub topics: Vec<String>,
    /// The branch that is shown.
    pub default_branch: String,
    /// Whether it is a fork.
    pub is_fork: bool,
    /// Whether it is read-only.
    pub is_archived: bool,
    /// Whether only some may see it.
    pub is_private: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
    /// When somebody pushed to it.
    pub pushed_at: Option<Timestamp>,
}

/// A page of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPage {
    /// Found in all.
    pub total: u64,
    /// Whether GitHub ran out of time.
    pub is_incomplete: bool,
    /// The public ones among the entries of this page, each with its place on it, from 0.
    pub repositories: Vec<(u32, Repository)>,
    /// How many entries the page has, private ones included.
    pub entries: usize,
}

/// A README.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readme {
    /// Where it lies.
    pub path: String,
    /// As it is written.
    pub text: String,
    /// Whether the end is missing.
    pub is_truncated: bool,
}

/// A person or organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Developer {
    /// Login.
    pub login: String,
    /// Name.
    pub name: Option<String>,
    /// Address of the picture.
    pub avatar_url: String,
    /// About them.
    pub bio: Option<String>,
    /// Where they work.
    pub company: Option<String>,
    /// Where they live.
    pub location: Option<String>,
    /// E-mail address, if it is public.
    pub email: Option<String>,
    /// Their own site, as they wrote it.
    pub blog: Option<String>,
    /// Public repositories.
    pub public_repositories: u64,
    /// Followers.
    pub followers: u64,
    /// Whom they follow.
    pub following: u64,
    /// Since when.
    pub created_at: Timestamp,
}

/// Whose a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The same for the life of the account.
    pub id: i64,
    /// Login, which may change.
    pub login: String,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Digits.
    pub id: String,
    /// GitHub's own name for its kind.
    pub kind: Option<String>,
    /// Who did it.
    pub actor: Actor,
    /// The repository, which may have another name by now.
    pub repository_owner: String,
    /// Its name without the owner.
    pub repository_name: String,
    /// What is known of it, by kind.
    pub details: Details,
    /// When it happened.
    pub occurred_at: Option<Timestamp>,
}

/// What sentences about events need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// `opened`, `closed` and so on.
    pub action: Option<String>,
    /// Number of an issue or pull request.
    pub number: Option<u64>,
    /// A branch or tag.
    pub git_ref: Option<String>,
    /// `branch`, `tag` or `repository`.
    pub ref_type: Option<String>,
    /// The full name of the fork, the tag of the release or the login of the member.
    pub object: Option<String>,
}

/// A page of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// Newest first.
    pub events: Vec<Event>,
    /// Whether GitHub has a page after this one.
    pub has_next: bool,
}

/// Text that says something.
fn some(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

/// An address that a link may have: people write what they like into such fields.
fn address(text: Option<String>) -> Option<String> {
    some(text).filter(|text| match text.split_once(':') {
        Some((scheme, rest)) => {
            matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https")
                || rest.starts_with(|c: char| c.is_ascii_digit())
        }
        None => true,
    })
}

/// null, a number below zero or nothing count as nothing.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = Option::<i64>::deserialize(deserializer)?;
    Ok(number
        .and_then(|number| u64::try_from(number).ok())
        .unwrap_or_default())
}

/// null is the same as nothing.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Deserialize)]
struct RawActor {
    login: String,
    avatar_url: Option<String>,
}

#[derive(Deserialize)]
struct RawLicense {
    name: String,
    spdx_id: Option<String>,
}

#[derive(Deserialize)]
struct RawRepository {
    name: String,
    full_name: String,
    owner: Option<RawActor>,
    description: Option<String>,
    homepage: Option<String>,
    language: Option<String>,
    license: Option<RawLicense>,
    #[serde(default, deserialize_with = "count")]
    stargazers_count: u64,
    #[serde(default, deserialize_with = "count")]
    forks_count: u64,
    subscribers_count: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    open_issues_count: u64,
    #[serde(default, deserialize_with = "or_default")]
    topics: Vec<String>,
    default_branch: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    fork: bool,
    #[serde(default, deserialize_with = "or_default")]
    archived: bool,
    #[serde(default, deserialize_with = "or_default")]
    private: bool,
    visibility: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    pushed_at: Option<DateTime<Utc>>,
}

impl From<RawRepository> for Repository {
    fn from(raw: RawRepository) -> Self {
        let owner = raw.owner.map_or_else(
            || {
                let login = raw.full_name.split('/').next().unwrap_or_default();
                Actor::new(login.to_owned(), None)
            },
            |owner| Actor::new(owner.login, some(owner.avatar_url)),
        );
        let is_public = raw.visibility.as_deref().is_none_or(|v| v == "public");
        Self {
            owner,
            name: raw.name,
            full_name: raw.full_name,
            description: some(raw.description),
            homepage_url: address(raw.homepage),
            language: some(raw.language),
            license: raw.license.map(|license| License {
                name: license.name,
                spdx_id: some(license.spdx_id),
            }),
            stars: raw.stargazers_count,
            forks: raw.forks_count,
            watchers: raw.subscribers_count,
            open_issues: raw.open_issues_count,
            topics: raw.topics,
            // Addresses understand this one wherever the branch has a name.
            default_branch: some(raw.default_branch).unwrap_or_else(|| "HEAD".to_owned()),
            is_fork: raw.fork,
            is_archived: raw.archived,
            is_private: raw.private || !is_public,
            created_at: raw.created_at.into(),
            updated_at: raw.updated_at.into(),
            pushed_at: raw.pushed_at.map(Into::into),
        }
    }
}

#[derive(Deserialize)]
struct RawSearch {
    #[serde(default, deserialize_with = "count")]
    total_count: u64,
    #[serde(default, deserialize_with = "or_default")]
    incomplete_results: bool,
    items: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct RawReadme {
    path: String,
    #[serde(default, deserialize_with = "or_default")]
    encoding: String,
    #[serde(default, deserialize_with = "or_default")]
    content: String,
    download_url: Option<String>,
}

#[derive(Deserialize)]
struct RawDeveloper {
    login: String,
    name: Option<String>,
    avatar_url: Option<String>,
    bio: Option<String>,
    company: Option<String>,
    location: Option<String>,
    email: Option<String>,
    blog: Option<String>,
    #[serde(default, deserialize_with = "count")]
    public_repos: u64,
    #[serde(default, deserialize_with = "count")]
    followers: u64,
    #[serde(default, deserialize_with = "count")]
    following: u64,
    created_at: DateTime<Utc>,
}

impl From<RawDeveloper> for Developer {
    fn from(raw: RawDeveloper) -> Self {
        let picture = || format!("https://github.com/{}.png", raw.login);
        Self {
            avatar_url: some(raw.avatar_url).unwrap_or_else(picture),
            login: raw.login,
            name: some(raw.name),
            bio: some(raw.bio),
            company: some(raw.company),
            location: some(raw.location),
            email: some(raw.email),
            blog: address(raw.blog),
            public_repositories: raw.public_repos,
            followers: raw.followers,
            following: raw.following,
            created_at: raw.created_at.into(),
        }
    }
}

#[derive(Deserialize)]
struct RawAccount {
    id: i64,
    login: String,
}

/// A README as the JSON form has it.
pub(super) enum ReadmeForm {
    /// With its bytes.
    Whole {
        /// Where it lies.
        path: String,
        /// What it holds.
        bytes: Vec<u8>,
    },
    /// Not for everybody.
    Private,
    /// Too large for this form.
    Elsewhere {
        /// Where it lies.
        path: String,
    },
}

pub(super) fn repository(body: &[u8]) -> serde_json::Result<Repository> {
    serde_json::from_slice::<RawRepository>(body).map(Into::into)
}

pub(super) fn search(body: &[u8]) -> serde_json::Result<SearchPage> {
    let raw: RawSearch = serde_json::from_slice(body)?;
    let entries = raw.items.len();
    let read = |item: serde_json::Value| match serde_json::from_value::<RawRepository>(item) {
        Ok(raw) => Some(Repository::from(raw)),
        Err(error) => {
            // Its text may have values in it.
            let kind = error.classify();
            tracing::warn!(?kind, "A repository in GitHub's search cannot be read");
            None
        }
    };
    let items = (0..).zip(raw.items);
    let repositories = items.filter_map(|(place, item)| Some((place, read(item)?)));
    Ok(SearchPage {
        total: raw.total_count,
        is_incomplete: raw.incomplete_results,
        // Our token may see more than the caller.
        repositories: repositories.filter(|(_, one)| !one.is_private).collect(),
        entries,
    })
}

pub(super) fn readme(body: &[u8]) -> serde_json::Result<ReadmeForm> {
    use base64::Engine;
    let raw: RawReadme = serde_json::from_slice(body)?;
    let path = raw.path;
    // Only those of private repositories have one.
    if raw.download_url.is_some_and(|url| url.contains("token=")) {
        return Ok(ReadmeForm::Private);
    }
    // It comes in lines.
    let content: String = raw.content.split_ascii_whitespace().collect();
    let bytes = match raw.encoding.as_str() {
        "base64" => base64::prelude::BASE64_STANDARD.decode(content).ok(),
        _ => None,
    };
    Ok(match bytes {
        Some(bytes) => ReadmeForm::Whole { path, bytes },
        None => ReadmeForm::Elsewhere { path },
    })
}

pub(super) fn developer(body: &[u8]) -> serde_json::Result<Developer> {
    serde_json::from_slice::<RawDeveloper>(body).map(Into::into)
}

pub(super) fn account(body: &[u8]) -> serde_json::Result<Account> {
    let raw: RawAccount = serde_json::from_slice(body)?;
    Ok(Account {
        id: raw.id,
        login: raw.login,
    })
}

/// Events, of which new kinds appear over time: what cannot be read of one is left out, not the event.
pub(super) fn events(body: &[u8]) -> serde_json::Result<Vec<Event>> {
    let raw: Vec<serde_json::Value> = serde_json::from_slice(body)?;
    Ok(raw.iter().filter_map(event).collect())
}

fn event(raw: &serde_json::Value) -> Option<Event> {
    let text = |path: &str| {
        let text = raw.pointer(path)?.as_str()?;
        some(Some(text.to_owned()))
    };
    let id = match raw.get("id")? {
        serde_json::Value::String(id) => id.clone(),
        id => id.as_u64()?.to_string(),
    };
    let login = text("/actor/login").or_else(|| text("/actor/display_login"))?;
    let name = text("/repo/name").unwrap_or_default();
    let (owner, name) = name.split_once('/').unwrap_or(("", name.as_str()));
    let kind = text("/type");
    let object = match kind.as_deref() {
        Some("ForkEvent") => text("/payload/forkee/full_name"),
        Some("ReleaseEvent") => text("/payload/release/tag_name"),
        Some("MemberEvent") => text("/payload/member/login"),
        _ => None,
    };
    let number = ["", "/issue", "/pull_request"]
        .iter()
        .find_map(|under| raw.pointer(&format!("/payload{under}/number"))?.as_u64());
    let occurred_at = text("/created_at")
        .and_then(|text| DateTime::parse_from_rfc3339(&text).ok())
        .map(|time| time.to_utc().into());
    Some(Event {
        id,
        actor: Actor::new(login, text("/actor/avatar_url")),
        repository_owner: owner.to_owned(),
        repository_name: name.to_owned(),
        details: Details {
            action: text("/payload/action"),
            number,
            git_ref: text("/payload/ref"),
            ref_type: text("/payload/ref_type"),
            object,
        },
        occurred_at,
        kind,
    })
}

/// Events as GitHub writes them.
#[cfg(test)]
pub(crate) fn events_of(text: &str) -> Vec<Event> {
    events(text.as_bytes()).expect("a list of events")
}
