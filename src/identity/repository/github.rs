//! Linked GitHub accounts.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, QueryTrait,
};
use uuid::Uuid;

use crate::entity::github_account::{self, Column, Entity, Model};

pub(crate) async fn find_github_account(
    db: &impl ConnectionTrait,
    user_id: Uuid,
) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(user_id).one(db).await
}

/// Users and their logins at GitHub.
pub(crate) async fn list_github_logins(
    db: &impl ConnectionTrait,
    users: Vec<Uuid>,
) -> Result<Vec<(Uuid, String)>, DbErr> {
    use sea_orm::QuerySelect;
    Entity::find()
        .select_only()
        .columns([Column::UserId, Column::Login])
        .filter(Column::UserId.is_in(users))
        .into_tuple()
        .all(db)
        .await
}

pub(crate) async fn insert_github_account(
    db: &impl ConnectionTrait,
    row: Model,
) -> Result<(), DbErr> {
    Entity::insert(row.into_active_model().reset_all())
        .exec_without_returning(db)
        .await
        .map(drop)
}

/// How many accounts were linked, 0 or 1; only one with this token, if one is given.
pub(crate) async fn delete_github_account(
    db: &impl ConnectionTrait,
    user_id: Uuid,
    sealed_token: Option<&str>,
) -> Result<u64, DbErr> {
    let result = github_account::Entity::delete_many()
        .filter(Column::UserId.eq(user_id))
        .apply_if(sealed_token, |query, token| {
            query.filter(Column::SealedToken.eq(token))
        })
        .exec(db)
        .await?;
    Ok(result.rows_affected)
}

pub(crate) async fn rename_github_account(
    db: &impl ConnectionTrait,
    row: &Model,
    login: &str,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::Login, Expr::value(login))
        .filter(Column::UserId.eq(row.user_id))
        .filter(Column::GithubId.eq(row.github_id))
        .exec(db)
        .await
        .map(drop)
}
