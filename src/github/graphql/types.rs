//! What the schema shows of GitHub.

use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Enum, Object, SimpleObject};

use crate::clients::github::records;
use crate::clients::github::{Period, SearchSort};
use crate::github::cache::Snapshot;
use crate::github::loader::{ByName, RepositoryLoader};
use crate::github::{GithubService, language};
use crate::graphql::context::service;
use crate::graphql::error::ApiError;
use crate::graphql::scalars::DateTime;
use crate::platform::clock::Timestamp;

/// Where people see what GitHub shows, wherever we ask for it.
const SITE: &str = "https://github.com";
/// Where files of repositories are served as they are.
const RAW_SITE: &str = "https://raw.githubusercontent.com";

/// A time over which GitHub counts stars.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Period")]
pub(crate) enum TrendingPeriod {
    /// Of today.
    Daily,
    /// Of this week.
    Weekly,
    /// Of this month.
    Monthly,
}

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
    fn named(name: &str, color: Option<&str>) -> Self {
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

/// The repositories that got most stars in a time.
#[derive(SimpleObject)]
pub(crate) struct TrendingRepositories {
    /// In the order of GitHub's page, at most 25; none when it shows none.
    items: Vec<TrendingRepository>,
    /// When this server had them from GitHub, or GitHub confirmed them.
    fetched_at: DateTime,
    /// Whether they should have been fetched again by now, 15 minutes after that unless the server is set otherwise: GitHub does not
    /// answer, limits us, or is just being asked. Asking again a few seconds later tells which. Older than a day they are not served.
    is_stale: bool,
}

impl TrendingRepositories {
    /// Of a language that there is not.
    pub(super) fn none(ctx: &Context<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            items: Vec::new(),
            fetched_at: service::<GithubService>(ctx)?.now().into(),
            is_stale: false,
        })
    }
}

impl From<Snapshot<Vec<records::TrendingRepository>>> for TrendingRepositories {
    fn from(copy: Snapshot<Vec<records::TrendingRepository>>) -> Self {
        let row = |row: &records::TrendingRepository| TrendingRepository(row.clone());
        Self {
            items: copy.value.iter().map(row).collect(),
            fetched_at: copy.fetched_at.into(),
            is_stale: copy.is_stale,
        }
    }
}

/// A row of the page.
pub(crate) struct TrendingRepository(records::TrendingRepository);

/// A repository as the trending page shows it.
#[Object]
impl TrendingRepository {
    /// Login of the owner.
    async fn owner(&self) -> &str {
        &self.0.owner
    }

    /// Name without the owner.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Address of the page at GitHub.
    async fn url(&self) -> String {
        format!("{SITE}/{}/{}", self.0.owner, self.0.name)
    }

    /// What it says of itself. Null when it says nothing.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The language of most of it. Null when there is no code in it.
    async fn language(&self) -> Option<Language> {
        let language = self.0.language.as_ref()?;
        Some(Language::named(&language.name, language.color.as_deref()))
    }

    /// Stars in all. Null when the page does not show them.
    async fn stars(&self) -> Option<i32> {
        self.0.stars.map(saturated)
    }

    /// Forks in all. Null when the page does not show them.
    async fn forks(&self) -> Option<i32> {
        self.0.forks.map(saturated)
    }

    /// Stars of the day, week or month. Null when the page does not show them.
    async fn stars_in_period(&self) -> Option<i32> {
        self.0.stars_in_period.map(saturated)
    }

    /// Some of those who built it, each once, in the order of the page.
    async fn built_by(&self) -> Vec<GithubActor> {
        self.0.built_by.iter().map(GithubActor::from).collect()
    }

