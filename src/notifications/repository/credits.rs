//! SQL of what people agreed to get. Every row is found through its user.

use std::collections::BTreeMap;

use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait,
};
use uuid::Uuid;

use crate::entity::{subscribe_consent, subscribe_credit, user, wechat_identity};

/// A person's message of a template.
pub(crate) type CreditKey = (Uuid, String);

pub(crate) async fn list_credits(
    db: &impl ConnectionTrait,
    user: Uuid,
) -> Result<Vec<subscribe_credit::Model>, DbErr> {
    subscribe_credit::Entity::find()
        .filter(subscribe_credit::Column::UserId.eq(user))
        .all(db)
        .await
}

/// Writes an answer down; a unique violation when one of this id is there.
pub(crate) async fn insert_consent(
    tx: &impl ConnectionTrait,
    row: subscribe_consent::Model,
) -> Result<(), DbErr> {
    subscribe_consent::Entity::insert(row.into_active_model().reset_all())
        .exec_without_returning(tx)
        .await
        .map(drop)
}

pub(crate) async fn find_consent(
    db: &impl ConnectionTrait,
    user: Uuid,
    id: Uuid,
) -> Result<Option<subscribe_consent::Model>, DbErr> {
    subscribe_consent::Entity::find_by_id((user, id))
        .one(db)
        .await
}

/// One more of each template, up to `max`.
pub(crate) async fn add_credits(
    tx: &impl ConnectionTrait,
    user: Uuid,
    template_ids: Vec<String>,
    max: i32,
) -> Result<(), DbErr> {
    if template_ids.is_empty() {
        return Ok(());
    }
    let rows = template_ids
        .into_iter()
        .map(|template_id| subscribe_credit::Model {
            user_id: user,
            template_id,
            remaining: 1,
        });
    let remaining = || {
        Expr::col((
            subscribe_credit::Entity,
            subscribe_credit::Column::Remaining,
        ))
    };
    let one_more = CaseStatement::new()
        .case(remaining().lt(max), remaining().add(1))
        .finally(remaining());
    subscribe_credit::Entity::insert_many(rows.map(|row| row.into_active_model().reset_all()))
        .on_conflict(
            OnConflict::columns([
                subscribe_credit::Column::UserId,
                subscribe_credit::Column::TemplateId,
            ])
            .value(subscribe_credit::Column::Remaining, one_more)
            .to_owned(),
        )
        .exec_without_returning(tx)
        .await
        .map(drop)
}

/// What is left of each, locked until the end of the transaction; nothing of what is spent.
pub(crate) async fn lock_credits(
    tx: &impl ConnectionTrait,
    users: Vec<Uuid>,
    template_ids: Vec<String>,
) -> Result<BTreeMap<CreditKey, i32>, DbErr> {
    let rows = subscribe_credit::Entity::find()
        .filter(subscribe_credit::Column::UserId.is_in(users))
        .filter(subscribe_credit::Column::TemplateId.is_in(template_ids))
        .filter(subscribe_credit::Column::Remaining.gt(0))
        .order_by_asc(subscribe_credit::Column::UserId)
        .order_by_asc(subscribe_credit::Column::TemplateId)
        .lock_exclusive()
        .all(tx)
        .await?;
    let entry = |row: subscribe_credit::Model| ((row.user_id, row.template_id), row.remaining);
    Ok(rows.into_iter().map(entry).collect())
}

fn these<'k>(keys: impl IntoIterator<Item = &'k CreditKey>) -> Condition {
    let these = keys.into_iter().map(|(user, template_id)| {
        subscribe_credit::Column::UserId
            .eq(*user)
            .and(subscribe_credit::Column::TemplateId.eq(template_id))
    });
    these.fold(Condition::any(), Condition::add)
}

/// `by` less of each, or more; nothing for what nobody has.
pub(crate) async fn change_credits(
    tx: &impl ConnectionTrait,
    keys: &[CreditKey],
    by: i32,
) -> Result<(), DbErr> {
    let remaining = Expr::col(subscribe_credit::Column::Remaining).add(by);
    subscribe_credit::Entity::update_many()
        .col_expr(subscribe_credit::Column::Remaining, remaining)
        .filter(these(keys))
        .exec(tx)
        .await
        .map(drop)
}

/// None is left.
pub(crate) async fn clear_credit(tx: &impl ConnectionTrait, key: &CreditKey) -> Result<(), DbErr> {
    subscribe_credit::Entity::update_many()
        .col_expr(subscribe_credit::Column::Remaining, Expr::value(0))
        .filter(these([key]))
        .exec(tx)
        .await
        .map(drop)
}

/// The mini-programs in which people can be written to: (user, AppID).
pub(crate) async fn list_accounts(
    tx: &impl ConnectionTrait,
    users: Vec<Uuid>,
) -> Result<Vec<(Uuid, String)>, DbErr> {
    wechat_identity::Entity::find()
        .select_only()
        .columns([
            wechat_identity::Column::UserId,
            wechat_identity::Column::AppId,
        ])
        .join(JoinType::InnerJoin, wechat_identity::Relation::User.def())
        .filter(wechat_identity::Column::UserId.is_in(users))
        .filter(user::Column::IsDisabled.eq(false))
        .into_tuple()
        .all(tx)
        .await
}

/// The person as the mini-program knows them, unless they are disabled.
pub(crate) async fn find_openid(
    tx: &impl ConnectionTrait,
    user_id: Uuid,
    app_id: &str,
) -> Result<Option<String>, DbErr> {
    wechat_identity::Entity::find()
        .select_only()
        .column(wechat_identity::Column::Openid)
        .filter(wechat_identity::Column::UserId.eq(user_id))
        .filter(wechat_identity::Column::AppId.eq(app_id))
        .join(JoinType::InnerJoin, wechat_identity::Relation::User.def())
        .filter(user::Column::IsDisabled.eq(false))
        .order_by_asc(wechat_identity::Column::CreatedAt)
        .into_tuple()
        .one(tx)
        .await
}
