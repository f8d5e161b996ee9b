//! Batches tasks that hang on other things within one level of a query.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::Loader;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::entity::task;
use crate::graphql::context::shared_service;
use crate::graphql::error::ApiError;
use crate::graphql::loader::padded;
use crate::graphql::scope::RequestLoader;
use crate::platform::db::Database;
use crate::tasks::repository;

/// Loads tasks by id.
#[derive(Debug)]
pub struct TaskLoader {
    db: Arc<Database>,
}

impl TaskLoader {
    /// A loader that reads from `db`.
    pub fn new(db: Arc<Database>) -> Self {
        Self { db }
    }
}

impl RequestLoader for TaskLoader {
    fn make(ctx: &Context<'_>) -> Result<Self, ApiError> {
        Ok(Self::new(shared_service::<Database>(ctx)?))
    }
}

/// A task of its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct OwnTask {
    pub(crate) owner: Uuid,
    pub(crate) id: Uuid,
}

impl Loader<OwnTask> for TaskLoader {
    type Value = task::Model;
    type Error = DbErr;

    async fn load(&self, keys: &[OwnTask]) -> Result<HashMap<OwnTask, task::Model>, DbErr> {
        let mut found = HashMap::new();
        // A request has one caller, so this is one statement.
        let owners: HashSet<Uuid> = keys.iter().map(|key| key.owner).collect();
        for owner in owners {
            let theirs = keys.iter().filter(|key| key.owner == owner);
            let ids: Vec<Uuid> = theirs.map(|key| key.id).collect();
            let rows = repository::list_by_id(self.db.read(), owner, padded(&ids)).await?;
            found.extend(
                rows.into_iter()
                    .map(|row| (OwnTask { owner, id: row.id }, row)),
            );
        }
        Ok(found)
    }
}
