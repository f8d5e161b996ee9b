//! Batches lookups of users within one level of a query.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::Loader;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::entity::user;
use crate::graphql::context::shared_service;
use crate::graphql::error::ApiError;
use crate::graphql::loader::padded;
use crate::graphql::scope::RequestLoader;
use crate::identity::repository;
use crate::platform::db::Database;

/// Loads users, and what belongs to them, by id. Who may see what is
/// decided where a user is handed out.
#[derive(Debug)]
pub struct UserLoader {
    db: Arc<Database>,
}

impl UserLoader {
    /// A loader that reads from `db`.
    pub fn new(db: Arc<Database>) -> Self {
        Self { db }
    }
}

impl RequestLoader for UserLoader {
    fn make(ctx: &Context<'_>) -> Result<Self, ApiError> {
        Ok(Self::new(shared_service::<Database>(ctx)?))
    }
}

/// A user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ById(pub(crate) Uuid);

impl Loader<ById> for UserLoader {
    type Value = user::Model;
    type Error = DbErr;

    async fn load(&self, keys: &[ById]) -> Result<HashMap<ById, user::Model>, DbErr> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = repository::list_users(self.db.read(), padded(&ids)).await?;
        Ok(rows.into_iter().map(|row| (ById(row.id), row)).collect())
    }
}

/// The login at GitHub of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct GithubLoginOf(pub(crate) Uuid);

impl Loader<GithubLoginOf> for UserLoader {
    type Value = String;
    type Error = DbErr;

    async fn load(&self, keys: &[GithubLoginOf]) -> Result<HashMap<GithubLoginOf, String>, DbErr> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let logins = repository::list_github_logins(self.db.read(), padded(&ids)).await?;
        Ok(logins
            .into_iter()
            .map(|(id, login)| (GithubLoginOf(id), login))
            .collect())
    }
}

/// Whether a user has a WeChat identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct IsWechatLinked(pub(crate) Uuid);

impl Loader<IsWechatLinked> for UserLoader {
    type Value = bool;
    type Error = DbErr;

    async fn load(&self, keys: &[IsWechatLinked]) -> Result<HashMap<IsWechatLinked, bool>, DbErr> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let linked = repository::list_wechat_users(self.db.read(), padded(&ids)).await?;
        let linked: HashSet<Uuid> = linked.into_iter().collect();
        Ok(keys
            .iter()
            .map(|key| (*key, linked.contains(&key.0)))
            .collect())
    }
}
