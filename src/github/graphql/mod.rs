//! GitHub in the schema.

mod error;
mod events;
mod fields;
mod repository;
mod search;
mod trending;
mod types;

use async_graphql::{Context, Object};

pub(crate) use self::events::GithubEventConnection;
pub use self::fields::FIELDS;
use self::repository::Repository;
use self::search::{RepositoryConnection, RepositorySort};
use self::trending::{TrendingDevelopers, TrendingPeriod, TrendingRepositories};
use self::types::{Developer, Language};
use crate::clients::github::{Period, is_login, is_repository_name};
use crate::github::Asker;
use crate::github::{GithubService, language};
use crate::graphql::context::service;
use crate::graphql::error::ApiError;
use crate::graphql::pagination::PageArgs;
use crate::graphql::scope::shared;
use crate::platform::fault::{Faults, Rule};
use crate::platform::locale::Message;

/// What GitHub calls the language of repositories without one.
const UNKNOWN_LANGUAGE: &str = "unknown";

/// The codes of ISO 639-1.
const SPOKEN_LANGUAGES: &str = "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de \
    dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv \
    ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr \
    nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl \
    tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu";

/// Queries about GitHub.
#[derive(Debug, Default)]
pub struct GithubQuery;

#[Object]
impl GithubQuery {
    /// The repositories that got most stars, from GitHub's trending page. Null only with an error. Errors: BAD_USER_INPUT, RATE_LIMITED,
    /// UPSTREAM_UNAVAILABLE, UPSTREAM_RATE_LIMITED; while there is a copy of the last day it is served instead, with `isStale`.
    async fn trending_repositories(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Name or slug of a language, in any case, or `unknown`. Absent: all. One that GitHub does not know has no repositories."
        )]
        language: Option<String>,
        #[graphql(
            desc = "Only what is described in a spoken language, by its ISO 639-1 code, for example `zh`."
        )]
        spoken_language: Option<String>,
        #[graphql(
            desc = "Over which time stars count.",
            default_with = "Some(TrendingPeriod::Daily)"
        )]
        since: Option<TrendingPeriod>,
    ) -> Option<Result<TrendingRepositories, ApiError>> {
        let since = since.unwrap_or(TrendingPeriod::Daily).into();
        Some(trending_repositories(ctx, language, spoken_language, since).await)
    }

    /// The developers whose work got most stars, from GitHub's trending page. Null only with an error. Errors: UPSTREAM_UNAVAILABLE,
    /// UPSTREAM_RATE_LIMITED; while there is a copy of the last day it is served instead, with `isStale`.
    async fn trending_developers(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Name or slug of a language, in any case, or `unknown`. Absent: all. One that GitHub does not know has no developers."
        )]
        language: Option<String>,
        #[graphql(
            desc = "Over which time stars count.",
            default_with = "Some(TrendingPeriod::Daily)"
        )]
        since: Option<TrendingPeriod>,
    ) -> Option<Result<TrendingDevelopers, ApiError>> {
        let since = since.unwrap_or(TrendingPeriod::Daily).into();
        Some(trending_developers(ctx, language, since).await)
    }

    /// The languages that GitHub knows, by name; or those that most people look for, best known first. Public; from a table of this
    /// server's version.
    async fn languages(
        &self,
        #[graphql(
            desc = "Only some twenty that most people look for.",
            default_with = "Some(false)"
        )]
        popular: Option<bool>,
    ) -> Vec<Language> {
        match popular.unwrap_or_default() {
            true => language::Language::popular().map(Into::into).collect(),
            false => language::Language::all().iter().map(Into::into).collect(),
        }
    }

    /// A public repository, also by a name that it had before. Null when there is none, none that everybody may see, or GitHub has
    /// taken it down. Errors:
    /// BAD_USER_INPUT for what cannot be a name, UPSTREAM_UNAVAILABLE, UPSTREAM_RATE_LIMITED.
    async fn repository(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Login of the owner, in any case.")] owner: String,
        #[graphql(desc = "Name without the owner, in any case.")] name: String,
    ) -> Option<Result<Repository, ApiError>> {
        find_repository(ctx, &owner, &name).await.transpose()
    }

    /// A person or an organisation. Null when there is none. Errors: BAD_USER_INPUT for what cannot be a login,
    /// UPSTREAM_UNAVAILABLE, UPSTREAM_RATE_LIMITED.
    async fn developer(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As GitHub has it, in any case.")] login: String,
    ) -> Option<Result<Developer, ApiError>> {
        find_developer(ctx, &login).await.transpose()
    }

    /// Public repositories by GitHub's search, which gives out the first 1000 of what it finds. Null only with an error. Errors:
    /// BAD_USER_INPUT for an empty query and for one that GitHub cannot read, UPSTREAM_UNAVAILABLE, UPSTREAM_RATE_LIMITED.
    async fn search_repositories(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "1 to 256 characters in GitHub's search language: words, and qualifiers like `language:rust`, `stars:>10`, `user:name`."
        )]
        query: String,
        #[graphql(
            desc = "What there is most of in the first.",
            default_with = "Some(RepositorySort::BestMatch)"
        )]
        sort: Option<RepositorySort>,
        #[graphql(desc = "Number of repositories, 0 to 100. Default 20.")] first: Option<i32>,
        #[graphql(desc = "Only repositories after this cursor of the same search.")] after: Option<
            String,
        >,
    ) -> Option<Result<RepositoryConnection, ApiError>> {
        let args = PageArgs {
            first,
            after,
            ..PageArgs::default()
        };
        let sort = sort.unwrap_or(RepositorySort::BestMatch);
        Some(RepositoryConnection::load(ctx, &query, sort.into(), args).await)
    }
}

