//! Tasks in the schema.

mod fields;
mod types;

use std::sync::Arc;

use async_graphql::{Context, ID, Lookahead, Object, Subscription};
use futures_util::{Stream, StreamExt};

pub use self::fields::FIELDS;
pub use self::types::Task;
use self::types::{
    CompleteTasksInput, CompleteTasksPayload, CreateTaskInput, DeleteCompletedTasksPayload,
    DeleteTaskInput, DeleteTaskPayload, OrderDirection, TaskChange, TaskChangeFeed, TaskConnection,
    TaskFilter, TaskOrder, TaskPayload, UpdateTaskInput,
};
use crate::graphql::context::{service, viewer};
use crate::graphql::error::{ApiError, ErrorCode};
use crate::graphql::pagination::{PageArgs, encode};
use crate::graphql::scope::shared;
use crate::graphql::texts::Texts;
use crate::platform::id::parse_id;
use crate::platform::locale::Message;
use crate::tasks::error::TaskError;
use crate::tasks::event::Lagged;
use crate::tasks::filter::{self, OrderField, TaskCursor};
use crate::tasks::loader::notes_bytes;
use crate::tasks::repository::Shown;
use crate::tasks::service::TaskService;

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
        .check(*service(ctx)?, |cursor: &TaskCursor| cursor.is_of(order))?;
        let filter: filter::TaskFilter = filter.unwrap_or_default().into();
        filter.check()?;
        let asked = ctx.look_ahead();
        let notes = count(asked.field("nodes").field("notes"))
            + count(asked.field("edges").field("node").field("notes"));
        let shown = Shown { notes: notes > 0 };
        let texts: Arc<Texts> = shared(ctx)?;
        let slice = match shown.notes {
            true => {
                let mut reading = texts.next().await;
                reading.check()?;
                let slice = tasks.list(viewer, &filter, order, &page, shown).await?;
                let bytes: usize = slice.rows.iter().map(|task| notes_bytes(task)).sum();
                reading.took([bytes])?;
                reading.shows(bytes * notes)?;
                slice
            }
            false => tasks.list(viewer, &filter, order, &page, shown).await?,
        };
        let total_count = match asked.field("totalCount").exists() {
            true => tasks.count(viewer, &filter).await?,
            false => 0,
        };
        Ok(TaskConnection {
            slice,
            total_count,
            cursor: Box::new(move |task| encode(&TaskCursor::of(order, task))),
        })
    }

    /// What has changed in the caller's tasks since a sync token, for devices that were away: each task once, as it is now, and
    /// the id of each that is gone, which the device may never have had. Ask again with the new token until `hasMore` is false; then the copy is equal. A page that
    /// was lost is asked for again with the same token. Errors: UNAUTHENTICATED, BAD_USER_INPUT.
    async fn task_changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The newest `syncToken` that the device has. Absent: everything.")]
        since: Option<String>,
        #[graphql(desc = "Number of changes, 0 to 100. Default 20.")] first: Option<i32>,
    ) -> Result<TaskChangeFeed, ApiError> {
        let viewer = viewer(ctx)?;
        let tasks: &TaskService = service(ctx)?;
        let args = PageArgs {
            first,
            ..PageArgs::default()
        };
        let page = args.check(*service(ctx)?, |_: &TaskCursor| true)?;
        let task = ctx.look_ahead().field("changes").field("task");
        let notes = count(task.field("notes"));
        let shown = Shown { notes: notes > 0 };
        let texts: Arc<Texts> = shared(ctx)?;
        let (since, limit) = (since.as_deref(), page.limit);
        if !shown.notes {
            return Ok(tasks.feed(viewer, since, limit, shown).await?.into());
        }
        let mut reading = texts.next().await;
        reading.check()?;
        let feed = tasks.feed(viewer, since, limit, shown).await?;
        let read = feed
            .changes
            .iter()
            .filter_map(|change| change.task.as_ref());
        let bytes: usize = read.map(|task| notes_bytes(task)).sum();
        reading.took([bytes])?;
        reading.shows(bytes * notes)?;
        Ok(feed.into())
    }
}

/// How often a field is asked for, under whatever names.
fn count(field: Lookahead<'_>) -> usize {
    field.selection_fields().len()
}

async fn find_task(ctx: &Context<'_>, id: &str) -> Result<Option<Task>, ApiError> {
    let viewer = viewer(ctx)?;
    let tasks: &TaskService = service(ctx)?;
    Ok(match parse_id(id) {
        Some(id) => tasks.find(viewer, id).await?.map(Task::from),
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
        Ok(TaskPayload { task: task.into() })
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
        Ok(TaskPayload { task: task.into() })
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
            tasks: tasks.into_iter().map(Task::from).collect(),
        })
    }

    /// Deletes the caller's tasks that are DONE for good, up to 100 a call, those first that were completed first.
    /// Errors: UNAUTHENTICATED.
    async fn delete_completed_tasks(
        &self,
        ctx: &Context<'_>,
    ) -> Result<DeleteCompletedTasksPayload, ApiError> {
        let viewer = viewer(ctx)?;
        let tasks: &TaskService = service(ctx)?;
        let (ids, has_more) = tasks.delete_completed(viewer).await?;
        Ok(DeleteCompletedTasksPayload {
            deleted_task_ids: ids.into_iter().map(ID::from).collect(),
            has_more,
        })
    }
}

/// Subscriptions to tasks.
#[derive(Debug, Default)]
pub struct TasksSubscription;

#[Subscription]
impl TasksSubscription {
    /// Changes of the caller's own tasks from now on, from any of their devices, in the order in which they were stored. Events are
    /// not kept: after every connection catch up by `taskChanges`. A client that falls far behind gets RATE_LIMITED and the end.
    /// Errors: UNAUTHENTICATED.
    async fn task_changed(
        &self,
        ctx: &Context<'_>,
    ) -> Result<impl Stream<Item = Result<TaskChange, ApiError>>, ApiError> {
        let viewer = viewer(ctx)?;
        let tasks: &TaskService = service(ctx)?;
        let missed = || {
            ApiError::new(ErrorCode::RateLimited)
                .with_retry_after(Some(1))
                .with_message(Message::new(
                    "接收过慢，部分变更已丢失，请重新订阅并刷新列表",
                    "Too slow: some changes were missed, subscribe again and reload the list",
                ))
        };
        let changes = tasks.changes(viewer);
        Ok(changes.map(move |event| event.map(TaskChange::from).map_err(|Lagged| missed())))
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
            TaskError::OwnerGone => Self::new(ErrorCode::TokenRevoked),
            TaskError::Invalid(faults) => faults.into(),
            TaskError::Database(error) => error.into(),
            TaskError::Digest(_) => Self::internal(error),
        }
    }
}
