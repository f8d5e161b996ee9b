//! SQL of notifications. Every row is found through its user.

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, Select,
};
use uuid::Uuid;

use crate::entity::notification;
use crate::graphql::keyset::{TimeCursor, newest_first};
use crate::graphql::pagination::Page;
use crate::platform::clock::Timestamp;

fn of(user: Uuid, is_read: Option<bool>) -> Select<notification::Entity> {
    let all = notification::Entity::find().filter(notification::Column::UserId.eq(user));
    match is_read {
        None => all,
        Some(true) => all.filter(notification::Column::ReadAt.is_not_null()),
        Some(false) => all.filter(notification::Column::ReadAt.is_null()),
    }
}

pub(crate) async fn find(
    db: &impl ConnectionTrait,
    user: Uuid,
    id: Uuid,
) -> Result<Option<notification::Model>, DbErr> {
    of(user, None)
        .filter(notification::Column::Id.eq(id))
        .one(db)
        .await
}

pub(crate) async fn list(
    db: &impl ConnectionTrait,
    user: Uuid,
    is_read: Option<bool>,
    page: &Page<TimeCursor>,
) -> Result<Vec<notification::Model>, DbErr> {
    let order = (notification::Column::CreatedAt, notification::Column::Id);
    newest_first(of(user, is_read), order, page).all(db).await
}

pub(crate) async fn count(
    db: &impl ConnectionTrait,
    user: Uuid,
    is_read: Option<bool>,
) -> Result<u64, DbErr> {
    of(user, is_read).count(db).await
}

/// Writes notifications down, but for those of what the same person was told before.
pub(crate) async fn insert(
    tx: &impl ConnectionTrait,
    rows: Vec<notification::Model>,
) -> Result<(), DbErr> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = rows.into_iter();
    notification::Entity::insert_many(rows.map(|row| row.into_active_model().reset_all()))
        .on_conflict(
            OnConflict::columns([notification::Column::UserId, notification::Column::OnceKey])
                // Changes nothing; MySQL has no other way to say so that lets other errors through.
                .update_column(notification::Column::OnceKey)
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await
        .map(drop)
}

/// Marks what is unread, of `ids` or all, as read; how many there were.
pub(crate) async fn mark_read(
    tx: &impl ConnectionTrait,
    user: Uuid,
    ids: Option<Vec<Uuid>>,
    now: Timestamp,
) -> Result<u64, DbErr> {
    let mut update = notification::Entity::update_many()
        .col_expr(notification::Column::ReadAt, Expr::value(now))
        .filter(notification::Column::UserId.eq(user))
        .filter(notification::Column::ReadAt.is_null());
    if let Some(ids) = ids {
        update = update.filter(notification::Column::Id.is_in(ids));
    }
    Ok(update.exec(tx).await?.rows_affected)
}
