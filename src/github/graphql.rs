//! GitHub in the schema.

use async_graphql::{Object, SimpleObject};

use crate::github::language;

/// A language of repositories, as GitHub's linguist knows it.
#[derive(SimpleObject, Debug, Clone)]
pub struct Language {
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

/// Queries about GitHub.
#[derive(Debug, Default)]
pub struct GithubQuery;

#[Object]
impl GithubQuery {
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
}
