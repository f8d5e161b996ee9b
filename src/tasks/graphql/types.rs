//! The types, inputs and payloads of tasks.

use std::sync::Arc;

use async_graphql::dataloader::DataLoader;
use async_graphql::{
    ComplexObject, Context, Enum, ID, InputObject, MaybeUndefined, Object, SimpleObject,
};
use uuid::Uuid;

use crate::entity::task;
use crate::graphql::context::{service, viewer};
use crate::graphql::error::ApiError;
use crate::graphql::pagination::relay_connection;
use crate::graphql::scalars::DateTime;
use crate::graphql::scope::shared;
use crate::graphql::texts::Texts;
use crate::identity::User;
use crate::notifications::Notification;
use crate::platform::patch::Patch;
use crate::tasks::event::{self, TaskEvent};
use crate::tasks::filter::{self, OrderField};
use crate::tasks::loader::{OwnTask, TaskLoader, notes_bytes};
use crate::tasks::repository::Shown;
use crate::tasks::service::{NewTask, TaskPatch, TaskService};
use crate::tasks::sync::Feed;

/// How far a task is.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "task::TaskStatus")]
pub enum TaskStatus {
    /// Nobody has begun it.
    Todo,
    /// Somebody is at it.
    InProgress,
    /// Finished; sets `Task.completedAt`.
    Done,
}

/// How much a task matters.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "task::TaskPriority")]
pub enum TaskPriority {
    /// Not said; sorts lowest.
    None,
    /// Less than most.
    Low,
    /// As much as most.
    Medium,
    /// More than most; sorts highest.
    High,
}

/// What tasks can be sorted by. Ties are sorted by id in the same direction; tasks without a value come last in both directions.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "OrderField")]
pub enum TaskOrderField {
    /// When the task was created.
    CreatedAt,
    /// When the task last changed.
    UpdatedAt,
    /// When the task is due.
    DueAt,
    /// From NONE to HIGH.
    Priority,
    /// By Unicode code points.
    Title,
}

/// Which end of an order comes first.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderDirection {
    /// From low to high, early to late, A to Z.
    Asc,
    /// From high to low, late to early, Z to A.
    Desc,
}

/// A task row with what the schema shows of it, shared by all places of an answer where it stands.
#[derive(Debug, Clone)]
pub struct Task(Arc<task::Model>);

/// Something one person wants to do. Only its owner sees it.
#[Object]
impl Task {
    /// Opaque; the client's own when it sent one.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// What to do, one line of 1 to 200 characters.
    async fn title(&self) -> &str {
        &self.0.title
    }

    /// Details, at most 10,000 characters. Null when there are none.
    async fn notes(&self) -> Option<&str> {
        self.0.notes.as_deref()
    }

    /// How far it is.
    async fn status(&self) -> TaskStatus {
        self.0.status.into()
    }

    /// How much it matters.
    async fn priority(&self) -> TaskPriority {
        self.0.priority.into()
    }

    /// At most 20 words of 1 to 30 characters, unique without regard to case, in the order they were given.
    async fn tags(&self) -> &[String] {
        &self.0.tags.0
    }

    /// When it should be done. Null: at no certain time.
    async fn due_at(&self) -> Option<DateTime> {
        self.0.due_at.map(Into::into)
    }

    /// When to remind the owner, unless the task is DONE by then: within half a minute a notification is in their inbox, once for
    /// each time that is set. Null: never.
    async fn remind_at(&self) -> Option<DateTime> {
        self.0.remind_at.map(Into::into)
    }

    /// When its status became DONE. Null while it is anything else.
    async fn completed_at(&self) -> Option<DateTime> {
        self.0.completed_at.map(Into::into)
    }

    /// Whether it is not DONE and its due time has passed by the server's clock.
    async fn is_overdue(&self, ctx: &Context<'_>) -> Result<bool, ApiError> {
        let tasks: &TaskService = service(ctx)?;
        Ok(tasks.is_overdue(&self.0))
    }

    /// Starts at 1 and grows by one with every change; for `UpdateTaskInput.version`.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// Whose task it is.
    async fn owner(&self, ctx: &Context<'_>) -> Result<User, ApiError> {
        User::require(ctx, self.0.owner_id).await
    }

    /// When it was created, by the server's clock.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it last changed, by the server's clock.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

#[ComplexObject]
impl Notification {
    /// Opaque, for `markNotificationsRead`.
    pub async fn id(&self) -> ID {
        self.row_id.into()
    }

