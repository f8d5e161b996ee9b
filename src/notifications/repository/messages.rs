//! SQL of messages that go with notifications.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, UpdateMany,
};
use uuid::Uuid;

use crate::entity::notification::{self, DeliveryState};
use crate::entity::outbox_message::{self, MessageState};
use crate::platform::clock::Timestamp;

pub(crate) async fn insert_messages(
    tx: &impl ConnectionTrait,
    rows: Vec<outbox_message::Model>,
) -> Result<(), DbErr> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = rows.into_iter();
    outbox_message::Entity::insert_many(rows.map(|row| row.into_active_model().reset_all()))
        .exec_without_returning(tx)
        .await
        .map(drop)
}

/// Messages in `state` whose time has come, the oldest first: id and user.
pub(crate) async fn list_due_messages(
    db: &impl ConnectionTrait,
    state: MessageState,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<(Uuid, Uuid)>, DbErr> {
    outbox_message::Entity::find()
        .select_only()
        .columns([outbox_message::Column::Id, outbox_message::Column::UserId])
        .filter(outbox_message::Column::State.eq(state))
        .filter(outbox_message::Column::DueAt.lte(now))
        .order_by_asc(outbox_message::Column::DueAt)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await
}

/// Takes a message to send it, unless somebody else has; `None` then. A unique violation when its user is being sent another.
pub(crate) async fn claim_message(
    tx: &impl ConnectionTrait,
    (id, user): (Uuid, Uuid),
    claim_id: Uuid,
    lease_until: Timestamp,
) -> Result<Option<outbox_message::Model>, DbErr> {
    let attempts = Expr::col(outbox_message::Column::Attempts);
    let taken = outbox_message::Entity::update_many()
        .col_expr(
            outbox_message::Column::State,
            Expr::value(MessageState::Sending),
        )
        .col_expr(outbox_message::Column::Attempts, attempts.add(1))
        .col_expr(outbox_message::Column::DueAt, Expr::value(lease_until))
        .col_expr(outbox_message::Column::ClaimId, Expr::value(claim_id))
        .col_expr(outbox_message::Column::SendingUserId, Expr::value(user))
        .filter(outbox_message::Column::Id.eq(id))
        .filter(outbox_message::Column::State.eq(MessageState::Queued))
        .exec(tx)
        .await?;
    match taken.rows_affected {
        0 => Ok(None),
        _ => outbox_message::Entity::find_by_id(id).one(tx).await,
    }
}

/// What becomes of a message.
pub(crate) struct Verdict {
    pub(crate) state: MessageState,
    pub(crate) due_at: Timestamp,
    pub(crate) reason: Option<String>,
}

fn concluding(verdict: Verdict) -> UpdateMany<outbox_message::Entity> {
    outbox_message::Entity::update_many()
        .col_expr(outbox_message::Column::State, Expr::value(verdict.state))
        .col_expr(outbox_message::Column::DueAt, Expr::value(verdict.due_at))
        .col_expr(outbox_message::Column::Reason, Expr::value(verdict.reason))
        .col_expr(
            outbox_message::Column::SendingUserId,
            Expr::value(None::<Uuid>),
        )
}

/// Ends the attempt of whoever claimed the message, also when it was given up meanwhile: they know what happened. Whether it is
/// still theirs.
pub(crate) async fn conclude_message(
    tx: &impl ConnectionTrait,
    id: Uuid,
    claim_id: Uuid,
    verdict: Verdict,
) -> Result<bool, DbErr> {
    let concluded = concluding(verdict)
        .filter(outbox_message::Column::Id.eq(id))
        .filter(outbox_message::Column::ClaimId.eq(claim_id))
        .exec(tx)
        .await?;
    Ok(concluded.rows_affected > 0)
}

/// Gives up a message whose sender died; whether it was there to give up.
pub(crate) async fn give_up_message(
    tx: &impl ConnectionTrait,
    id: Uuid,
    now: Timestamp,
    reason: &str,
) -> Result<bool, DbErr> {
    let verdict = Verdict {
        state: MessageState::Failed,
        due_at: now,
        reason: Some(reason.to_owned()),
    };
    let given_up = concluding(verdict)
        .filter(outbox_message::Column::Id.eq(id))
        .filter(outbox_message::Column::State.eq(MessageState::Sending))
        .filter(outbox_message::Column::DueAt.lte(now))
        .exec(tx)
        .await?;
    Ok(given_up.rows_affected > 0)
}

/// Lets the notification of a message say what has become of it.
pub(crate) async fn set_delivery(
    tx: &impl ConnectionTrait,
    message_id: Uuid,
    delivery: DeliveryState,
) -> Result<(), DbErr> {
    let of_message = outbox_message::Entity::find()
        .select_only()
        .column(outbox_message::Column::NotificationId)
        .filter(outbox_message::Column::Id.eq(message_id));
    notification::Entity::update_many()
        .col_expr(notification::Column::Delivery, Expr::value(delivery))
        .filter(notification::Column::Id.in_subquery(of_message.into_query()))
        .exec(tx)
        .await
        .map(drop)
}
