//! The trending pages in the schema.

use std::sync::Arc;

use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Enum, Object, SimpleObject};

use super::repository::Repository;
use super::types::{GithubActor, Language, SITE, saturated};
use crate::clients::github::{Period, records};
use crate::github::Asker;
use crate::github::GithubService;
use crate::github::cache::Snapshot;
use crate::github::loader::{ByName, RepositoryLoader};
use crate::graphql::context::service;
use crate::graphql::error::ApiError;
use crate::graphql::scalars::DateTime;
use crate::graphql::scope::shared;

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

/// The repositories that got most stars in a time.
#[derive(SimpleObject)]
pub(crate) struct TrendingRepositories {
    /// In the order of GitHub's page, 25 at most as a rule; none when it shows none.
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
    Ok(Repository::of(
        github
            .repository(&*shared::<Asker>(ctx)?, owner, name)
            .await?,
    ))
}

async fn find_brief(
    ctx: &Context<'_>,
    owner: &str,
    name: &str,
) -> Result<Option<Repository>, ApiError> {
    let loader: Arc<DataLoader<RepositoryLoader>> = shared(ctx)?;
    match loader.load_one(ByName::new(owner, name)).await {
        Ok(Some(copy)) => Ok(Repository::of(copy?)),
        Ok(None) => Ok(None),
        Err(never) => match never {},
    }
}

/// The developers whose work got most stars in a time.
#[derive(SimpleObject)]
pub(crate) struct TrendingDevelopers {
    /// In the order of GitHub's page, 25 at most as a rule; none when it shows none.
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
