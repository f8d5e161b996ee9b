//! Sending the messages that were written down, in every instance of the server.
//!
//! WeChat cannot tell a repetition from a second message. So a message is marked as being sent, and that is committed, before the
//! call; whoever finds it so marked when its sender must have died gives it up, because it may have been sent. Messages are
//! repeated only when it is certain that they were not sent. A person is sent one at a time (errcode 43108 otherwise).

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::clients::wechat::{SendError, SubscribeMessage, WechatClient};
use crate::entity::notification::DeliveryState;
use crate::entity::outbox_message::{self, MessageState};
use crate::notifications::repository::{self, Due, Verdict};
use crate::platform::clock::{Clock, Timestamp};
use crate::platform::db::{Database, is_unique_violation};
use crate::platform::id::new_id;

/// Messages that one instance sends at the same time.
pub(super) const SENDERS: u32 = 8;
/// People of one look.
const BATCH: u64 = 100;
/// What a sender may take besides its calls: to write down what has become of the message.
const LEASE_MARGIN: Duration = Duration::from_secs(30);
/// Tries of a message that the platform is too busy for, and of one that cannot reach it.
const MAX_BUSY_TRIES: i32 = 5;
const MAX_UNREACHED_TRIES: i32 = 12;
/// Waits double from one try to the next, up to this.
const MAX_WAIT_SECONDS: i64 = 600;
/// What lies further ahead was written down by a clock that has been put back since.
const HORIZON: TimeDelta = TimeDelta::minutes(20);
/// A message that could not be sent for so long is not worth sending.
const MAX_AGE: TimeDelta = TimeDelta::days(1);
/// Tries to write down what has become of a message.
const MAX_CONCLUSIONS: u32 = 5;

/// What a sender needs.
pub(super) struct Outbox {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) wechat: WechatClient,
    /// After which a sender must have died.
    pub(super) lease: TimeDelta,
    /// One for each message that may be under way; closed when the server stops.
    pub(super) permits: Arc<Semaphore>,
}

/// How long a sender may take when each of its calls may take so long: for a token, to send, and both once more.
pub(super) fn lease(timeout: Duration) -> TimeDelta {
    TimeDelta::from_std(timeout * 4 + LEASE_MARGIN).unwrap_or(HORIZON)
}

impl Outbox {
    /// Sends what is due now.
    pub(super) async fn send_due(self: Arc<Self>, db: Arc<Database>) -> Result<(), DbErr> {
        self.give_up_lost(&db).await?;
        loop {
            let now = self.clock.now();
            let users = repository::list_waiting_users(db.background(), due_at(now), BATCH).await?;
            let mut sending = Vec::new();
            for user in users {
                // Only closed when the server stops.
                let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
                    return Ok(());
                };
                let (this, db) = (Arc::clone(&self), Arc::clone(&db));
                sending.push(tokio::spawn(async move {
                    this.send_one(&db, user, permit).await
                }));
            }
            let mut progress = false;
            for one in sending {
                progress |= one.await.unwrap_or(false);
            }
            if !progress {
                return Ok(());
            }
        }
    }

    /// Whether there was something to send to this person.
    async fn send_one(&self, db: &Database, user: Uuid, _permit: OwnedSemaphorePermit) -> bool {
        match self.claim(db, user).await {
            Ok(Some((message, openid))) => {
                let outcome = match openid {
                    _ if self.clock.now() - message.created_at > MAX_AGE => {
                        Outcome::failed("EXPIRED", Refund::Credit)
                    }
                    Some(openid) => self.call(&message, openid).await,
                    None => Outcome::failed("NO_ACCOUNT", Refund::Credit),
                };
                self.conclude(db, message, outcome).await;
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(%error, user.id = %user, "A message could not be claimed");
                false
            }
        }
    }

    /// Marks the person's next message as being sent; `None` when somebody else sends them one.
    async fn claim(
        &self,
        db: &Database,
        user: Uuid,
    ) -> Result<Option<(outbox_message::Model, Option<String>)>, DbErr> {
        let now = self.clock.now();
        let (claim_id, lease_until) = (new_id(), now + self.lease);
        let claimed = db
            .write(move |tx| {
                Box::pin(async move {
                    repository::claim_message(tx, user, due_at(now), claim_id, lease_until).await?;
                    find_claimed(tx, claim_id).await
                })
            })
            .await;
        match claimed {
            Err(error) if is_unique_violation(&error) => Ok(None),
            // The answer to the commit may have been lost. Nobody else knows the id.
            Err(error) => match find_claimed(db.read(), claim_id).await? {
                None => Err(error),
                claimed => Ok(claimed),
            },
            claimed => claimed,
        }
    }

    async fn call(&self, message: &outbox_message::Model, openid: String) -> Outcome {
        let Ok(data) = serde_json::from_str(&message.data) else {
            return Outcome::failed("DATA", Refund::Credit);
        };
        let sent = SubscribeMessage {
            openid,
            template_id: message.template_id.clone(),
            page: message.page.clone(),
            data,
        };
        let result = self.wechat.send_message(&message.app_id, &sent).await;
        Outcome::of(result, message.attempts)
    }

    /// Writes down what has become of a message.
    async fn conclude(&self, db: &Database, message: outbox_message::Model, outcome: Outcome) {
        let now = self.clock.now();
        let state = outcome.state;
        for attempt in 1..=MAX_CONCLUSIONS {
            let (message, outcome) = (message.clone(), outcome.clone());
            let written = db
                .write(move |tx| {
                    let (message, outcome) = (message.clone(), outcome.clone());
                    Box::pin(async move { conclude(tx, &message, outcome, now).await })
                })
                .await;
            match written {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(%error, "What has become of a message could not be stored");
                    tokio::time::sleep(Duration::from_secs(1 << attempt)).await;
                }
            }
        }
        tracing::info!(
            message.id = %message.id,
            state = ?state,
            attempts = message.attempts,
            reason = outcome.reason,
            "Sent a message"
        );
    }

    /// Gives up messages whose senders died: they may have been sent.
    async fn give_up_lost(&self, db: &Database) -> Result<(), DbErr> {
        let now = self.clock.now();
        let lost = repository::list_lost_messages(db.background(), due_at(now), BATCH).await?;
        for (id, notification_id) in lost {
            let given_up = db.write(move |tx| {
                Box::pin(async move {
                    let given_up =
                        repository::give_up_message(tx, id, due_at(now), now, "UNKNOWN").await?;
                    if given_up {
                        let failed = DeliveryState::Failed;
                        repository::set_delivery(tx, vec![notification_id], failed).await?;
                    }
                    Ok::<_, DbErr>(given_up)
                })
            });
            match given_up.await {
                Ok(true) => {
                    tracing::warn!(message.id = %id, "A message was given up: it may have been sent");
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, message.id = %id, "A message could not be given up");
                }
            }
        }
        Ok(())
    }
}

