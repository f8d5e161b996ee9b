//! Forgetting old notifications, and the messages with them.

use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::DbErr;

use crate::notifications::repository;
use crate::platform::clock::Clock;
use crate::platform::db::Database;

const INTERVAL: Duration = Duration::from_secs(3600);
/// Rows of one transaction.
const BATCH: u64 = 500;

/// Deletes what is older than `retention`, every hour, as long as the server lives.
pub(super) async fn run(db: Weak<Database>, clock: Arc<dyn Clock>, retention: TimeDelta) {
    // Not all instances of a deployment at the same moment.
    let mut wait = Duration::from_secs(rand::random_range(60..600));
    loop {
        tokio::time::sleep(wait).await;
        let Some(db) = db.upgrade() else { return };
        if let Err(error) = clean(&db, clock.as_ref(), retention).await {
            tracing::warn!(%error, "Old notifications could not be deleted");
        }
        wait = INTERVAL;
    }
}

/// Deletes what is too old now.
pub(super) async fn clean(
    db: &Database,
    clock: &dyn Clock,
    retention: TimeDelta,
) -> Result<(), DbErr> {
    let before = clock.now() - retention;
    loop {
        let ids = repository::list_old(db.background(), before, BATCH).await?;
        let count = ids.len() as u64;
        if count > 0 {
            db.write(move |tx| {
                let ids = ids.clone();
                Box::pin(async move { repository::delete(tx, ids).await })
            })
            .await?;
        }
        if count < BATCH {
            return Ok(());
        }
    }
}
