//! SQL of tasks. Every row is found through its owner, but for [`find_any`].

mod reminders;
mod sync;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IdenStatic,
    IntoActiveModel, Iterable, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use uuid::Uuid;

pub(crate) use self::reminders::{
    delete_pending_reminders, insert_reminder, list_due_reminders, list_tasks_of_batch,
    take_reminders,
};
pub(crate) use self::sync::{
    delete_tombstones, insert_tombstones, list_changed, list_old_tombstones, list_tombstones,
    newest_change, next_change,
};
use crate::entity::task::{self, TaskStatus};
use crate::graphql::pagination::Page;
use crate::platform::clock::Timestamp;
use crate::tasks::filter::{TaskCursor, TaskFilter, TaskOrder};

pub(crate) async fn find(
    db: &impl ConnectionTrait,
    owner: Uuid,
    id: Uuid,
) -> Result<Option<task::Model>, DbErr> {
    task::Entity::find_by_id(id)
        .filter(task::Column::OwnerId.eq(owner))
        .one(db)
        .await
}

pub(crate) async fn list_by_id(
    db: &impl ConnectionTrait,
    owner: Uuid,
    ids: Vec<Uuid>,
    shown: Shown,
) -> Result<Vec<task::Model>, DbErr> {
    shown.of(these(owner, ids)).all(db).await
}

/// Reads tasks and locks them until the transaction ends; SQLite has one writer and needs no lock.
pub(crate) async fn list_for_update(
    tx: &impl ConnectionTrait,
    owner: Uuid,
    ids: Vec<Uuid>,
) -> Result<Vec<task::Model>, DbErr> {
    these(owner, ids).lock_exclusive().all(tx).await
}

fn these(owner: Uuid, ids: Vec<Uuid>) -> Select<task::Entity> {
    task::Entity::find()
        .filter(task::Column::OwnerId.eq(owner))
        .filter(task::Column::Id.is_in(ids))
}

/// A task by its id, whoever's it is: to recognise a repeated creation.
pub(crate) async fn find_any(
    db: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<task::Model>, DbErr> {
    task::Entity::find_by_id(id).one(db).await
}

pub(crate) async fn list(
    db: &impl ConnectionTrait,
    owner: Uuid,
    filter: &TaskFilter,
    order: TaskOrder,
    page: &Page<TaskCursor>,
    now: Timestamp,
    shown: Shown,
) -> Result<Vec<task::Model>, DbErr> {
    let select = order.apply(filter.select(owner, now, db.get_database_backend()), page);
    shown.of(select).limit(page.fetch()).all(db).await
}

/// What is read of tasks that are only shown. The rest of their rows is empty, so they must not be
/// written back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Shown {
    /// Notes, which may be long.
    pub(crate) notes: bool,
}

impl Shown {
    fn of(self, select: Select<task::Entity>) -> Select<task::Entity> {
        let columns = task::Column::iter();
        columns.fold(select.select_only(), |select, column| match column {
            // The text once more, and what recognises a repetition.
            task::Column::SearchText | task::Column::TagsKey | task::Column::CreationDigest => {
                select.expr_as(Expr::cust("''"), column.as_str())
            }
            task::Column::Notes if !self.notes => {
                select.expr_as(Expr::cust("NULL"), column.as_str())
            }
            column => select.column(column),
        })
    }
}

pub(crate) async fn count(
    db: &impl ConnectionTrait,
    owner: Uuid,
    filter: &TaskFilter,
    now: Timestamp,
) -> Result<u64, DbErr> {
    let backend = db.get_database_backend();
    filter.select(owner, now, backend).count(db).await
}

pub(crate) async fn insert(db: &impl ConnectionTrait, row: task::Model) -> Result<(), DbErr> {
    task::Entity::insert(row.into_active_model().reset_all())
        .exec_without_returning(db)
        .await
        .map(drop)
}

/// Writes all columns of a task that was read for update.
pub(crate) async fn update(tx: &impl ConnectionTrait, row: task::Model) -> Result<(), DbErr> {
    let (owner, id) = (row.owner_id, row.id);
    task::Entity::update_many()
        .set(row.into_active_model().reset_all())
        .filter(task::Column::OwnerId.eq(owner))
        .filter(task::Column::Id.eq(id))
        .exec(tx)
        .await
        .map(drop)
}

/// Marks tasks as done that were read for update.
pub(crate) async fn complete(
    tx: &impl ConnectionTrait,
    owner: Uuid,
    ids: Vec<Uuid>,
    change_seq: i64,
    now: Timestamp,
) -> Result<(), DbErr> {
    task::Entity::update_many()
        .col_expr(task::Column::Status, Expr::value(TaskStatus::Done))
        .col_expr(task::Column::CompletedAt, Expr::value(now))
        .col_expr(task::Column::UpdatedAt, Expr::value(now))
        .col_expr(task::Column::ChangeSeq, Expr::value(change_seq))
        .col_expr(
            task::Column::Version,
            Expr::col(task::Column::Version).add(1),
        )
        .filter(task::Column::OwnerId.eq(owner))
        .filter(task::Column::Id.is_in(ids))
        .exec(tx)
        .await
        .map(drop)
}

/// The tasks that are done, those first that were completed first, locked until the transaction ends.
pub(crate) async fn list_done_for_update(
    tx: &impl ConnectionTrait,
    owner: Uuid,
    limit: u64,
) -> Result<Vec<Uuid>, DbErr> {
    task::Entity::find()
        .select_only()
        .column(task::Column::Id)
        .filter(task::Column::OwnerId.eq(owner))
        .filter(task::Column::Status.eq(TaskStatus::Done))
        .order_by_asc(task::Column::CompletedAt)
        .order_by_asc(task::Column::Id)
        .limit(limit)
        .lock_exclusive()
        .into_tuple()
        .all(tx)
        .await
}

pub(crate) async fn delete(
    tx: &impl ConnectionTrait,
    owner: Uuid,
    ids: Vec<Uuid>,
) -> Result<(), DbErr> {
    task::Entity::delete_many()
        .filter(task::Column::OwnerId.eq(owner))
        .filter(task::Column::Id.is_in(ids))
        .exec(tx)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use sea_orm::{DbBackend, QueryTrait};

    use super::*;

    #[test]
    fn reads_no_long_text_that_is_not_shown() {
        for backend in [DbBackend::Sqlite, DbBackend::Postgres, DbBackend::MySql] {
            let sql = |notes| {
                let select = Shown { notes }.of(task::Entity::find());
                select.build(backend).sql.replace('`', "\"")
            };
            for hidden in ["search_text", "tags_key", "creation_digest"] {
                assert!(sql(true).contains(&format!("'' AS \"{hidden}\"")));
                assert!(!sql(true).contains(&format!("\"tasks\".\"{hidden}\"")));
            }
            assert!(sql(true).contains("\"tasks\".\"notes\""));
            assert!(!sql(false).contains("\"tasks\".\"notes\""));
        }
    }
}
