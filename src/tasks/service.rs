//! Rules of tasks: one method a use case.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::Stream;
use sea_orm::DatabaseTransaction;
use uuid::Uuid;

use crate::entity::find_table;
use crate::entity::task::{self, Tags, TaskPriority, TaskStatus};
use crate::graphql::pagination::{Page, Slice};
use crate::notifications::Notifier;
use crate::platform::clock::{Clock, Timestamp};
use crate::platform::db::{Database, WriteFuture, is_orphan, is_unique_violation};
use crate::platform::digest::content_digest;
use crate::platform::fault::{Faults, Rule};
use crate::platform::id::{new_id, parse_id};
use crate::platform::locale::Message;
use crate::platform::patch::Patch;
use crate::platform::viewer::Viewer;
use crate::platform::worker::{every_hour, every_second};
use crate::tasks::bulk::bury;
use crate::tasks::error::TaskError;
use crate::tasks::event::{ChangeKind, Lagged, TaskEvent, TaskEvents};
use crate::tasks::filter::{SEPARATOR, TAG_MAX, TaskCursor, TaskFilter, TaskOrder};
use crate::tasks::reminder::schedule;
use crate::tasks::repository::Shown;
use crate::tasks::{reminder, repository, sync};

const TITLE_MAX: usize = 200;
const NOTES_MAX: usize = 10_000;
const TAGS_MAX: usize = 20;

/// A task as a client creates it.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// Made by the client, so that a repetition is recognised.
    pub id: Option<String>,
    /// One line.
    pub title: String,
    /// Several lines.
    pub notes: Option<String>,
    /// Where to start.
    pub status: TaskStatus,
    /// How much it matters.
    pub priority: TaskPriority,
    /// In the order to keep.
    pub tags: Vec<String>,
    /// When it should be done.
    pub due_at: Option<Timestamp>,
    /// When to remind.
    pub remind_at: Option<Timestamp>,
}

/// What to change of a task.
#[derive(Debug, Clone, Default)]
pub struct TaskPatch {
    /// The version that the client knows, to be told when it is not the newest.
    pub version: Option<i32>,
    /// Cannot be cleared.
    pub title: Patch<String>,
    /// Several lines.
    pub notes: Patch<String>,
    /// Cannot be cleared.
    pub status: Patch<TaskStatus>,
    /// Cannot be cleared.
    pub priority: Patch<TaskPriority>,
    /// Cleared means none.
    pub tags: Patch<Vec<String>>,
    /// When it should be done.
    pub due_at: Patch<Timestamp>,
    /// When to remind.
    pub remind_at: Patch<Timestamp>,
}

/// Tasks.
pub struct TaskService {
    pub(super) db: Arc<Database>,
    pub(super) clock: Arc<dyn Clock>,
    events: TaskEvents,
}

impl TaskService {
    /// The service for one server.
    pub fn new(db: Arc<Database>, clock: Arc<dyn Clock>, notifier: Notifier) -> Self {
        let cleaner = Arc::clone(&clock);
        every_hour(&db, move |db| {
            let clock = Arc::clone(&cleaner);
            async move { sync::clean(&db, clock.as_ref()).await }
        });
        let worker = Arc::clone(&clock);
        every_second(&db, move |db| {
            let (clock, notifier) = (Arc::clone(&worker), notifier.clone());
            async move { reminder::fire_due(&db, clock.as_ref(), &notifier).await }
        });
        Self {
            db,
            clock,
            events: TaskEvents::default(),
        }
    }

