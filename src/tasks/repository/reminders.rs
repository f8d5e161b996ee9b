//! SQL of reminders.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, SimpleExpr};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbErr, DeleteMany, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, UpdateMany,
};
use uuid::Uuid;

use crate::entity::reminder::{self, ReminderState};
use crate::entity::task;
use crate::platform::clock::Timestamp;

/// Of reminders that are named beside it. Said this way, because SQLite would otherwise look through all that are pending.
fn is_pending() -> SimpleExpr {
    reminder::Column::State.ne(ReminderState::Fired)
}

/// Forgets what a task would remind of.
pub(crate) async fn delete_pending_reminders(
    tx: &impl ConnectionTrait,
    task_id: Uuid,
) -> Result<(), DbErr> {
    forgetting(task_id).exec(tx).await.map(drop)
}

fn forgetting(task_id: Uuid) -> DeleteMany<reminder::Entity> {
    reminder::Entity::delete_many()
        .filter(reminder::Column::TaskId.eq(task_id))
        .filter(is_pending())
}

/// Writes a reminder down, unless the task has reminded of that time already.
pub(crate) async fn insert_reminder(
    tx: &impl ConnectionTrait,
    task_id: Uuid,
    remind_at: Timestamp,
) -> Result<(), DbErr> {
    let row = reminder::Model {
        task_id,
        remind_at,
        state: ReminderState::Pending,
        batch_id: None,
    };
    reminder::Entity::insert(row.into_active_model().reset_all())
        .on_conflict(
            OnConflict::columns([reminder::Column::TaskId, reminder::Column::RemindAt])
                // Changes nothing; MySQL has no other way to say so that lets other errors through.
                .update_column(reminder::Column::TaskId)
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await
        .map(drop)
}

/// Reminders whose time has come, the oldest first, behind the first `offset`.
pub(crate) async fn list_due_reminders(
    db: &impl ConnectionTrait,
    now: Timestamp,
    offset: u64,
    limit: u64,
) -> Result<Vec<(Uuid, Timestamp)>, DbErr> {
    reminder::Entity::find()
        .select_only()
        .columns([reminder::Column::TaskId, reminder::Column::RemindAt])
        .filter(reminder::Column::State.eq(ReminderState::Pending))
        .filter(reminder::Column::RemindAt.lte(now))
        .order_by_asc(reminder::Column::RemindAt)
        .order_by_asc(reminder::Column::TaskId)
        .offset(offset)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await
}

/// Takes those that are still PENDING into a batch. Of several instances one gets each.
pub(crate) async fn take_reminders(
    tx: &impl ConnectionTrait,
    due: Vec<(Uuid, Timestamp)>,
    batch_id: Uuid,
) -> Result<(), DbErr> {
    taking(due, batch_id).exec(tx).await.map(drop)
}

fn taking(due: Vec<(Uuid, Timestamp)>, batch_id: Uuid) -> UpdateMany<reminder::Entity> {
    let mut these = Condition::any();
    for (task_id, remind_at) in due {
        these = these.add(
            reminder::Column::TaskId
                .eq(task_id)
                .and(reminder::Column::RemindAt.eq(remind_at)),
        );
    }
    reminder::Entity::update_many()
        .col_expr(reminder::Column::State, Expr::value(ReminderState::Fired))
        .col_expr(reminder::Column::BatchId, Expr::value(batch_id))
        .filter(is_pending())
        .filter(these)
}

/// The tasks of a batch, each with the time of its reminder.
pub(crate) async fn list_tasks_of_batch(
    tx: &impl ConnectionTrait,
    batch_id: Uuid,
) -> Result<Vec<(task::Model, Timestamp)>, DbErr> {
    let rows = reminder::Entity::find()
        .find_also_related(task::Entity)
        .filter(reminder::Column::BatchId.eq(batch_id))
        .all(tx)
        .await?;
    let with_task = |(reminder, task): (reminder::Model, Option<task::Model>)| {
        Some((task?, reminder.remind_at))
    };
    Ok(rows.into_iter().filter_map(with_task).collect())
}

#[cfg(test)]
mod tests {
    use sea_orm::QueryTrait;
    use sea_orm::sea_query::SqliteQueryBuilder;

    use super::*;
    use crate::platform::db::query_plan;
    use crate::platform::id::new_id;

    #[tokio::test]
    async fn named_reminders_are_found_by_their_key() {
        let due = (0..100).map(|_| (new_id(), Timestamp::EPOCH)).collect();
        for sql in [
            forgetting(new_id())
                .into_query()
                .to_string(SqliteQueryBuilder),
            taking(due, new_id())
                .into_query()
                .to_string(SqliteQueryBuilder),
        ] {
            let steps = query_plan(&sql).await;
            let on_table = steps.iter().filter(|step| step.contains(" reminders"));
            for step in on_table {
                assert!(step.contains("sqlite_autoindex_reminders_1"), "{steps:#?}");
            }
        }
    }
}
