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

use crate::entity::task::{self, TaskStatus};
use crate::notifications::{Notifier, Reminder};
use crate::platform::clock::{Clock, Timestamp};
use crate::platform::db::Database;
use crate::platform::id::new_id;
use crate::tasks::repository;

/// How often an instance looks. One lookup in an index, so there is no need to be sparing.
const INTERVAL: Duration = Duration::from_secs(1);
/// Reminders of one transaction.
const BATCH: u64 = 100;

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
pub(super) async fn run(db: Weak<Database>, clock: Arc<dyn Clock>, notifier: Notifier) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(db) = db.upgrade() else { return };
        if let Err(error) = fire_due(&db, clock.as_ref(), &notifier).await {
            tracing::warn!(%error, "Reminders could not be fired; they will be");
        }
    }
}

/// Fires all that is due now.
async fn fire_due(db: &Database, clock: &dyn Clock, notifier: &Notifier) -> Result<(), DbErr> {
    loop {
        let now = clock.now();
        let due = repository::list_due_reminders(db.background(), now, BATCH).await?;
        if due.is_empty() {
            return Ok(());
        }
        let count = due.len();
        let notifier = notifier.clone();
        let fired = db
            .write(move |tx| {
                let (due, notifier) = (due.clone(), notifier.clone());
                Box::pin(async move { fire(tx, &notifier, due, now).await })
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
    notifier: &Notifier,
    due: Vec<(Uuid, Timestamp)>,
    now: Timestamp,
) -> Result<usize, DbErr> {
    let batch_id = new_id();
    repository::take_reminders(tx, due, batch_id).await?;
    let tasks = repository::list_tasks_of_batch(tx, batch_id).await?;
    let count = tasks.len();
    let reminders = tasks
        .into_iter()
        // Nobody has to be reminded of what is done.
        .filter(|(task, _)| task.status != TaskStatus::Done)
        .map(|(task, remind_at)| reminder(task, remind_at))
        .collect();
    notifier.remind(tx, reminders, now).await?;
    Ok(count)
}

fn reminder(task: task::Model, remind_at: Timestamp) -> Reminder {
    Reminder {
        user_id: task.owner_id,
        task_id: task.id,
        title: task.title,
        notes: task.notes,
        priority: task.priority,
        remind_at,
        due_at: task.due_at,
    }
}
