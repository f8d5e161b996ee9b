//! SQL of messages that go with notifications.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, UpdateMany,
};
use uuid::Uuid;

use crate::entity::notification::{self, DeliveryState};
use crate::entity::outbox_message::{self, MessageState};
use crate::notifications::repository::CreditKey;
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

/// Which times have come: up to `at`, and those beyond `beyond`, which a clock that was wrong has written down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    pub(crate) at: Timestamp,
    pub(crate) beyond: Timestamp,
}

impl Due {
    fn in_state(self, state: MessageState) -> Condition {
        let is_due = Condition::any()
            .add(outbox_message::Column::DueAt.lte(self.at))
            .add(outbox_message::Column::DueAt.gt(self.beyond));
        Condition::all()
            .add(outbox_message::Column::State.eq(state))
            .add(is_due)
    }
}

/// People who have a message waiting and are not being sent one, those first who have waited the longest.
pub(crate) async fn list_waiting_users(
    db: &impl ConnectionTrait,
    due: Due,
    limit: u64,
) -> Result<Vec<Uuid>, DbErr> {
    let busy = outbox_message::Entity::find()
        .select_only()
        .column(outbox_message::Column::SendingUserId)
        .filter(outbox_message::Column::SendingUserId.is_not_null());
    let waiting: Vec<(Uuid, Timestamp)> = outbox_message::Entity::find()
        .select_only()
        .column(outbox_message::Column::UserId)
        .column_as(outbox_message::Column::DueAt.min(), "first_due_at")
        .filter(due.in_state(MessageState::Queued))
        .filter(outbox_message::Column::UserId.not_in_subquery(busy.into_query()))
        .group_by(outbox_message::Column::UserId)
        .order_by_asc(Expr::col("first_due_at"))
        .limit(limit)
        .into_tuple()
        .all(db)
        .await?;
    Ok(waiting.into_iter().map(|(user, _)| user).collect())
}

/// Messages whose senders must have died: id and notification.
pub(crate) async fn list_lost_messages(
    db: &impl ConnectionTrait,
    due: Due,
    limit: u64,
) -> Result<Vec<(Uuid, Uuid)>, DbErr> {
    outbox_message::Entity::find()
        .select_only()
        .columns([
            outbox_message::Column::Id,
            outbox_message::Column::NotificationId,
        ])
        .filter(due.in_state(MessageState::Sending))
        .limit(limit)
        .into_tuple()
        .all(db)
        .await
}

/// Takes the person's oldest message that is due, to send it. A unique violation when they are being sent another.
pub(crate) async fn claim_message(
    tx: &impl ConnectionTrait,
    user: Uuid,
    due: Due,
    claim_id: Uuid,
    lease_until: Timestamp,
) -> Result<(), DbErr> {
    let oldest: Option<Uuid> = outbox_message::Entity::find()
        .select_only()
        .column(outbox_message::Column::Id)
        .filter(outbox_message::Column::UserId.eq(user))
        .filter(due.in_state(MessageState::Queued))
        .order_by_asc(outbox_message::Column::DueAt)
        .order_by_asc(outbox_message::Column::Id)
        .into_tuple()
        .one(tx)
        .await?;
    let Some(id) = oldest else { return Ok(()) };
    let attempts = Expr::col(outbox_message::Column::Attempts);
    outbox_message::Entity::update_many()
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
        .await
        .map(drop)
}

/// The message that was claimed so and is being sent.
pub(crate) async fn find_claimed_message(
    db: &impl ConnectionTrait,
    claim_id: Uuid,
) -> Result<Option<outbox_message::Model>, DbErr> {
    outbox_message::Entity::find()
        .filter(outbox_message::Column::State.eq(MessageState::Sending))
        .filter(outbox_message::Column::ClaimId.eq(claim_id))
        .one(db)
        .await
}

/// What becomes of a message.
pub(crate) struct Verdict {
    pub(crate) state: MessageState,
    pub(crate) due_at: Timestamp,
    pub(crate) reason: Option<String>,
}

impl Verdict {
    fn failed(now: Timestamp, reason: &str) -> Self {
        Self {
            state: MessageState::Failed,
            due_at: now,
            reason: Some(reason.to_owned()),
        }
    }
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

/// Ends the attempt of whoever claimed the message, also when it was given up meanwhile: they know what happened. Whether it was
/// still theirs; it is not when this is repeated.
pub(crate) async fn conclude_message(
    tx: &impl ConnectionTrait,
    id: Uuid,
    claim_id: Uuid,
    verdict: Verdict,
) -> Result<bool, DbErr> {
    let concluded = concluding(verdict)
        .col_expr(outbox_message::Column::ClaimId, Expr::value(None::<Uuid>))
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
    due: Due,
    now: Timestamp,
    reason: &str,
) -> Result<bool, DbErr> {
    let given_up = concluding(Verdict::failed(now, reason))
        .filter(outbox_message::Column::Id.eq(id))
        .filter(due.in_state(MessageState::Sending))
        .exec(tx)
        .await?;
    Ok(given_up.rows_affected > 0)
}

fn queued((user, template_id): &CreditKey) -> Condition {
    Condition::all()
        .add(outbox_message::Column::UserId.eq(*user))
        .add(outbox_message::Column::TemplateId.eq(template_id))
        .add(outbox_message::Column::State.eq(MessageState::Queued))
}

/// The notifications of what is queued of a template for a person, locked until the end of the transaction.
pub(crate) async fn list_queued_messages(
    tx: &impl ConnectionTrait,
    key: &CreditKey,
) -> Result<Vec<Uuid>, DbErr> {
    outbox_message::Entity::find()
        .select_only()
        .column(outbox_message::Column::NotificationId)
        .filter(queued(key))
        .lock_exclusive()
        .into_tuple()
        .all(tx)
        .await
}

/// Fails what is queued of a template for a person.
pub(crate) async fn refuse_queued_messages(
    tx: &impl ConnectionTrait,
    key: &CreditKey,
    now: Timestamp,
    reason: &str,
) -> Result<(), DbErr> {
    concluding(Verdict::failed(now, reason))
        .filter(queued(key))
        .exec(tx)
        .await
        .map(drop)
}

/// Lets notifications say what has become of their messages.
pub(crate) async fn set_delivery(
    tx: &impl ConnectionTrait,
    notifications: Vec<Uuid>,
    delivery: DeliveryState,
) -> Result<(), DbErr> {
    notification::Entity::update_many()
        .col_expr(notification::Column::Delivery, Expr::value(delivery))
        .filter(notification::Column::Id.is_in(notifications))
        .exec(tx)
        .await
        .map(drop)
}