    /// The changes of the caller's tasks from now on, made in this process.
    pub fn changes(
        &self,
        viewer: &Viewer,
    ) -> impl Stream<Item = Result<TaskEvent, Lagged>> + Send + 'static {
        self.events.subscribe(viewer.user_id)
    }

    /// Runs `work` in a transaction and then tells the owner's devices of `events`. Who listens hears of changes in the order of
    /// their commits.
    pub(super) async fn write<T, F>(
        &self,
        owner: Uuid,
        work: F,
        events: impl FnOnce(&T) -> Vec<TaskEvent>,
    ) -> Result<T, TaskError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c DatabaseTransaction) -> WriteFuture<'c, T, TaskError>
            + Send
            + Sync
            + 'static,
    {
        let _turn = self.events.turn(owner).await;
        let outcome = self.db.write(work).await?;
        self.events.publish(owner, events(&outcome));
        Ok(outcome)
    }

    /// Deletes what no device can ask for any more, as the server does every hour.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn clean_up(&self) -> Result<(), sea_orm::DbErr> {
        sync::clean(&self.db, self.clock.as_ref()).await
    }

    /// Whether the due time of a task that is not done has passed.
    pub fn is_overdue(&self, task: &task::Model) -> bool {
        task.status != TaskStatus::Done
            && task.due_at.is_some_and(|due_at| due_at < self.clock.now())
    }

    /// Creates a task. A repetition with the same id and content answers the task as it is now.
    ///
    /// # Errors
    /// `Invalid`, `IdConflict`.
    pub async fn create(&self, viewer: &Viewer, new: NewTask) -> Result<task::Model, TaskError> {
        let mut faults = Faults::under(&["input"]);
        let id = match &new.id {
            Some(text) => parse_id(text).unwrap_or_else(|| {
                let expected = Message::new("应为带连字符的 UUID", "a UUID with hyphens");
                faults.add(&["id"], Rule::Malformed { expected });
                Uuid::nil()
            }),
            None => new_id(),
        };
        let title = faults.line(&["title"], &new.title, 1, TITLE_MAX);
        let notes = faults.block(
            &["notes"],
            new.notes.as_deref().unwrap_or_default(),
            NOTES_MAX,
        );
        let tags = check_tags(&mut faults, &new.tags);
        faults.check(())?;
        let now = self.clock.now();
        let content = (
            (&title, &notes, new.status as u8, new.priority as u8, &tags),
            (
                new.due_at.map(Timestamp::millis),
                new.remind_at.map(Timestamp::millis),
            ),
        );
        let row = task::Model {
            id,
            owner_id: viewer.user_id,
            tags_key: tags_key(&tags),
            search_text: search_text(&title, notes.as_deref()),
            creation_digest: content_digest(&content)?,
            title,
            notes,
            status: new.status,
            priority: new.priority,
            tags,
            due_at: new.due_at,
            remind_at: new.remind_at,
            completed_at: (new.status == TaskStatus::Done).then_some(now),
            version: 1,
            created_at: now,
            updated_at: now,
            created_seq: 0,
            change_seq: 0,
        };
        let (stored, has_own_id) = (row.clone(), new.id.is_some());
        let result = self
            .write(
                viewer.user_id,
                move |tx| {
                    let row = stored.clone();
                    Box::pin(async move {
                        // First, so that what the same person did with this id is over.
                        let seq = repository::next_change(tx, row.owner_id).await?;
                        if has_own_id && find_table(tx, row.id).await?.is_some() {
                            return Err(TaskError::IdConflict);
                        }
                        let row = task::Model {
                            created_seq: seq,
                            change_seq: seq,
                            ..row
                        };
                        repository::insert(tx, row.clone()).await?;
                        if let Some(remind_at) = row.remind_at {
                            repository::insert_reminder(tx, row.id, remind_at).await?;
                        }
                        Ok(row)
                    })
                },
                |row| vec![TaskEvent::of(ChangeKind::Created, row.clone())],
            )
            .await;
        let is_taken = match &result {
            Err(TaskError::IdConflict) => true,
            // The same id came twice at once, and the other request was first.
            Err(TaskError::Database(error)) => has_own_id && is_unique_violation(error),
            _ => false,
        };
        if !is_taken {
            return result.map_err(|error| match error {
                TaskError::Database(error) if is_orphan(&error) => TaskError::OwnerGone,
                other => other,
            });
        }
        repository::find_any(self.db.read(), id)
            .await?
            .filter(|task| {
                task.owner_id == viewer.user_id && task.creation_digest == row.creation_digest
            })
            .ok_or(TaskError::IdConflict)
    }

    /// Changes a task of the caller. A change that changes nothing keeps the version.
    ///
    /// # Errors
    /// `NotFound`, `VersionConflict`, `Invalid`.
    pub async fn update(
        &self,
        viewer: &Viewer,
        id: &str,
        patch: TaskPatch,
    ) -> Result<task::Model, TaskError> {
        let patch = check_patch(patch)?;
        let id = parse_id(id).ok_or(TaskError::NotFound(None))?;
        let (owner, now) = (viewer.user_id, self.clock.now());
        let updated = self.write(
            owner,
            move |tx| {
                let patch = patch.clone();
                Box::pin(async move { update_one(tx, owner, id, patch, now).await })
            },
            |(task, is_changed)| match is_changed {
                true => vec![TaskEvent::of(ChangeKind::Updated, task.clone())],
                false => Vec::new(),
            },
        );
        Ok(updated.await?.0)
    }

    /// Deletes a task of the caller; returns its id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete(&self, viewer: &Viewer, id: &str) -> Result<Uuid, TaskError> {
        let id = parse_id(id).ok_or(TaskError::NotFound(None))?;
        let (owner, now) = (viewer.user_id, self.clock.now());
        let deleted = self.write(
            owner,
            move |tx| {
                Box::pin(async move {
                    let known = repository::list_for_update(tx, owner, vec![id]).await?;
                    if known.is_empty() {
                        return Err(TaskError::NotFound(None));
                    }
                    bury(tx, owner, &[id], now).await?;
                    Ok(id)
                })
            },
            |id| vec![TaskEvent::deleted(*id)],
        );
        deleted.await
    }

    /// A task of the caller.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn find(&self, viewer: &Viewer, id: Uuid) -> Result<Option<task::Model>, TaskError> {
        Ok(repository::find(self.db.read(), viewer.user_id, id).await?)
    }

    /// A page of the caller's tasks.
    ///
    /// # Errors
    /// Only the database's.
    pub(crate) async fn list(
        &self,
        viewer: &Viewer,
        filter: &TaskFilter,
        order: TaskOrder,
        page: &Page<TaskCursor>,
        shown: Shown,
    ) -> Result<Slice<Arc<task::Model>>, TaskError> {
        let now = self.clock.now();
        let db = self.db.read();
        let rows = repository::list(db, viewer.user_id, filter, order, page, now, shown).await?;
        Ok(page.slice(rows.into_iter().map(Arc::new).collect()))
    }

    /// How many of the caller's tasks match.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn count(&self, viewer: &Viewer, filter: &TaskFilter) -> Result<u64, TaskError> {
        let now = self.clock.now();
        Ok(repository::count(self.db.read(), viewer.user_id, filter, now).await?)
    }
}

