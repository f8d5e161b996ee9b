//! Reminding: what `remindAt` asks for is written down with the task, and a worker in every instance tells the owner when its time
//! has come.
//!
//! A reminder is fired in one transaction: it is taken from PENDING, which one instance succeeds in, and its notification is
//! written. So a process may be killed at any moment, and the clock may jump: what is due and PENDING is fired by whoever looks
//! next, once.

use sea_orm::{DatabaseTransaction, DbErr};
use uuid::Uuid;

use crate::entity::task::{self, TaskStatus};
use crate::notifications::{Notifier, Reminder};
use crate::platform::clock::{Clock, Timestamp};
use crate::platform::db::Database;
use crate::platform::id::new_id;
use crate::tasks::repository;

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

/// Fires all that is due now.
pub(super) async fn fire_due(
    db: &Database,
    clock: &dyn Clock,
    notifier: &Notifier,
) -> Result<(), DbErr> {
    // What cannot be fired must not keep the others waiting.
    let mut failed = 0;
    loop {
        let now = clock.now();
        let due = repository::list_due_reminders(db.background(), now, failed, BATCH).await?;
        let count = due.len() as u64;
        if let Err(error) = fire_batch(db, notifier, due.clone(), now).await {
            tracing::warn!(%error, count, "Reminders could not be fired together");
            for one in due {
                if let Err(error) = fire_batch(db, notifier, vec![one], now).await {
                    tracing::error!(%error, task.id = %one.0, "A reminder could not be fired");
                    failed += 1;
                }
            }
        }
        if count < BATCH {
            return Ok(());
        }
    }
}

async fn fire_batch(
    db: &Database,
    notifier: &Notifier,
    due: Vec<(Uuid, Timestamp)>,
    now: Timestamp,
) -> Result<(), DbErr> {
    if due.is_empty() {
        return Ok(());
    }
    let notifier = notifier.clone();
    let fired = db.write(move |tx| {
        let (due, notifier) = (due.clone(), notifier.clone());
        Box::pin(async move { fire(tx, &notifier, due, now).await })
    });
    let count = fired.await?;
    tracing::info!(count, "Fired reminders");
    Ok(())
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