    /// The task that it is about. Null when it was deleted.
    async fn task(&self, ctx: &Context<'_>) -> Option<Result<Task, ApiError>> {
        let notes = ctx.look_ahead().field("notes").selection_fields().len();
        load_own(ctx, self.task_id?, notes).await.transpose()
    }
}

/// A task of the caller, whose notes are selected `notes` times.
async fn load_own(ctx: &Context<'_>, id: Uuid, notes: usize) -> Result<Option<Task>, ApiError> {
    let owner = viewer(ctx)?.user_id;
    let loader: Arc<DataLoader<TaskLoader>> = shared(ctx)?;
    let shown = Shown { notes: notes > 0 };
    let task = loader.load_one(OwnTask { owner, id, shown }).await?;
    if let (Some(task), 1..) = (&task, notes) {
        let texts: Arc<Texts> = shared(ctx)?;
        texts.next().await.shows(notes_bytes(task) * notes)?;
    }
    Ok(task.map(Task::from))
}

impl From<task::Model> for Task {
    fn from(row: task::Model) -> Self {
        Self(Arc::new(row))
    }
}

impl From<Arc<task::Model>> for Task {
    fn from(row: Arc<task::Model>) -> Self {
        Self(row)
    }
}

relay_connection!(TaskConnection, TaskEdge, Task(Arc<task::Model>), "tasks");

/// Which tasks to list; all parts must hold.
#[derive(InputObject, Default)]
pub(super) struct TaskFilter {
    /// Any of these; an empty list matches nothing.
    pub(super) status: Option<Vec<TaskStatus>>,
    /// Any of these; an empty list matches nothing.
    pub(super) priority: Option<Vec<TaskPriority>>,
    /// Has this tag of at most 30 characters, in any case.
    pub(super) tag: Option<String>,
    /// Title or notes contain this text of at most 200 characters, in any case; wildcards have no meaning, and spaces around it do not count.
    pub(super) search: Option<String>,
    /// Due at this time or later.
    pub(super) due_after: Option<DateTime>,
    /// Due before this time.
    pub(super) due_before: Option<DateTime>,
    /// Overdue by the server's clock, or not.
    pub(super) is_overdue: Option<bool>,
    /// Changed at this time or later.
    pub(super) updated_after: Option<DateTime>,
}

impl From<TaskFilter> for filter::TaskFilter {
    fn from(filter: TaskFilter) -> Self {
        Self {
            status: filter
                .status
                .map(|all| all.into_iter().map(Into::into).collect()),
            priority: filter
                .priority
                .map(|all| all.into_iter().map(Into::into).collect()),
            tag: filter.tag,
            search: filter.search,
            due_after: filter.due_after.map(|time| time.0),
            due_before: filter.due_before.map(|time| time.0),
            is_overdue: filter.is_overdue,
            updated_after: filter.updated_after.map(|time| time.0),
        }
    }
}

/// An order of tasks.
#[derive(InputObject)]
pub(super) struct TaskOrder {
    /// What to sort by.
    pub(super) field: TaskOrderField,
    /// Which end comes first.
    #[graphql(default_with = "OrderDirection::Asc")]
    pub(super) direction: OrderDirection,
}

/// A task to create.
#[derive(InputObject)]
pub(super) struct CreateTaskInput {
    /// A UUID made by the client: repeating it with the same content answers the stored task
    /// instead of adding another. Answered in lower case.
    pub(super) id: Option<ID>,
    /// One line of 1 to 200 characters.
    pub(super) title: String,
    /// At most 10,000 characters; empty counts as none.
    pub(super) notes: Option<String>,
    /// Where to start.
    #[graphql(default_with = "TaskStatus::Todo")]
    pub(super) status: TaskStatus,
    /// How much it matters.
    #[graphql(default_with = "TaskPriority::None")]
    pub(super) priority: TaskPriority,
    /// At most 20 of 1 to 30 characters, unique without regard to case.
    #[graphql(default)]
    pub(super) tags: Vec<String>,
    /// When it should be done.
    pub(super) due_at: Option<DateTime>,
    /// When to remind the owner.
    pub(super) remind_at: Option<DateTime>,
}

impl From<CreateTaskInput> for NewTask {
    fn from(input: CreateTaskInput) -> Self {
        Self {
            id: input.id.map(|id| id.0),
            title: input.title,
            notes: input.notes,
            status: input.status.into(),
            priority: input.priority.into(),
            tags: input.tags,
            due_at: input.due_at.map(|time| time.0),
            remind_at: input.remind_at.map(|time| time.0),
        }
    }
}

/// What to change of a task: a field that is absent stays, null clears it, a value sets it.
#[derive(InputObject)]
pub(super) struct UpdateTaskInput {
    /// Id of the task.
    pub(super) id: ID,
    /// The version that the client knows: when the task has another, nothing changes (VERSION_CONFLICT).
    pub(super) version: Option<i32>,
    /// One line of 1 to 200 characters. Cannot be cleared.
    pub(super) title: MaybeUndefined<String>,
    /// At most 10,000 characters; empty clears.
    pub(super) notes: MaybeUndefined<String>,
    /// How far it is. Cannot be cleared.
    pub(super) status: MaybeUndefined<TaskStatus>,
    /// How much it matters. Cannot be cleared; NONE says as much.
    pub(super) priority: MaybeUndefined<TaskPriority>,
    /// All tags anew, at most 20 of 1 to 30 characters; null means none.
    pub(super) tags: MaybeUndefined<Vec<String>>,
    /// When it should be done.
    pub(super) due_at: MaybeUndefined<DateTime>,
    /// When to remind the owner.
    pub(super) remind_at: MaybeUndefined<DateTime>,
}

impl From<UpdateTaskInput> for TaskPatch {
    fn from(input: UpdateTaskInput) -> Self {
        Self {
            version: input.version,
            title: input.title.into(),
            notes: input.notes.into(),
            status: Patch::from(input.status).map(Into::into),
            priority: Patch::from(input.priority).map(Into::into),
            tags: input.tags.into(),
            due_at: Patch::from(input.due_at).map(|time| time.0),
            remind_at: Patch::from(input.remind_at).map(|time| time.0),
        }
    }
}

/// A task to delete.
#[derive(InputObject)]
pub(super) struct DeleteTaskInput {
    /// Id of the task.
    pub(super) id: ID,
}

/// Tasks to mark as done.
#[derive(InputObject)]
pub(super) struct CompleteTasksInput {
    /// At most 100 ids; a task named twice is completed once.
    pub(super) ids: Vec<ID>,
}

/// A task after a change.
#[derive(SimpleObject)]
pub(super) struct TaskPayload {
    /// The task as it is stored.
    pub(super) task: Task,
}

/// What was deleted.
#[derive(SimpleObject)]
pub(super) struct DeleteTaskPayload {
    /// Id of the task that is gone.
    pub(super) deleted_task_id: ID,
}

/// Tasks after a change.
#[derive(SimpleObject)]
pub(super) struct CompleteTasksPayload {
    /// The tasks in the order of the ids, each once.
    pub(super) tasks: Vec<Task>,
}

/// Which tasks were deleted.
#[derive(SimpleObject)]
pub(super) struct DeleteCompletedTasksPayload {
    /// Ids of the tasks that are gone, at most 100, those first that were completed first.
    pub(super) deleted_task_ids: Vec<ID>,
    /// Whether there are more to delete: call again.
    pub(super) has_more: bool,
}

/// A part of what has changed.
#[derive(SimpleObject)]
pub(super) struct TaskChangeFeed {
    /// In the order of the changes, each task once a feed: CREATED when the device may not know it yet, however often it changed
    /// since, UPDATED when it does.
    changes: Vec<TaskChange>,
    /// For the next call; opaque, good for 30 days.
    sync_token: String,
    /// Whether more has changed already: call again with the new token.
    has_more: bool,
    /// The token was too old, or not of this account: drop the local copy, this feed begins anew.
    is_full_resync: bool,
}

impl From<Feed> for TaskChangeFeed {
    fn from(feed: Feed) -> Self {
        Self {
            changes: feed.changes.into_iter().map(Into::into).collect(),
            sync_token: feed.token,
            has_more: feed.has_more,
            is_full_resync: feed.is_full_resync,
        }
    }
}

/// What happened to a task.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "event::ChangeKind")]
pub enum ChangeKind {
    /// It is new.
    Created,
    /// Its content is another.
    Updated,
    /// It is gone for good.
    Deleted,
}

/// One change of a task.
#[derive(SimpleObject)]
pub(super) struct TaskChange {
    /// What happened.
    kind: ChangeKind,
    /// Id of the task.
    task_id: ID,
    /// The task right after the change, in `taskChanges` as it is now. Null when it was deleted.
    task: Option<Task>,
}

impl From<TaskEvent> for TaskChange {
    fn from(event: TaskEvent) -> Self {
        Self {
            kind: event.kind.into(),
            task_id: event.task_id.into(),
            task: event.task.map(Task::from),
        }
    }
}
