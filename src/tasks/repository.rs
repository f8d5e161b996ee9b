//! SQL of tasks. Every row is found through its owner, but for [`find_any`].

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, QuerySelect,
};
use uuid::Uuid;

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

/// Reads tasks and locks them until the transaction ends; SQLite has one writer and needs no lock.
pub(crate) async fn list_for_update(
    tx: &impl ConnectionTrait,
    owner: Uuid,
    ids: Vec<Uuid>,
) -> Result<Vec<task::Model>, DbErr> {
    task::Entity::find()
        .filter(task::Column::OwnerId.eq(owner))
        .filter(task::Column::Id.is_in(ids))
        .lock_exclusive()
        .all(tx)
        .await
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
) -> Result<Vec<task::Model>, DbErr> {
    order
        .apply(filter.select(owner, now), page)
        .limit(page.fetch())
        .all(db)
        .await
}

pub(crate) async fn count(
    db: &impl ConnectionTrait,
    owner: Uuid,
    filter: &TaskFilter,
    now: Timestamp,
) -> Result<u64, DbErr> {
    filter.select(owner, now).count(db).await
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
    now: Timestamp,
) -> Result<(), DbErr> {
    task::Entity::update_many()
        .col_expr(task::Column::Status, Expr::value(TaskStatus::Done))
        .col_expr(task::Column::CompletedAt, Expr::value(now))
        .col_expr(task::Column::UpdatedAt, Expr::value(now))
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

/// Whether there was a task to delete.
pub(crate) async fn delete(
    db: &impl ConnectionTrait,
    owner: Uuid,
    id: Uuid,
) -> Result<bool, DbErr> {
    let result = task::Entity::delete_many()
        .filter(task::Column::OwnerId.eq(owner))
        .filter(task::Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(result.rows_affected > 0)
}
