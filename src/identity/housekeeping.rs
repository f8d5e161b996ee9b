//! Deletes what nobody needs any more: sessions that are over, events past their retention, notes between instances.

use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::DbErr;

use crate::identity::repository;
use crate::platform::clock::Clock;
use crate::platform::db::Database;

const INTERVAL: Duration = Duration::from_secs(3600);
/// How long a session that is over can still be looked at by the operator.
const SESSIONS: TimeDelta = TimeDelta::days(7);
/// Far more than anybody looks back.
const NOTES: TimeDelta = TimeDelta::hours(1);
/// Rows of one transaction: writers wait no longer than that.
const BATCH: u64 = 500;

/// Cleans up every hour, as long as the server lives. Several instances that do so at once do no harm.
pub(super) async fn run(db: Weak<Database>, clock: Arc<dyn Clock>, retention: TimeDelta) {
    // Not all instances of a deployment at the same moment.
    let mut wait = Duration::from_secs(rand::random_range(60..600));
    loop {
        tokio::time::sleep(wait).await;
        let Some(db) = db.upgrade() else { return };
        if let Err(error) = clean(&db, clock.as_ref(), retention).await {
            tracing::warn!(%error, "Old rows could not be deleted");
        }
        wait = INTERVAL;
    }
}

/// Deletes all that is too old now.
pub(super) async fn clean(
    db: &Database,
    clock: &dyn Clock,
    retention: TimeDelta,
) -> Result<(), DbErr> {
    let now = clock.now();
    loop {
        let deleted = db
            .write(move |tx| {
                Box::pin(async move {
                    let events =
                        repository::delete_audit_events(tx, now - retention, BATCH).await?;
                    let sessions =
                        repository::delete_dead_sessions(tx, now - SESSIONS, BATCH).await?;
                    repository::delete_old_signals(tx, now - NOTES).await?;
                    repository::delete_old_replays(tx, now - NOTES).await?;
                    Ok::<_, DbErr>(events.max(sessions))
                })
            })
            .await?;
        if deleted < BATCH {
            return Ok(());
        }
    }
}