/// At most 20 tags of 1 to 30 characters, none twice without regard to case.
fn check_tags(faults: &mut Faults, tags: &[String]) -> Tags {
    if tags.len() > TAGS_MAX {
        faults.add(&["tags"], Rule::TooLong { max: TAGS_MAX });
        return Tags::default();
    }
    let mut seen = HashSet::new();
    let mut checked = Vec::with_capacity(tags.len());
    for (index, tag) in tags.iter().enumerate() {
        let index = index.to_string();
        let tag = faults.line(&["tags", &index], tag, 1, TAG_MAX);
        if !seen.insert(tag.to_lowercase()) {
            faults.add(&["tags", &index], Rule::Duplicate);
        }
        checked.push(tag);
    }
    Tags(checked)
}

/// The tags in lower case, each between separators.
fn tags_key(tags: &Tags) -> String {
    if tags.0.is_empty() {
        return String::new();
    }
    let mut key = String::from(SEPARATOR);
    for tag in &tags.0 {
        key.push_str(&tag.to_lowercase());
        key.push(SEPARATOR);
    }
    key
}

/// What a search looks through.
fn search_text(title: &str, notes: Option<&str>) -> String {
    let notes = notes.unwrap_or_default();
    format!("{title}{SEPARATOR}{notes}").to_lowercase()
}

/// Checks the values that do not depend on the stored task, and trims them.
fn check_patch(mut patch: TaskPatch) -> Result<TaskPatch, TaskError> {
    let mut faults = Faults::under(&["input"]);
    for (field, is_cleared) in [
        ("title", patch.title == Patch::Clear),
        ("status", patch.status == Patch::Clear),
        ("priority", patch.priority == Patch::Clear),
    ] {
        if is_cleared {
            faults.add(&[field], Rule::NotNullable);
        }
    }
    if let Patch::Set(title) = &mut patch.title {
        *title = faults.line(&["title"], title, 1, TITLE_MAX);
    }
    if let Patch::Set(notes) = &patch.notes {
        patch.notes = match faults.block(&["notes"], notes, NOTES_MAX) {
            Some(notes) => Patch::Set(notes),
            None => Patch::Clear,
        };
    }
    if let Patch::Set(tags) = &mut patch.tags {
        *tags = check_tags(&mut faults, tags).0;
    }
    Ok(faults.check(patch)?)
}

/// The task, and whether it is another than before.
async fn update_one(
    tx: &DatabaseTransaction,
    owner: Uuid,
    id: Uuid,
    patch: TaskPatch,
    now: Timestamp,
) -> Result<(task::Model, bool), TaskError> {
    let task = repository::list_for_update(tx, owner, vec![id])
        .await?
        .pop()
        .ok_or(TaskError::NotFound(None))?;
    if patch.version.is_some_and(|version| version != task.version) {
        return Err(TaskError::VersionConflict {
            current: task.version,
        });
    }
    let changed = apply(task.clone(), patch, now);
    if changed == task {
        return Ok((task, false));
    }
    let changed = task::Model {
        version: task.version + 1,
        updated_at: now,
        change_seq: repository::next_change(tx, owner).await?,
        ..changed
    };
    repository::update(tx, changed.clone()).await?;
    if changed.remind_at != task.remind_at {
        schedule(tx, id, changed.remind_at).await?;
    }
    Ok((changed, true))
}

/// `task` with the values of `patch`, the derived columns among them.
fn apply(mut task: task::Model, patch: TaskPatch, now: Timestamp) -> task::Model {
    if let Patch::Set(title) = patch.title {
        task.title = title;
    }
    task.notes = patch.notes.apply(task.notes);
    if let Patch::Set(priority) = patch.priority {
        task.priority = priority;
    }
    if let Some(tags) = match patch.tags {
        Patch::Keep => None,
        Patch::Clear => Some(Vec::new()),
        Patch::Set(tags) => Some(tags),
    } {
        task.tags = Tags(tags);
        task.tags_key = tags_key(&task.tags);
    }
    task.due_at = patch.due_at.apply(task.due_at);
    task.remind_at = patch.remind_at.apply(task.remind_at);
    if let Patch::Set(status) = patch.status {
        task.completed_at = match status {
            TaskStatus::Done => task.completed_at.or(Some(now)),
            _ => None,
        };
        task.status = status;
    }
    task.search_text = search_text(&task.title, task.notes.as_deref());
    task
}
