//! SQL of notifications. Every row that somebody asks for is found through its user.

mod credits;
mod messages;

use std::collections::HashSet;

pub(crate) use self::credits::*;
pub(crate) use self::messages::*;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
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

/// Which of these the users were told already, by the user and the key.
pub(crate) async fn list_told(
    tx: &impl ConnectionTrait,
    users: Vec<Uuid>,
    once_keys: Vec<String>,
) -> Result<HashSet<(Uuid, String)>, DbErr> {
    let told: Vec<(Uuid, String)> = notification::Entity::find()
        .select_only()
        .columns([notification::Column::UserId, notification::Column::OnceKey])
        .filter(notification::Column::UserId.is_in(users))
        .filter(notification::Column::OnceKey.is_in(once_keys))
        .into_tuple()
        .all(tx)
        .await?;
    Ok(told.into_iter().collect())
}

/// Writes notifications down.
pub(crate) async fn insert(
    tx: &impl ConnectionTrait,
    rows: Vec<notification::Model>,
) -> Result<(), DbErr> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = rows.into_iter();
    notification::Entity::insert_many(rows.map(|row| row.into_active_model().reset_all()))
        .exec_without_returning(tx)
        .await
        .map(drop)
}

/// Some that came before a time.
pub(crate) async fn list_old(
    db: &impl ConnectionTrait,
    before: Timestamp,
    limit: u64,
) -> Result<Vec<Uuid>, DbErr> {
    notification::Entity::find()
        .select_only()
        .column(notification::Column::Id)
        .filter(notification::Column::CreatedAt.lt(before))
        .order_by_asc(notification::Column::CreatedAt)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await
}

pub(crate) async fn delete(tx: &impl ConnectionTrait, ids: Vec<Uuid>) -> Result<(), DbErr> {
    notification::Entity::delete_many()
        .filter(notification::Column::Id.is_in(ids))
        .exec(tx)
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
