//! Deletes what nobody needs any more: sessions that are over, events past their retention, notes between instances.

use chrono::TimeDelta;
use sea_orm::DbErr;

use crate::identity::repository;
use crate::platform::clock::Clock;
use crate::platform::db::Database;

/// How long a session that is over can still be looked at by the operator.
const SESSIONS: TimeDelta = TimeDelta::days(7);
/// Far more than anybody looks back.
const NOTES: TimeDelta = TimeDelta::hours(1);
/// Rows of one transaction: writers wait no longer than that.
const BATCH: u64 = 500;

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
