//! Batches tasks that hang on other things within one level of a query.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::Loader;
use uuid::Uuid;

use crate::entity::task;
use crate::graphql::context::shared_service;
use crate::graphql::error::ApiError;
use crate::graphql::loader::padded;
use crate::graphql::scope::{RequestLoader, shared};
use crate::graphql::texts::Texts;
use crate::platform::db::Database;
use crate::tasks::repository::{self, Shown};

/// Tasks that are read at once with their notes.
const NOTES_AT_ONCE: usize = 100;

/// Loads tasks by id.
#[derive(Debug)]
pub struct TaskLoader {
    db: Arc<Database>,
    texts: Arc<Texts>,
}

impl RequestLoader for TaskLoader {
    fn make(ctx: &Context<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            db: shared_service::<Database>(ctx)?,
            texts: shared(ctx)?,
        })
    }
}

/// A task of its owner, with its notes or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct OwnTask {
    pub(crate) owner: Uuid,
    pub(crate) id: Uuid,
    pub(crate) shown: Shown,
}

impl Loader<OwnTask> for TaskLoader {
    type Value = Arc<task::Model>;
    type Error = ApiError;

    async fn load(&self, keys: &[OwnTask]) -> Result<HashMap<OwnTask, Self::Value>, ApiError> {
        let mut found = HashMap::new();
        // A request has one caller, so this is one statement, or two when notes are asked for in
        // one place and not in another.
        let kinds: HashSet<(Uuid, Shown)> = keys.iter().map(|key| (key.owner, key.shown)).collect();
        for (owner, shown) in kinds {
            let these = keys
                .iter()
                .filter(|key| (key.owner, key.shown) == (owner, shown));
            let ids: Vec<Uuid> = these.map(|key| key.id).collect();
            // Notes are long: a chunk at a time, until there are too many.
            let size = match shown.notes {
                true => NOTES_AT_ONCE,
                false => ids.len(),
            };
            for ids in ids.chunks(size.max(1)) {
                let rows = self.read(owner, ids, shown).await?;
                let row = |row: task::Model| {
                    let id = row.id;
                    (OwnTask { owner, id, shown }, Arc::new(row))
                };
                found.extend(rows.into_iter().map(row));
            }
        }
        Ok(found)
    }
}

impl TaskLoader {
    async fn read(
        &self,
        owner: Uuid,
        ids: &[Uuid],
        shown: Shown,
    ) -> Result<Vec<task::Model>, ApiError> {
        let db = self.db.read();
        if !shown.notes {
            return Ok(repository::list_by_id(db, owner, padded(ids), shown).await?);
        }
        let mut reading = self.texts.next().await;
        reading.check()?;
        let rows = repository::list_by_id(db, owner, padded(ids), shown).await?;
        reading.took(rows.iter().map(notes_bytes))?;
        Ok(rows)
    }
}

/// Bytes of the notes of a task.
pub(crate) fn notes_bytes(task: &task::Model) -> usize {
    task.notes.as_ref().map_or(0, String::len)
}
