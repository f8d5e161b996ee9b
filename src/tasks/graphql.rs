//! Tasks in the schema.

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, SimpleObject};

use crate::entity::task;
use crate::graphql::context::{service, viewer};
use crate::graphql::error::{ApiError, ErrorCode};
use crate::graphql::pagination::{PageArgs, encode, relay_connection};
use crate::graphql::scalars::DateTime;
use crate::identity::User;
use crate::platform::id::parse_id;
use crate::platform::locale::Message;
use crate::platform::patch::Patch;
use crate::tasks::error::TaskError;
use crate::tasks::filter::{self, OrderField, TaskCursor};
use crate::tasks::service::{NewTask, TaskPatch, TaskService};

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

/// What tasks can be sorted by. Ties are sorted by id; tasks without a value come last in both directions.
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

/// A task row with what the schema shows of it.
#[derive(Debug, Clone)]
pub struct Task(pub task::Model);

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

    /// When to remind the owner. Null: never.
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

relay_connection!(TaskConnection, TaskEdge, Task(task::Model), "tasks");

/// Which tasks to list; all parts must hold.
#[derive(InputObject, Default)]
struct TaskFilter {
    /// Any of these; an empty list matches nothing.
    status: Option<Vec<TaskStatus>>,
    /// Any of these; an empty list matches nothing.
    priority: Option<Vec<TaskPriority>>,
    /// Has this tag of at most 30 characters, in any case.
    tag: Option<String>,
    /// Title or notes contain this text of at most 200 characters, in any case; wildcards have no meaning.
    search: Option<String>,
    /// Due at this time or later.
    due_after: Option<DateTime>,
    /// Due before this time.
    due_before: Option<DateTime>,
    /// Overdue by the server's clock, or not.
    is_overdue: Option<bool>,
    /// Changed at this time or later.
    updated_after: Option<DateTime>,
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
struct TaskOrder {
    /// What to sort by.
    field: TaskOrderField,
    /// Which end comes first.
    #[graphql(default_with = "OrderDirection::Asc")]
    direction: OrderDirection,
}

/// A task to create.
#[derive(InputObject)]
struct CreateTaskInput {
    /// A UUID made by the client: repeating it with the same content answers the stored task instead of adding another.
    id: Option<ID>,
    /// One line of 1 to 200 characters.
    title: String,
    /// At most 10,000 characters; empty counts as none.
    notes: Option<String>,
    /// Where to start.
    #[graphql(default_with = "TaskStatus::Todo")]
    status: TaskStatus,
    /// How much it matters.
    #[graphql(default_with = "TaskPriority::None")]
    priority: TaskPriority,
    /// At most 20 of 1 to 30 characters, unique without regard to case.
    #[graphql(default)]
    tags: Vec<String>,
    /// When it should be done.
    due_at: Option<DateTime>,
    /// When to remind the owner.
    remind_at: Option<DateTime>,
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
struct UpdateTaskInput {
    /// Id of the task.
    id: ID,
    /// The version that the client knows: when the task has another, nothing changes (VERSION_CONFLICT).
    version: Option<i32>,
    /// One line of 1 to 200 characters. Cannot be cleared.
    title: MaybeUndefined<String>,
    /// At most 10,000 characters; empty clears.
    notes: MaybeUndefined<String>,
    /// How far it is. Cannot be cleared.
    status: MaybeUndefined<TaskStatus>,
    /// How much it matters. Cannot be cleared; NONE says as much.
    priority: MaybeUndefined<TaskPriority>,
    /// All tags anew, at most 20 of 1 to 30 characters; null means none.
    tags: MaybeUndefined<Vec<String>>,
    /// When it should be done.
    due_at: MaybeUndefined<DateTime>,
    /// When to remind the owner.
    remind_at: MaybeUndefined<DateTime>,
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
struct DeleteTaskInput {
    /// Id of the task.
    id: ID,
}

/// Tasks to mark as done.
#[derive(InputObject)]
struct CompleteTasksInput {
    /// At most 100 ids; repeated ones count once.
    ids: Vec<ID>,
}

/// A task after a change.
#[derive(SimpleObject)]
struct TaskPayload {
    /// The task as it is stored.
    task: Task,
}

/// What was deleted.
#[derive(SimpleObject)]
struct DeleteTaskPayload {
    /// Id of the task that is gone.
    deleted_task_id: ID,
}

/// Tasks after a change.
#[derive(SimpleObject)]
struct CompleteTasksPayload {
    /// The tasks in the order of the ids, each once.
    tasks: Vec<Task>,
}

/// Queries about tasks.
#[derive(Debug, Default)]
pub struct TasksQuery;

#[Object]
impl TasksQuery {
    /// A task of the caller by its id. Null when there is none, or when it is somebody else's. Errors: UNAUTHENTICATED.
    async fn task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the task.")] id: ID,
    ) -> Option<Result<Task, ApiError>> {
        find_task(ctx, &id).await.transpose()
    }

