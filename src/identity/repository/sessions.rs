//! SQL of sessions, of what instances tell each other about them, and of sign-ins that may be asked for again.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait,
    FromQueryResult, IntoActiveModel, JoinType, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::entity::user::Role;
use crate::entity::{identity_signal, login_replay, session, user};
use crate::platform::clock::Timestamp;

/// What decides whether an access token still counts.
#[derive(Debug, FromQueryResult)]
pub(crate) struct SessionState {
    pub(crate) user_id: Uuid,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) role: Role,
    pub(crate) is_disabled: bool,
}

pub(crate) async fn insert_session(
    tx: &impl ConnectionTrait,
    row: session::Model,
) -> Result<(), DbErr> {
    session::Entity::insert(row.into_active_model().reset_all())
        .exec_without_returning(tx)
        .await
        .map(drop)
}

/// The state of a session and of its user, in one statement.
pub(crate) async fn find_session_state(
    db: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<SessionState>, DbErr> {
    session::Entity::find_by_id(id)
        .select_only()
        .columns([session::Column::UserId, session::Column::EndedAt])
        .columns([user::Column::Role, user::Column::IsDisabled])
        .join(
            JoinType::InnerJoin,
            session::Entity::belongs_to(user::Entity)
                .from(session::Column::UserId)
                .to(user::Column::Id)
                .into(),
        )
        .into_model()
        .one(db)
        .await
}

/// A session by its id, whoever's it is.
pub(crate) async fn find_session(
    db: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<session::Model>, DbErr> {
    session::Entity::find_by_id(id).one(db).await
}

/// Reads a session, whoever's it is, and locks it until the transaction ends: of many refreshes at once each sees what the one
/// before it did.
pub(crate) async fn find_session_for_update(
    tx: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<session::Model>, DbErr> {
    session::Entity::find_by_id(id)
        .lock_exclusive()
        .one(tx)
        .await
}

/// The sessions of a user that could still be used, the last used first.
pub(crate) async fn list_open_sessions(
    db: &impl ConnectionTrait,
    user_id: Uuid,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<session::Model>, DbErr> {
    session::Entity::find()
        .filter(session::Column::UserId.eq(user_id))
        .filter(session::Column::EndedAt.is_null())
        .filter(session::Column::ExpiresAt.gt(now))
        .order_by_desc(session::Column::LastUsedAt)
        .order_by_desc(session::Column::Id)
        .limit(limit)
        .all(db)
        .await
}

/// Exchanges the refresh token of a session that was read for update.
pub(crate) async fn update_refresh_hash(
    tx: &impl ConnectionTrait,
    id: Uuid,
    (old_hash, new_hash): (String, String),
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), DbErr> {
    session::Entity::update_many()
        .set(session::ActiveModel {
            refresh_hash: Set(new_hash),
            previous_refresh_hash: Set(Some(old_hash)),
            last_used_at: Set(now),
            expires_at: Set(expires_at),
            ..Default::default()
        })
        .filter(session::Column::Id.eq(id))
        .exec(tx)
        .await
        .map(drop)
}

/// Which sessions of a user to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    Only(Uuid),
    AllBut(Uuid),
    /// All but so many that were used last.
    AllButNewest(u64),
}

/// Sessions that were ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ended {
    /// All of them, those that were over already among them: by the clock of another instance they may not be.
    pub(crate) ids: Vec<Uuid>,
    /// How many could still be used.
    pub(crate) open: usize,
}

/// Ends sessions of `user_id`.
pub(crate) async fn end_sessions(
    tx: &impl ConnectionTrait,
    user_id: Uuid,
    which: Which,
    now: Timestamp,
) -> Result<Ended, DbErr> {
    let mut found = session::Entity::find()
        .select_only()
        .columns([session::Column::Id, session::Column::ExpiresAt])
        .filter(session::Column::UserId.eq(user_id))
        .filter(session::Column::EndedAt.is_null());
    found = match which {
        Which::All => found,
        Which::Only(id) => found.filter(session::Column::Id.eq(id)),
        Which::AllBut(id) => found.filter(session::Column::Id.ne(id)),
        Which::AllButNewest(number) => found
            .order_by_desc(session::Column::LastUsedAt)
            .order_by_desc(session::Column::Id)
            .offset(number)
            .limit(BATCH as u64),
    };
    let found: Vec<(Uuid, Timestamp)> = found.lock_exclusive().into_tuple().all(tx).await?;
    let open = found
        .iter()
        .filter(|(_, expires_at)| *expires_at > now)
        .count();
    let ids: Vec<Uuid> = found.into_iter().map(|(id, _)| id).collect();
    for some in ids.chunks(BATCH) {
        session::Entity::update_many()
            .col_expr(session::Column::EndedAt, Expr::value(now))
            .filter(session::Column::Id.is_in(some.iter().copied()))
            .exec(tx)
            .await?;
    }
    Ok(Ended { ids, open })
}

/// Whether a user has more than `number` sessions that have not been ended.
pub(crate) async fn has_more_sessions(
    tx: &impl ConnectionTrait,
    user_id: Uuid,
    number: u64,
) -> Result<bool, DbErr> {
    let next: Option<Uuid> = session::Entity::find()
        .select_only()
        .column(session::Column::Id)
        .filter(session::Column::UserId.eq(user_id))
        .filter(session::Column::EndedAt.is_null())
        .offset(number)
        .limit(1)
        .into_tuple()
        .one(tx)
        .await?;
    Ok(next.is_some())
}

/// Rows that one statement names: every engine takes so many parameters.
const BATCH: usize = 500;

/// Writes down, for the other instances, that sessions of a user have ended.
pub(crate) async fn insert_signals(
    tx: &impl ConnectionTrait,
    rows: Vec<identity_signal::Model>,
) -> Result<(), DbErr> {
    for some in rows.chunks(BATCH) {
        let rows = some.iter().cloned();
        identity_signal::Entity::insert_many(rows.map(|row| row.into_active_model().reset_all()))
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

/// Signals written at `since` or later.
pub(crate) async fn list_signals(
    db: &impl ConnectionTrait,
    since: Timestamp,
) -> Result<Vec<identity_signal::Model>, DbErr> {
    identity_signal::Entity::find()
        .filter(identity_signal::Column::CreatedAt.gte(since))
        .all(db)
        .await
}

pub(crate) async fn delete_old_signals(
    tx: &impl ConnectionTrait,
    before: Timestamp,
) -> Result<(), DbErr> {
    identity_signal::Entity::delete_many()
        .filter(identity_signal::Column::CreatedAt.lt(before))
        .exec(tx)
        .await
        .map(drop)
}

pub(crate) async fn insert_replay(
    tx: &impl ConnectionTrait,
    row: login_replay::Model,
) -> Result<(), DbErr> {
    login_replay::Entity::delete_by_id(row.key_hash.clone())
        .exec(tx)
        .await?;
    login_replay::Entity::insert(row.into_active_model().reset_all())
        .exec_without_returning(tx)
        .await
        .map(drop)
}

/// The sign-in with this hash that was made at `since` or later.
pub(crate) async fn find_replay(
    db: &impl ConnectionTrait,
    key_hash: &str,
    since: Timestamp,
) -> Result<Option<login_replay::Model>, DbErr> {
    login_replay::Entity::find_by_id(key_hash)
        .filter(login_replay::Column::CreatedAt.gte(since))
        .one(db)
        .await
}

pub(crate) async fn delete_old_replays(
    tx: &impl ConnectionTrait,
    before: Timestamp,
) -> Result<(), DbErr> {
    login_replay::Entity::delete_many()
        .filter(login_replay::Column::CreatedAt.lt(before))
        .exec(tx)
        .await
        .map(drop)
}

/// Deletes at most `limit` sessions that could have been used last before `time`; how many there were.
pub(crate) async fn delete_dead_sessions(
    tx: &impl ConnectionTrait,
    time: Timestamp,
    limit: u64,
) -> Result<u64, DbErr> {
    let ids: Vec<Uuid> = session::Entity::find()
        .select_only()
        .column(session::Column::Id)
        .filter(session::Column::ExpiresAt.lt(time))
        .limit(limit)
        .into_tuple()
        .all(tx)
        .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let result = session::Entity::delete_many()
        .filter(session::Column::Id.is_in(ids))
        .exec(tx)
        .await?;
    Ok(result.rows_affected)
}