    /// The record of the repository, fetched on demand: one question to GitHub for the whole page, or one for each row when `watchers`
    /// is selected. Null when it is gone. Errors: UPSTREAM_UNAVAILABLE, UPSTREAM_RATE_LIMITED.
    async fn repository(&self, ctx: &Context<'_>) -> Option<Result<Repository, ApiError>> {
        let found = match ctx.look_ahead().field("watchers").exists() {
            true => find_full(ctx, &self.0.owner, &self.0.name).await,
            false => find_brief(ctx, &self.0.owner, &self.0.name).await,
        };
        found.transpose()
    }
}

async fn find_full(
    ctx: &Context<'_>,
    owner: &str,
    name: &str,
) -> Result<Option<Repository>, ApiError> {
    let github: &GithubService = service(ctx)?;
    Ok(Repository::of(github.repository(owner, name).await?))
}

async fn find_brief(
    ctx: &Context<'_>,
    owner: &str,
    name: &str,
) -> Result<Option<Repository>, ApiError> {
    let loader: &DataLoader<RepositoryLoader> = service(ctx)?;
    match loader.load_one(ByName::new(owner, name)).await {
        Ok(Some(copy)) => Ok(Repository::of(copy?)),
        Ok(None) => Ok(None),
        Err(never) => match never {},
    }
}

/// The developers whose work got most stars in a time.
#[derive(SimpleObject)]
pub(crate) struct TrendingDevelopers {
    /// In the order of GitHub's page, at most 25; none when it shows none.
    items: Vec<TrendingDeveloper>,
    /// When this server had them from GitHub, or GitHub confirmed them.
    fetched_at: DateTime,
    /// Whether they should have been fetched again by now, as in `TrendingRepositories`.
    is_stale: bool,
}

impl TrendingDevelopers {
    /// Of a language that there is not.
    pub(super) fn none(ctx: &Context<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            items: Vec::new(),
            fetched_at: service::<GithubService>(ctx)?.now().into(),
            is_stale: false,
        })
    }
}

impl From<Snapshot<Vec<records::TrendingDeveloper>>> for TrendingDevelopers {
    fn from(copy: Snapshot<Vec<records::TrendingDeveloper>>) -> Self {
        Self {
            items: copy.value.iter().map(TrendingDeveloper::from).collect(),
            fetched_at: copy.fetched_at.into(),
            is_stale: copy.is_stale,
        }
    }
}

/// A developer as the trending page shows them.
#[derive(SimpleObject)]
pub(crate) struct TrendingDeveloper {
    /// Place on the page, from 1.
    rank: i32,
    /// As GitHub writes it.
    login: String,
    /// Name. Null when there is none.
    name: Option<String>,
    /// Address of the profile picture.
    avatar_url: String,
    /// The repository that the page shows beside the name, perhaps an organisation's. Null when it shows none.
    popular_repository: Option<PopularRepository>,
}

impl From<&records::TrendingDeveloper> for TrendingDeveloper {
    fn from(row: &records::TrendingDeveloper) -> Self {
        let popular = row.popular_repository.as_ref();
        Self {
            rank: saturated(row.rank),
            name: row.name.clone(),
            avatar_url: row
                .avatar_url
                .clone()
                .unwrap_or_else(|| format!("{SITE}/{}.png", row.login)),
            login: row.login.clone(),
            popular_repository: popular.map(|popular| PopularRepository {
                url: format!("{SITE}/{}/{}", popular.owner, popular.name),
                owner: popular.owner.clone(),
                name: popular.name.clone(),
                description: popular.description.clone(),
            }),
        }
    }
}

/// A repository beside a developer.
#[derive(SimpleObject)]
pub(crate) struct PopularRepository {
    /// Login of the owner.
    owner: String,
    /// Name without the owner.
    name: String,
    /// What it says of itself. Null when it says nothing.
    description: Option<String>,
    /// Address of the page at GitHub.
    url: String,
}

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

    /// People who are told of everything that happens in it. Null in `searchRepositories`, whose results do not tell.
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
        let copy = github.readme(repository).await?;
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
        let parts: Vec<String> = parts.filter(|part| !part.is_empty()).map(encoded).collect();
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
fn saturated(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
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