async fn trending_repositories(
    ctx: &Context<'_>,
    language: Option<String>,
    spoken_language: Option<String>,
    since: Period,
) -> Result<TrendingRepositories, ApiError> {
    let spoken = check_spoken(spoken_language)?;
    let Some(language) = slug(language) else {
        return TrendingRepositories::none(ctx);
    };
    let github: &GithubService = service(ctx)?;
    let copy = github
        .trending_repositories(&*shared::<Asker>(ctx)?, language, spoken, since)
        .await?;
    Ok(copy.into())
}

async fn trending_developers(
    ctx: &Context<'_>,
    language: Option<String>,
    since: Period,
) -> Result<TrendingDevelopers, ApiError> {
    let Some(language) = slug(language) else {
        return TrendingDevelopers::none(ctx);
    };
    let github: &GithubService = service(ctx)?;
    Ok(github
        .trending_developers(&*shared::<Asker>(ctx)?, language, since)
        .await?
        .into())
}

async fn find_repository(
    ctx: &Context<'_>,
    owner: &str,
    name: &str,
) -> Result<Option<Repository>, ApiError> {
    let mut faults = Faults::under(&[]);
    let owner = checked_login(&mut faults, "owner", owner);
    let name = name.trim();
    if name.is_empty() {
        faults.add(&["name"], Rule::Required);
    } else if name.len() > 100 {
        faults.add(&["name"], Rule::TooLong { max: 100 });
    } else if !is_repository_name(name) {
        let expected = Message::new("应为字母、数字、-、_ 与 .", "letters, digits, -, _ and .");
        faults.add(&["name"], Rule::Malformed { expected });
    }
    faults.check(())?;
    let github: &GithubService = service(ctx)?;
    Ok(Repository::of(
        github
            .repository(&*shared::<Asker>(ctx)?, owner, name)
            .await?,
    ))
}

async fn find_developer(ctx: &Context<'_>, login: &str) -> Result<Option<Developer>, ApiError> {
    let mut faults = Faults::under(&[]);
    let login = checked_login(&mut faults, "login", login);
    faults.check(())?;
    let github: &GithubService = service(ctx)?;
    Ok(Developer::of(
        &github.developer(&*shared::<Asker>(ctx)?, login).await?,
    ))
}

/// The slug that a page is asked for by: `Some(None)` for all languages, `None` for one that there is not.
fn slug(language: Option<String>) -> Option<Option<String>> {
    let Some(language) = language.filter(|language| !language.trim().is_empty()) else {
        return Some(None);
    };
    if language.trim().eq_ignore_ascii_case(UNKNOWN_LANGUAGE) {
        return Some(Some(UNKNOWN_LANGUAGE.to_owned()));
    }
    let known = language::Language::find(&language)?;
    Some(Some(known.slug.clone()))
}

fn check_spoken(code: Option<String>) -> Result<Option<String>, Faults> {
    let mut faults = Faults::under(&[]);
    let code = code.map(|code| code.trim().to_ascii_lowercase());
    let code = code.filter(|code| !code.is_empty());
    let is_known = |code: &String| SPOKEN_LANGUAGES.split(' ').any(|known| known == code);
    if code.as_ref().is_some_and(|code| !is_known(code)) {
        let expected = Message::new("应为 ISO 639-1 的两个字母", "two letters of ISO 639-1");
        faults.add(&["spokenLanguage"], Rule::Malformed { expected });
    }
    faults.check(code)
}

fn checked_login<'a>(faults: &mut Faults, argument: &str, login: &'a str) -> &'a str {
    let login = login.trim();
    // Apps do things, too.
    let name = login.strip_suffix("[bot]").unwrap_or(login);
    if login.is_empty() {
        faults.add(&[argument], Rule::Required);
    } else if name.len() > 39 {
        faults.add(&[argument], Rule::TooLong { max: 39 });
    } else if !is_login(name) {
        let expected = Message::new("应为字母、数字、- 与 _", "letters, digits, - and _");
        faults.add(&[argument], Rule::Malformed { expected });
    }
    login
}
