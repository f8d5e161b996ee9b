//! Batches repositories of one level of a query.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::Loader;

use crate::clients::github::GithubError;
use crate::github::service::{RepositoryCopy, name_key};
use crate::github::{Asker, GithubService};
use crate::graphql::context::shared_service;
use crate::graphql::error::ApiError;
use crate::graphql::scope::{RequestLoader, shared};

/// Loads repositories by owner and name.
pub struct RepositoryLoader {
    github: Arc<GithubService>,
    asker: Arc<Asker>,
}

impl RepositoryLoader {
    /// A loader that asks `github` for `asker`.
    pub fn new(github: Arc<GithubService>, asker: Arc<Asker>) -> Self {
        Self { github, asker }
    }
}

impl RequestLoader for RepositoryLoader {
    fn make(ctx: &Context<'_>) -> Result<Self, ApiError> {
        Ok(Self::new(shared_service(ctx)?, shared(ctx)?))
    }
}

/// A repository, without what only its full record has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ByName((String, String));

impl ByName {
    pub(crate) fn new(owner: &str, name: &str) -> Self {
        Self(name_key(owner, name))
    }
}

impl Loader<ByName> for RepositoryLoader {
    type Value = Result<RepositoryCopy, GithubError>;
    /// One that fails keeps no other from coming.
    type Error = Infallible;

    async fn load(&self, keys: &[ByName]) -> Result<HashMap<ByName, Self::Value>, Infallible> {
        let names: Vec<_> = keys.iter().map(|key| key.0.clone()).collect();
        let found = self.github.repositories(&self.asker, &names).await;
        Ok(found
            .into_iter()
            .map(|(key, copy)| (ByName(key), copy))
            .collect())
    }
}
