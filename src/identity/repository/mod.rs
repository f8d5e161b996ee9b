//! SQL of accounts and sessions.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait,
    FromQueryResult, IntoActiveModel, JoinType, QueryFilter, QuerySelect,
};
use uuid::Uuid;

use crate::entity::user::Role;
use crate::entity::{session, user, wechat_identity};
use crate::platform::clock::Timestamp;
use crate::platform::db::searchable;

/// What decides whether an access token still counts.
#[derive(Debug, FromQueryResult)]
pub(crate) struct SessionState {
    pub(crate) user_id: Uuid,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) expires_at: Timestamp,
    pub(crate) role: Role,
    pub(crate) is_disabled: bool,
}

pub(crate) async fn find_user(
    db: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<user::Model>, DbErr> {
    user::Entity::find_by_id(id).one(db).await
}

pub(crate) async fn find_user_by_username_key(
    db: &impl ConnectionTrait,
    key: &str,
) -> Result<Option<user::Model>, DbErr> {
    user::Entity::find()
        .filter(user::Column::UsernameKey.eq(searchable(key)))
        .one(db)
        .await
}

pub(crate) async fn find_user_by_email_key(
    db: &impl ConnectionTrait,
    key: &str,
) -> Result<Option<user::Model>, DbErr> {
    user::Entity::find()
        .filter(user::Column::EmailKey.eq(searchable(key)))
        .one(db)
        .await
}

pub(crate) async fn list_users(
    db: &impl ConnectionTrait,
    ids: Vec<Uuid>,
) -> Result<Vec<user::Model>, DbErr> {
    user::Entity::find()
        .filter(user::Column::Id.is_in(ids))
        .all(db)
        .await
}

/// Which of `user_ids` have a WeChat identity.
pub(crate) async fn list_wechat_users(
    db: &impl ConnectionTrait,
    user_ids: Vec<Uuid>,
) -> Result<Vec<Uuid>, DbErr> {
    wechat_identity::Entity::find()
        .select_only()
        .column(wechat_identity::Column::UserId)
        .filter(wechat_identity::Column::UserId.is_in(user_ids))
        .into_tuple()
        .all(db)
        .await
}

pub(crate) async fn insert_user(db: &impl ConnectionTrait, row: user::Model) -> Result<(), DbErr> {
    user::Entity::insert(row.into_active_model().reset_all())
        .exec_without_returning(db)
        .await
        .map(drop)
}

/// Makes a user an administrator; false when there is none of that name.
pub(crate) async fn update_role(
    db: &impl ConnectionTrait,
    username_key: &str,
    role: Role,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let result = user::Entity::update_many()
        .set(user::ActiveModel {
            role: Set(role),
            updated_at: Set(now),
            ..Default::default()
        })
        .filter(user::Column::UsernameKey.eq(searchable(username_key)))
        .exec(db)
        .await?;
    Ok(result.rows_affected > 0)
}

pub(crate) async fn find_wechat_identity(
    db: &impl ConnectionTrait,
    app_id: &str,
    openid: &str,
) -> Result<Option<wechat_identity::Model>, DbErr> {
    wechat_identity::Entity::find()
        .filter(wechat_identity::Column::AppId.eq(app_id))
        .filter(wechat_identity::Column::Openid.eq(openid))
        .one(db)
        .await
}

pub(crate) async fn insert_wechat_identity(
    db: &impl ConnectionTrait,
    row: wechat_identity::Model,
) -> Result<(), DbErr> {
    wechat_identity::Entity::insert(row.into_active_model().reset_all())
        .exec_without_returning(db)
        .await
        .map(drop)
}

/// Keeps a unionid that WeChat sends for the first time.
pub(crate) async fn update_unionid(
    db: &impl ConnectionTrait,
    identity: wechat_identity::Model,
    unionid: String,
) -> Result<(), DbErr> {
    let mut row = identity.into_active_model();
    row.unionid = Set(Some(unionid));
    row.update(db).await.map(drop)
}

pub(crate) async fn insert_session(
    db: &impl ConnectionTrait,
    row: session::Model,
) -> Result<(), DbErr> {
    session::Entity::insert(row.into_active_model().reset_all())
        .exec_without_returning(db)
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
        .columns([
            session::Column::UserId,
            session::Column::EndedAt,
            session::Column::ExpiresAt,
        ])
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

pub(crate) async fn find_session_by_refresh_hash(
    db: &impl ConnectionTrait,
    hash: &str,
) -> Result<Option<session::Model>, DbErr> {
    session::Entity::find()
        .filter(session::Column::RefreshHash.eq(hash))
        .one(db)
        .await
}

pub(crate) async fn find_session_by_previous_refresh_hash(
    db: &impl ConnectionTrait,
    hash: &str,
) -> Result<Option<session::Model>, DbErr> {
    session::Entity::find()
        .filter(session::Column::PreviousRefreshHash.eq(hash))
        .one(db)
        .await
}

/// Exchanges the refresh token of a session that still has `old_hash`; false when another request was first.
pub(crate) async fn update_refresh_hash(
    db: &impl ConnectionTrait,
    id: Uuid,
    old_hash: &str,
    new_hash: String,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool, DbErr> {
    let result = session::Entity::update_many()
        .set(session::ActiveModel {
            refresh_hash: Set(new_hash),
            previous_refresh_hash: Set(Some(old_hash.to_owned())),
            last_used_at: Set(now),
            expires_at: Set(expires_at),
            ..Default::default()
        })
        .filter(session::Column::Id.eq(id))
        .filter(session::Column::RefreshHash.eq(old_hash))
        .filter(session::Column::EndedAt.is_null())
        .exec(db)
        .await?;
    Ok(result.rows_affected > 0)
}

/// Ends one session of `user_id`, or all that are still open; returns how many were.
pub(crate) async fn end_sessions(
    db: &impl ConnectionTrait,
    user_id: Uuid,
    only: Option<Uuid>,
    now: Timestamp,
) -> Result<u64, DbErr> {
    let mut update = session::Entity::update_many()
        .col_expr(session::Column::EndedAt, Expr::value(now))
        .filter(session::Column::UserId.eq(user_id))
        .filter(session::Column::EndedAt.is_null())
        .filter(session::Column::ExpiresAt.gt(now));
    if let Some(id) = only {
        update = update.filter(session::Column::Id.eq(id));
    }
    Ok(update.exec(db).await?.rows_affected)
}
