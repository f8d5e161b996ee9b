//! Forgetting old notifications, and the messages with them.

use chrono::TimeDelta;
use sea_orm::DbErr;

use crate::notifications::repository;
use crate::platform::clock::Clock;
use crate::platform::db::Database;

/// Rows of one transaction.
const BATCH: u64 = 500;

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
