//! SQL of accounts: users and the WeChat identities they sign in with.

mod audit;
mod github;
mod sessions;

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr,
    EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use uuid::Uuid;

pub(crate) use self::audit::{
    AuditFilter, count_audit_events, delete_audit_events, find_audit_event, insert_audit_event,
    list_audit_events,
};
pub(crate) use self::github::{
    delete_github_account, find_github_account, insert_github_account, list_github_logins,
    rename_github_account,
};
pub(crate) use self::sessions::{
    Ended, SessionState, Which, delete_dead_sessions, delete_old_replays, delete_old_signals,
    end_sessions, find_replay, find_session, find_session_for_update, find_session_state,
    has_more_sessions, insert_replay, insert_session, insert_signals, list_open_sessions,
    list_signals, update_refresh_hash,
};
use crate::entity::user::Role;
use crate::entity::{user, wechat_identity};
use crate::graphql::keyset::{TimeCursor, newest_first};
use crate::graphql::pagination::Page;
use crate::platform::db::{contains, searchable};
use crate::platform::id::parse_id;

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

/// Reads a user and locks it until the transaction ends, so that what is decided about the account and the sessions that are
/// opened for it come one after the other. SQLite has one writer and needs no lock.
pub(crate) async fn find_user_for_update(
    tx: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<user::Model>, DbErr> {
    user::Entity::find_by_id(id).lock_exclusive().one(tx).await
}

/// Writes all columns of a user that was read for update.
pub(crate) async fn update_user(tx: &impl ConnectionTrait, row: user::Model) -> Result<(), DbErr> {
    let id = row.id;
    user::Entity::update_many()
        .set(row.into_active_model().reset_all())
        .filter(user::Column::Id.eq(id))
        .exec(tx)
        .await
        .map(drop)
}

/// Deletes a user with everything that belongs to nobody else; the database does the rest by its foreign keys.
pub(crate) async fn delete_user(tx: &impl ConnectionTrait, id: Uuid) -> Result<(), DbErr> {
    user::Entity::delete_by_id(id).exec(tx).await.map(drop)
}

/// The administrators who can sign in, locked in the order of their ids: of two who dismiss each other one is second.
pub(crate) async fn list_active_admins_for_update(
    tx: &impl ConnectionTrait,
) -> Result<Vec<Uuid>, DbErr> {
    let admins = user::Entity::find()
        .filter(user::Column::Role.eq(Role::Admin))
        .filter(user::Column::IsDisabled.eq(false))
        .order_by_asc(user::Column::Id)
        .lock_exclusive()
        .all(tx)
        .await?;
    Ok(admins.into_iter().map(|user| user.id).collect())
}

fn search(text: Option<&str>, backend: DbBackend) -> Select<user::Entity> {
    let query = user::Entity::find();
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return query;
    };
    let part = searchable(&text.to_lowercase());
    let mut found = Condition::any().add(contains(user::Column::SearchText, &part, backend));
    if let Some(id) = parse_id(text) {
        found = found.add(user::Column::Id.eq(id));
    }
    query.filter(found)
}

/// Users whose names or address contain `text`, newest first.
pub(crate) async fn search_users(
    db: &impl ConnectionTrait,
    text: Option<&str>,
    page: &Page<TimeCursor>,
) -> Result<Vec<user::Model>, DbErr> {
    let order = (user::Column::CreatedAt, user::Column::Id);
    newest_first(search(text, db.get_database_backend()), order, page)
        .all(db)
        .await
}

pub(crate) async fn count_users(
    db: &impl ConnectionTrait,
    text: Option<&str>,
) -> Result<u64, DbErr> {
    search(text, db.get_database_backend()).count(db).await
}

pub(crate) async fn list_wechat_identities(
    db: &impl ConnectionTrait,
    user_id: Uuid,
) -> Result<Vec<wechat_identity::Model>, DbErr> {
    wechat_identity::Entity::find()
        .filter(wechat_identity::Column::UserId.eq(user_id))
        .order_by_asc(wechat_identity::Column::CreatedAt)
        .all(db)
        .await
}

/// How many WeChat identities the user had.
pub(crate) async fn delete_wechat_identities(
    tx: &impl ConnectionTrait,
    user_id: Uuid,
) -> Result<u64, DbErr> {
    let result = wechat_identity::Entity::delete_many()
        .filter(wechat_identity::Column::UserId.eq(user_id))
        .exec(tx)
        .await?;
    Ok(result.rows_affected)
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
