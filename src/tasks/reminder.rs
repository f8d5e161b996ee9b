//! Reminding: what `remindAt` asks for is written down with the task, and a worker in every instance tells the owner when its time
//! has come.
//!
//! A reminder is fired in one transaction: it is taken from PENDING, which one instance succeeds in, and its notification is
//! written. So a process may be killed at any moment, and the clock may jump: what is due and PENDING is fired by whoever looks
//! next, once.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sea_orm::{DatabaseTransaction, DbErr};
use uuid::Uuid;

use crate::entity::notification::{self, DeliveryState, NotificationKind};
use crate::entity::task::{self, TaskStatus};
use crate::notifications::notify;
use crate::platform::clock::{Clock, Timestamp};
use crate::platform::db::Database;
use crate::platform::id::new_id;
use crate::tasks::repository;

/// How often an instance looks. One lookup in an index, so there is no need to be sparing.
const INTERVAL: Duration = Duration::from_secs(1);
/// Reminders of one transaction.
const BATCH: u64 = 100;
/// Characters of the notes that a notification repeats.
const BODY_MAX: usize = 200;

/// Puts the reminder of a task in the place of one that waits. What was fired already for this time stays so.
pub(super) async fn schedule(
    tx: &DatabaseTransaction,
    task_id: Uuid,
    remind_at: Option<Timestamp>,
) -> Result<(), DbErr> {
    repository::delete_pending_reminders(tx, task_id).await?;
    match remind_at {
        Some(remind_at) => repository::insert_reminder(tx, task_id, remind_at).await,
        None => Ok(()),
    }
}

/// Fires what is due, as long as the server lives.
pub(super) async fn run(db: Weak<Database>, clock: Arc<dyn Clock>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(db) = db.upgrade() else { return };
        if let Err(error) = fire_due(&db, clock.as_ref()).await {
            tracing::warn!(%error, "Reminders could not be fired; they will be");
        }
    }
}

/// Fires all that is due now.
async fn fire_due(db: &Database, clock: &dyn Clock) -> Result<(), DbErr> {
    loop {
        let now = clock.now();
        let due = repository::list_due_reminders(db.background(), now, BATCH).await?;
        if due.is_empty() {
            return Ok(());
        }
        let count = due.len();
        let fired = db
            .write(move |tx| {
                let due = due.clone();
                Box::pin(async move { fire(tx, due, now).await })
            })
            .await?;
        tracing::info!(count = fired, "Fired reminders");
        if (count as u64) < BATCH {
            return Ok(());
        }
    }
}

/// Fires those of `due` that nobody else has; how many.
async fn fire(
    tx: &DatabaseTransaction,
    due: Vec<(Uuid, Timestamp)>,
    now: Timestamp,
) -> Result<usize, DbErr> {
    let batch_id = new_id();
    repository::take_reminders(tx, due, batch_id).await?;
    let tasks = repository::list_tasks_of_batch(tx, batch_id).await?;
    let count = tasks.len();
    let notifications = tasks
        .into_iter()
        // Nobody has to be reminded of what is done.
        .filter(|(task, _)| task.status != TaskStatus::Done)
        .map(|(task, remind_at)| notification(task, remind_at, now))
        .collect();
    notify(tx, notifications).await?;
    Ok(count)
}

fn notification(task: task::Model, remind_at: Timestamp, now: Timestamp) -> notification::Model {
    notification::Model {
        id: new_id(),
        user_id: task.owner_id,
        kind: NotificationKind::TaskReminder,
        title: task.title,
        body: task
            .notes
            .map(|notes| notes.chars().take(BODY_MAX).collect()),
        task_id: Some(task.id),
        once_key: format!("reminder {} {}", task.id, remind_at.millis()),
        delivery: DeliveryState::InboxOnly,
        created_at: now,
        read_at: None,
    }
}
