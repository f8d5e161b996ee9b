//! Languages, people and organisations of GitHub in the schema.

use async_graphql::{Object, SimpleObject};

use crate::clients::github::records;
use crate::github::cache::Snapshot;
use crate::github::language;
use crate::graphql::scalars::DateTime;
use crate::platform::clock::Timestamp;

/// Where people see what GitHub shows, wherever we ask for it.
pub(super) const SITE: &str = "https://github.com";
/// A language of repositories, as GitHub's linguist knows it.
#[derive(SimpleObject, Debug, Clone, PartialEq, Eq)]
pub(crate) struct Language {
    /// As GitHub writes it.
    name: String,
    /// `#rrggbb`. Null when it has none.
    color: Option<String>,
    /// As it stands in GitHub's addresses, before it is encoded for them: lower case, hyphens for spaces.
    slug: String,
}

impl From<&language::Language> for Language {
    fn from(language: &language::Language) -> Self {
        Self {
            name: language.name.to_owned(),
            color: language.color.map(str::to_owned),
            slug: language.slug.clone(),
        }
    }
}

impl Language {
    /// A language that GitHub named, perhaps one that it got to know after our table was made.
    pub(super) fn named(name: &str, color: Option<&str>) -> Self {
        let known = language::Language::find(name);
        Self {
            name: name.to_owned(),
            color: color
                .or_else(|| known.and_then(|known| known.color))
                .map(str::to_owned),
            slug: known.map_or_else(|| language::slug_of(name), |known| known.slug.clone()),
        }
    }
}

/// A person, an organisation or an app at GitHub.
#[derive(SimpleObject, Debug, Clone, PartialEq, Eq)]
pub(crate) struct GithubActor {
    /// As GitHub writes it; of apps it ends in `[bot]`.
    login: String,
    /// Address of the profile picture. Null when GitHub shows none.
    avatar_url: Option<String>,
    /// Address of the page at GitHub.
    url: String,
}

impl From<&records::Actor> for GithubActor {
    fn from(actor: &records::Actor) -> Self {
        Self {
            login: actor.login.clone(),
            avatar_url: actor.avatar_url.clone(),
            url: format!("{SITE}/{}", actor.path),
        }
    }
}

/// A person or an organisation.
pub(crate) struct Developer {
    record: records::Developer,
    fetched_at: Timestamp,
    is_stale: bool,
}

impl Developer {
    pub(super) fn of(copy: &Snapshot<Option<records::Developer>>) -> Option<Self> {
        Some(Self {
            record: copy.value.as_ref().as_ref()?.clone(),
            fetched_at: copy.fetched_at,
            is_stale: copy.is_stale,
        })
    }
}

/// A person or an organisation at GitHub. What they did not fill in is null.
#[Object]
impl Developer {
    /// As GitHub writes it.
    async fn login(&self) -> &str {
        &self.record.login
    }

    /// Name, in full.
    async fn name(&self) -> Option<&str> {
        self.record.name.as_deref()
    }

    /// Address of the profile picture.
    async fn avatar_url(&self) -> &str {
        &self.record.avatar_url
    }

    /// Address of the page at GitHub.
    async fn url(&self) -> String {
        format!("{SITE}/{}", self.record.login)
    }

    /// What they say of themselves.
    async fn bio(&self) -> Option<&str> {
        self.record.bio.as_deref()
    }

    /// Where they work.
    async fn company(&self) -> Option<&str> {
        self.record.company.as_deref()
    }

    /// Where they live.
    async fn location(&self) -> Option<&str> {
        self.record.location.as_deref()
    }

    /// E-mail address, if they show it to everybody.
    async fn email(&self) -> Option<&str> {
        self.record.email.as_deref()
    }

    /// Their own site, as they wrote it.
    async fn blog(&self) -> Option<&str> {
        self.record.blog.as_deref()
    }

    /// Public repositories that they own.
    async fn public_repositories(&self) -> i32 {
        saturated(self.record.public_repositories)
    }

    /// People who follow them.
    async fn followers(&self) -> i32 {
        saturated(self.record.followers)
    }

    /// People whom they follow.
    async fn following(&self) -> i32 {
        saturated(self.record.following)
    }

    /// When they came to GitHub.
    async fn created_at(&self) -> DateTime {
        self.record.created_at.into()
    }

    /// When this server had it from GitHub, or GitHub confirmed it.
    async fn fetched_at(&self) -> DateTime {
        self.fetched_at.into()
    }

    /// Whether it should have been fetched again by now: GitHub does not answer, limits us, or is just being asked.
    async fn is_stale(&self) -> bool {
        self.is_stale
    }
}

/// As an Int of GraphQL.
pub(super) fn saturated(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}
