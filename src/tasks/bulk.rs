//! Many tasks in one call: all or none, in a constant number of statements.

use std::collections::HashSet;

use sea_orm::DatabaseTransaction;
use uuid::Uuid;

use crate::entity::task::{self, TaskStatus};
use crate::platform::clock::Timestamp;
use crate::platform::fault::{Faults, Rule};
use crate::platform::id::parse_id;
use crate::platform::viewer::Viewer;
use crate::tasks::error::TaskError;
use crate::tasks::event::{ChangeKind, TaskEvent};
use crate::tasks::repository;
use crate::tasks::service::TaskService;

/// Most tasks that one call changes.
const MAX: usize = 100;

impl TaskService {
    /// Marks tasks of the caller as done, all or none; returns them in the order asked for, each once. A task that is done
    /// already stays as it is.
    ///
    /// # Errors
    /// `NotFound` with the paths of the ids, `Invalid` for more than 100.
    pub async fn complete(
        &self,
        viewer: &Viewer,
        ids: &[String],
    ) -> Result<Vec<task::Model>, TaskError> {
        if ids.len() > MAX {
            let mut faults = Faults::under(&["input"]);
            faults.add(&["ids"], Rule::TooLong { max: MAX });
            return Err(faults.into());
        }
        let ids: Vec<Option<Uuid>> = ids.iter().map(|id| parse_id(id)).collect();
        let (owner, now) = (viewer.user_id, self.clock.now());
        let completed = self.write(
            owner,
            move |tx| {
                let ids = ids.clone();
                Box::pin(async move { complete_all(tx, owner, ids, now).await })
            },
            |(tasks, changed)| {
                let is_changed = |task: &&task::Model| changed.contains(&task.id);
                let changed = tasks.iter().filter(is_changed);
                changed
                    .map(|task| TaskEvent::of(ChangeKind::Updated, task.clone()))
                    .collect()
            },
        );
        Ok(completed.await?.0)
    }

    /// Deletes tasks of the caller that are done, those first that were completed first, at most 100; their ids, and whether there
    /// are more.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn delete_completed(&self, viewer: &Viewer) -> Result<(Vec<Uuid>, bool), TaskError> {
        let (owner, now) = (viewer.user_id, self.clock.now());
        let deleted = self.write(
            owner,
            move |tx| {
                Box::pin(async move {
                    let mut ids =
                        repository::list_done_for_update(tx, owner, MAX as u64 + 1).await?;
                    let has_more = ids.len() > MAX;
                    ids.truncate(MAX);
                    if !ids.is_empty() {
                        bury(tx, owner, &ids, now).await?;
                    }
                    Ok((ids, has_more))
                })
            },
            |(ids, _)| ids.iter().copied().map(TaskEvent::deleted).collect(),
        );
        deleted.await
    }
}

/// The tasks, and which of them were open.
async fn complete_all(
    tx: &DatabaseTransaction,
    owner: Uuid,
    ids: Vec<Option<Uuid>>,
    now: Timestamp,
) -> Result<(Vec<task::Model>, Vec<Uuid>), TaskError> {
    let known: Vec<Uuid> = ids.iter().flatten().copied().collect();
    let mut tasks = repository::list_for_update(tx, owner, known).await?;
    let mut faults = Faults::under(&["input"]);
    let mut ordered = Vec::with_capacity(tasks.len());
    let mut seen = HashSet::new();
    for (index, id) in ids.iter().enumerate() {
        match tasks.iter().position(|task| Some(task.id) == *id) {
            Some(place) => ordered.push(tasks.swap_remove(place)),
            None if id.is_some_and(|id| seen.contains(&id)) => {}
            None => faults.add(&["ids", &index.to_string()], Rule::Unknown),
        }
        seen.extend(*id);
    }
    if !faults.is_empty() {
        return Err(TaskError::NotFound(Some(faults)));
    }
    let open: Vec<Uuid> = ordered
        .iter()
        .filter(|task| task.status != TaskStatus::Done)
        .map(|task| task.id)
        .collect();
    if !open.is_empty() {
        let seq = repository::next_change(tx, owner).await?;
        repository::complete(tx, owner, open.clone(), seq, now).await?;
        for task in ordered
            .iter_mut()
            .filter(|task| task.status != TaskStatus::Done)
        {
            task.status = TaskStatus::Done;
            task.completed_at = Some(now);
            task.updated_at = now;
            task.version += 1;
            task.change_seq = seq;
        }
    }
    Ok((ordered, open))
}

/// Deletes tasks that are locked, and leaves their tombstones.
pub(super) async fn bury(
    tx: &DatabaseTransaction,
    owner: Uuid,
    ids: &[Uuid],
    now: Timestamp,
) -> Result<(), TaskError> {
    let seq = repository::next_change(tx, owner).await?;
    repository::delete(tx, owner, ids.to_vec()).await?;
    Ok(repository::insert_tombstones(tx, owner, ids, seq, now).await?)
}
