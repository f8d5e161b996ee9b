//! Sending the messages that were written down, in every instance of the server.
//!
//! WeChat cannot tell a repetition from a second message. So a message is marked as being sent, and that is committed, before the
//! call; whoever finds it so marked when its sender must have died gives it up, because it may have been sent. Messages are
//! repeated only when it is certain that they were not sent. A person is sent one at a time (errcode 43108 otherwise).

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::{DatabaseTransaction, DbErr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::clients::wechat::{SendError, SubscribeMessage, WechatClient};
use crate::entity::notification::DeliveryState;
use crate::entity::outbox_message::{self, MessageState};
use crate::notifications::repository::{self, Verdict};
use crate::platform::clock::{Clock, Timestamp};
use crate::platform::db::{Database, is_unique_violation};
use crate::platform::id::new_id;

/// How often an instance looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Messages that one instance sends at the same time.
pub(super) const SENDERS: u32 = 8;
/// Messages of one look.
const BATCH: u64 = 100;
/// Longest a sender may take; what the platform's client needs lies far below.
const LEASE: TimeDelta = TimeDelta::minutes(5);
/// Tries of a message that the platform is too busy for, and of one that cannot reach it.
const MAX_BUSY_TRIES: i32 = 5;
const MAX_UNREACHED_TRIES: i32 = 12;
/// Waits double from one try to the next, up to this.
const MAX_WAIT_SECONDS: i64 = 600;
/// Tries to write down what has become of a message.
const MAX_CONCLUSIONS: u32 = 5;

/// What a sender needs.
pub(super) struct Outbox {
    pub(super) db: Weak<Database>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) wechat: WechatClient,
    /// One for each message that may be under way; closed when the server stops.
    pub(super) permits: Arc<Semaphore>,
}

/// A message of the queue, and whose it is.
type Queued = (Uuid, Uuid);

impl Outbox {
    /// Sends what is due, as long as the server lives.
    pub(super) async fn run(self) {
        let this = Arc::new(self);
        loop {
            tokio::time::sleep(INTERVAL).await;
            let Some(db) = this.db.upgrade() else { return };
            if this.permits.is_closed() {
                return;
            }
            if let Err(error) = this.send_due(&db).await {
                tracing::warn!(%error, "Messages could not be sent; they will be");
            }
        }
    }

    async fn send_due(self: &Arc<Self>, db: &Arc<Database>) -> Result<(), DbErr> {
        self.give_up_lost(db).await?;
        loop {
            let now = self.clock.now();
            let due =
                repository::list_due_messages(db.background(), MessageState::Queued, now, BATCH);
            let mut users = HashSet::new();
            let mut round: Vec<Queued> = due.await?;
            round.retain(|(_, user)| users.insert(*user));
            let mut sending = Vec::new();
            for queued in round {
                // Only closed when the server stops.
                let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
                    return Ok(());
                };
                let (this, db) = (Arc::clone(self), Arc::clone(db));
                sending.push(tokio::spawn(async move {
                    this.send_one(&db, queued, permit).await
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

    /// Whether there was something to send.
    async fn send_one(&self, db: &Database, queued: Queued, _permit: OwnedSemaphorePermit) -> bool {
        let id = queued.0;
        match self.claim(db, queued).await {
            Ok(Some((message, openid))) => {
                let outcome = match openid {
                    Some(openid) => self.call(&message, openid).await,
                    None => Outcome::failed("NO_ACCOUNT", Refund::Credit),
                };
                self.conclude(db, message, outcome).await;
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(%error, message.id = %id, "A message could not be claimed");
                false
            }
        }
    }

    /// Marks the message as being sent; `None` when somebody else has it, or sends its user another one.
    async fn claim(
        &self,
        db: &Database,
        queued: Queued,
    ) -> Result<Option<(outbox_message::Model, Option<String>)>, DbErr> {
        let (claim_id, lease_until) = (new_id(), self.clock.now() + LEASE);
        let claimed = db
            .write(move |tx| {
                Box::pin(async move {
                    let message =
                        repository::claim_message(tx, queued, claim_id, lease_until).await?;
                    let Some(message) = message else {
                        return Ok(None);
                    };
                    let openid =
                        repository::find_openid(tx, message.user_id, &message.app_id).await?;
                    Ok(Some((message, openid)))
                })
            })
            .await;
        match claimed {
            Err(error) if is_unique_violation(&error) => Ok(None),
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
        let lost =
            repository::list_due_messages(db.background(), MessageState::Sending, now, BATCH);
        for (id, _) in lost.await? {
            let given_up = db.write(move |tx| {
                Box::pin(async move {
                    let given_up = repository::give_up_message(tx, id, now, "UNKNOWN").await?;
                    if given_up {
                        repository::set_delivery(tx, id, DeliveryState::Failed).await?;
                    }
                    Ok::<_, DbErr>(given_up)
                })
            });
            if given_up.await? {
                tracing::warn!(message.id = %id, "A message was given up: it may have been sent");
            }
        }
        Ok(())
    }
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
        reason: outcome.reason,
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
        Refund::NoneLeft => repository::clear_credit(tx, &key).await?,
    }
    let delivery = match outcome.state {
        MessageState::Sent => DeliveryState::Sent,
        MessageState::Failed => DeliveryState::Failed,
        MessageState::Queued | MessageState::Sending => return Ok(()),
    };
    repository::set_delivery(tx, message.id, delivery).await
}