    /// The caller's tasks. Errors: UNAUTHENTICATED, BAD_USER_INPUT.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are the arguments of the field"
    )]
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which tasks. Absent: all.")] filter: Option<TaskFilter>,
        #[graphql(desc = "In which order. Absent: newest first.")] order_by: Option<TaskOrder>,
        #[graphql(desc = "Number of tasks from the start, 0 to 100. Default 20.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only tasks after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of tasks from the end, 0 to 100. Not together with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only tasks before this cursor.")] before: Option<String>,
    ) -> Result<TaskConnection, ApiError> {
        let viewer = viewer(ctx)?;
        let tasks: &TaskService = service(ctx)?;
        let order = order_by.map_or(
            filter::TaskOrder {
                field: OrderField::CreatedAt,
                is_descending: true,
            },
            |order| filter::TaskOrder {
                field: order.field.into(),
                is_descending: order.direction == OrderDirection::Desc,
            },
        );
        let page = PageArgs {
            first,
            after,
            last,
            before,
        }
        .check(|cursor: &TaskCursor| cursor.is_of(order))?;
        let filter: filter::TaskFilter = filter.unwrap_or_default().into();
        filter.check()?;
        let slice = tasks.list(viewer, &filter, order, &page).await?;
        let total_count = match ctx.look_ahead().field("totalCount").exists() {
            true => tasks.count(viewer, &filter).await?,
            false => 0,
        };
        Ok(TaskConnection {
            slice,
            total_count,
            cursor: Box::new(move |task| encode(&TaskCursor::of(order, task))),
        })
    }
}

async fn find_task(ctx: &Context<'_>, id: &str) -> Result<Option<Task>, ApiError> {
    let viewer = viewer(ctx)?;
    let tasks: &TaskService = service(ctx)?;
    Ok(match parse_id(id) {
        Some(id) => tasks.find(viewer, id).await?.map(Task),
        None => None,
    })
}

/// Mutations of tasks.
#[derive(Debug, Default)]
pub struct TasksMutation;

#[Object]
impl TasksMutation {
    /// Creates a task. Repeating a client-made `id` with the same content answers the stored task as it is now.
    /// Errors: UNAUTHENTICATED, BAD_USER_INPUT, CONFLICT.
    async fn create_task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The task.")] input: CreateTaskInput,
    ) -> Result<TaskPayload, ApiError> {
        let viewer = viewer(ctx)?;
        let tasks: &TaskService = service(ctx)?;
        let task = tasks.create(viewer, input.into()).await?;
        Ok(TaskPayload { task: Task(task) })
    }

    /// Changes what the input names and keeps the rest. Errors: UNAUTHENTICATED, NOT_FOUND, VERSION_CONFLICT, BAD_USER_INPUT.
    async fn update_task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which task, and what to change.")] input: UpdateTaskInput,
    ) -> Result<TaskPayload, ApiError> {
        let viewer = viewer(ctx)?;
        let tasks: &TaskService = service(ctx)?;
        let id = input.id.clone();
        let task = tasks.update(viewer, &id, input.into()).await?;
        Ok(TaskPayload { task: Task(task) })
    }

    /// Deletes a task for good. Errors: UNAUTHENTICATED, NOT_FOUND.
    async fn delete_task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which task.")] input: DeleteTaskInput,
    ) -> Result<DeleteTaskPayload, ApiError> {
        let viewer = viewer(ctx)?;
        let tasks: &TaskService = service(ctx)?;
        let id = tasks.delete(viewer, &input.id).await?;
        Ok(DeleteTaskPayload {
            deleted_task_id: id.into(),
        })
    }

    /// Marks up to 100 tasks as DONE, all or none. Errors: UNAUTHENTICATED, NOT_FOUND with the faulty ids in
    /// `extensions.fields`, BAD_USER_INPUT.
    async fn complete_tasks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which tasks.")] input: CompleteTasksInput,
    ) -> Result<CompleteTasksPayload, ApiError> {
        let viewer = viewer(ctx)?;
        let tasks: &TaskService = service(ctx)?;
        let ids: Vec<String> = input.ids.into_iter().map(|id| id.0).collect();
        let tasks = tasks.complete(viewer, &ids).await?;
        Ok(CompleteTasksPayload {
            tasks: tasks.into_iter().map(Task).collect(),
        })
    }
}

impl From<TaskError> for ApiError {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::NotFound(faults) => {
                let fields = faults.map(|faults| faults.into_list()).unwrap_or_default();
                Self::new(ErrorCode::NotFound).with_fields(fields)
            }
            TaskError::IdConflict => Self::new(ErrorCode::Conflict),
            TaskError::VersionConflict { current } => Self::new(ErrorCode::VersionConflict)
                .with_message(Message::new(
                    format!("任务已被修改（当前版本 {current}），请刷新后重试"),
                    format!(
                        "The task was changed meanwhile (it has version {current}), please reload"
                    ),
                )),
            TaskError::Invalid(faults) => faults.into(),
            TaskError::Digest(_) | TaskError::Database(_) => Self::internal(error),
        }
    }
}
