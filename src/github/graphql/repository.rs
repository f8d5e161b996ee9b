//! Repositories in the schema.

use async_graphql::{Context, Object, SimpleObject};

use super::types::{GithubActor, Language, SITE, saturated};
use crate::clients::github::records;
use crate::github::Asker;
use crate::github::GithubService;
use crate::github::cache::Snapshot;
use crate::graphql::context::service;
use crate::graphql::error::ApiError;
use crate::graphql::scalars::DateTime;
use crate::graphql::scope::shared;
use crate::platform::clock::Timestamp;

/// Where files of repositories are served as they are.
const RAW_SITE: &str = "https://raw.githubusercontent.com";

/// A licence.
#[derive(SimpleObject)]
pub(crate) struct License {
    /// In words.
    name: String,
    /// By the list of SPDX; `NOASSERTION` for one that is none of it. Null when GitHub names none.
    spdx_id: Option<String>,
}

/// A repository that was fetched.
#[derive(Clone)]
pub(crate) struct Repository {
    record: records::Repository,
    fetched_at: Timestamp,
    is_stale: bool,
}

impl Repository {
    pub(super) fn of(copy: Snapshot<Option<records::Repository>>) -> Option<Self> {
        let record = copy.value.as_ref().as_ref()?.clone();
        Some(Self::new(record, copy.fetched_at, copy.is_stale))
    }

    pub(super) fn new(record: records::Repository, fetched_at: Timestamp, is_stale: bool) -> Self {
        Self {
            record,
            fetched_at,
            is_stale,
        }
    }
}

/// A repository at GitHub.
#[Object]
impl Repository {
    /// A person or an organisation.
    async fn owner(&self) -> GithubActor {
        (&self.record.owner).into()
    }

    /// Name without the owner.
    async fn name(&self) -> &str {
        &self.record.name
    }

    /// Owner and name, as GitHub has them now: the repository may have been found by an earlier name.
    async fn full_name(&self) -> &str {
        &self.record.full_name
    }

    /// What it says of itself. Null when it says nothing.
    async fn description(&self) -> Option<&str> {
        self.record.description.as_deref()
    }

    /// Its own site, as its owner wrote it. Null when there is none.
    async fn homepage_url(&self) -> Option<&str> {
        self.record.homepage_url.as_deref()
    }

    /// Address of the page at GitHub.
    async fn url(&self) -> String {
        format!("{SITE}/{}", self.record.full_name)
    }

    /// The language of most of it. Null when there is no code in it.
    async fn language(&self) -> Option<Language> {
        let name = self.record.language.as_deref()?;
        Some(Language::named(name, None))
    }

    /// Its licence. Null when GitHub finds none.
    async fn license(&self) -> Option<License> {
        let license = self.record.license.as_ref()?;
        Some(License {
            name: license.name.clone(),
            spdx_id: license.spdx_id.clone(),
        })
    }

    /// People who starred it.
    async fn stars(&self) -> i32 {
        saturated(self.record.stars)
    }

    /// Copies that others made.
    async fn forks(&self) -> i32 {
        saturated(self.record.forks)
    }

    /// People who are told of everything that happens in it. Null in `searchRepositories`, whose results do not
    /// tell, and while GitHub does not answer for a repository that only a list has shown.
    async fn watchers(&self) -> Option<i32> {
        self.record.watchers.map(saturated)
    }

    /// Open issues and open pull requests together: GitHub counts no other way.
    async fn open_issues(&self) -> i32 {
        saturated(self.record.open_issues)
    }

    /// What its owner filed it under.
    async fn topics(&self) -> &[String] {
        &self.record.topics
    }

    /// The branch that is shown.
    async fn default_branch(&self) -> &str {
        &self.record.default_branch
    }

    /// Whether it is a copy of another one.
    async fn is_fork(&self) -> bool {
        self.record.is_fork
    }

    /// Whether its owner closed it to changes.
    async fn is_archived(&self) -> bool {
        self.record.is_archived
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.record.created_at.into()
    }

    /// When it, its description or the like was changed.
    async fn updated_at(&self) -> DateTime {
        self.record.updated_at.into()
    }

    /// When somebody pushed to it. Null for one that nobody did.
    async fn pushed_at(&self) -> Option<DateTime> {
        self.record.pushed_at.map(Into::into)
    }

    /// Its README, fetched on demand. Null when it has none. Errors: UPSTREAM_UNAVAILABLE, UPSTREAM_RATE_LIMITED.
    async fn readme(&self, ctx: &Context<'_>) -> Option<Result<Readme, ApiError>> {
        Readme::load(ctx, &self.record).await.transpose()
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

/// The README of a repository. Anybody may have written it: show it as text or by a renderer that lets no HTML through, and mind
/// WeChat's rules for what users publish.
#[derive(SimpleObject)]
pub(crate) struct Readme {
    /// The source, mostly Markdown, at most 512 KiB.
    text: String,
    /// Where it lies in the repository. The ending tells how it is written.
    path: String,
    /// What relative links in it are resolved against.
    base_url: String,
    /// What relative addresses of images in it are resolved against.
    image_base_url: String,
    /// Whether the end was cut off.
    is_truncated: bool,
}

impl Readme {
    async fn load(
        ctx: &Context<'_>,
        repository: &records::Repository,
    ) -> Result<Option<Self>, ApiError> {
        let github: &GithubService = service(ctx)?;
        let copy = github.readme(&*shared::<Asker>(ctx)?, repository).await?;
        let Some(readme) = copy.value.as_ref() else {
            return Ok(None);
        };
        let folder = readme
            .path
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        let parts = repository
            .default_branch
            .split('/')
            .chain(folder.split('/'));
        let parts: Vec<String> = parts
            .filter(|part| !matches!(*part, "" | "." | ".."))
            .map(encoded)
            .collect();
        let (name, place) = (&repository.full_name, parts.join("/"));
        Ok(Some(Self {
            base_url: format!("{SITE}/{name}/blob/{place}/"),
            image_base_url: format!("{RAW_SITE}/{name}/{place}/"),
            text: readme.text.clone(),
            path: readme.path.clone(),
            is_truncated: readme.is_truncated,
        }))
    }
}

/// As a part of a path.
fn encoded(part: &str) -> String {
    let mut text = String::new();
    for byte in part.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(byte.into());
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
