//! What a server does every hour for itself. Several instances that do so at once do no harm.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sea_orm::DbErr;
use tokio::task::JoinHandle;

use crate::platform::db::Database;

const INTERVAL: Duration = Duration::from_secs(3600);

/// Runs `clean` every hour, as long as the server lives; a failure is tried again in the next.
pub fn every_hour<F, W>(db: &Arc<Database>, clean: F) -> JoinHandle<()>
where
    F: Fn(Arc<Database>) -> W + Send + 'static,
    W: Future<Output = Result<(), DbErr>> + Send,
{
    let db: Weak<Database> = Arc::downgrade(db);
    tokio::spawn(async move {
        // Not all instances of a deployment at the same moment.
        let mut wait = Duration::from_secs(rand::random_range(60..600));
        loop {
            tokio::time::sleep(wait).await;
            let Some(db) = db.upgrade() else { return };
            if let Err(error) = clean(db).await {
                tracing::warn!(%error, "Old rows could not be deleted");
            }
            wait = INTERVAL;
        }
    })
}