/// When a message is due, or its lease is over.
fn due_at(now: Timestamp) -> Due {
    Due {
        at: now,
        beyond: now + HORIZON,
    }
}

/// The message of a claim, and the person as the mini-program knows them.
async fn find_claimed(
    db: &impl ConnectionTrait,
    claim_id: Uuid,
) -> Result<Option<(outbox_message::Model, Option<String>)>, DbErr> {
    let Some(message) = repository::find_claimed_message(db, claim_id).await? else {
        return Ok(None);
    };
    let openid = repository::find_openid(db, message.user_id, &message.app_id).await?;
    Ok(Some((message, openid)))
}

/// What a message leaves of the consent that it was to use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refund {
    /// It is used up, or may be.
    None,
    /// It is still there.
    Credit,
    /// There was none, whatever we counted.
    NoneLeft,
}

/// What has become of one try.
#[derive(Debug, Clone)]
struct Outcome {
    state: MessageState,
    reason: Option<String>,
    refund: Refund,
    /// Before the next try.
    wait: TimeDelta,
}

impl Outcome {
    fn failed(reason: impl Into<String>, refund: Refund) -> Self {
        Self {
            state: MessageState::Failed,
            reason: Some(reason.into()),
            refund,
            wait: TimeDelta::zero(),
        }
    }

    fn later(reason: String, attempts: i32) -> Self {
        let seconds = (1_i64 << attempts.clamp(1, 20)).min(MAX_WAIT_SECONDS);
        let millis = seconds * 500;
        Self {
            state: MessageState::Queued,
            reason: Some(reason),
            refund: Refund::None,
            wait: TimeDelta::milliseconds(millis + rand::random_range(0..=millis)),
        }
    }

    /// After the try of this number.
    fn of(result: Result<(), SendError>, attempts: i32) -> Self {
        match result {
            Ok(()) => Self {
                state: MessageState::Sent,
                reason: None,
                refund: Refund::None,
                wait: TimeDelta::zero(),
            },
            Err(SendError::Refused(errcode @ (-1 | 43108))) if attempts < MAX_BUSY_TRIES => {
                Self::later(errcode.to_string(), attempts)
            }
            Err(SendError::Refused(43101)) => Self::failed("43101", Refund::NoneLeft),
            Err(SendError::Refused(errcode)) => Self::failed(errcode.to_string(), Refund::Credit),
            Err(SendError::NotSent) if attempts < MAX_UNREACHED_TRIES => {
                Self::later("UNREACHABLE".to_owned(), attempts)
            }
            Err(SendError::NotSent) => Self::failed("UNREACHABLE", Refund::Credit),
            Err(SendError::NotConfigured) => Self::failed("NOT_CONFIGURED", Refund::Credit),
            Err(SendError::Unknown) => Self::failed("UNKNOWN", Refund::None),
        }
    }
}

async fn conclude(
    tx: &DatabaseTransaction,
    message: &outbox_message::Model,
    outcome: Outcome,
    now: Timestamp,
) -> Result<(), DbErr> {
    let verdict = Verdict {
        state: outcome.state,
        due_at: now + outcome.wait,
        reason: outcome.reason.clone(),
    };
    let Some(claim_id) = message.claim_id else {
        return Ok(());
    };
    if !repository::conclude_message(tx, message.id, claim_id, verdict).await? {
        return Ok(());
    }
    let key = (message.user_id, message.template_id.clone());
    match outcome.refund {
        Refund::None => {}
        Refund::Credit => repository::change_credits(tx, &[key], 1).await?,
        Refund::NoneLeft => {
            repository::clear_credit(tx, &key).await?;
            // What is queued for the same person and template would be refused as well.
            let reason = outcome.reason.as_deref().unwrap_or_default();
            let refused = repository::list_queued_messages(tx, &key).await?;
            repository::refuse_queued_messages(tx, &key, now, reason).await?;
            repository::set_delivery(tx, refused, DeliveryState::Failed).await?;
        }
    }
    let delivery = match outcome.state {
        MessageState::Sent => DeliveryState::Sent,
        MessageState::Failed => DeliveryState::Failed,
        MessageState::Queued | MessageState::Sending => return Ok(()),
    };
    repository::set_delivery(tx, vec![message.notification_id], delivery).await
}
