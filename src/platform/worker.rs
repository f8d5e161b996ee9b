//! What a server does for itself, again and again. Several instances that do so at once do no harm.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sea_orm::DbErr;

use crate::platform::db::Database;
use crate::platform::telemetry::count_panic;

/// Runs `work` every hour, as long as the server lives.
pub fn every_hour<F, W>(db: &Arc<Database>, work: F)
where
    F: Fn(Arc<Database>) -> W + Send + 'static,
    W: Future<Output = Result<(), DbErr>> + Send + 'static,
{
    // Not all instances of a deployment at the same moment.
    let first = Duration::from_secs(rand::random_range(60..600));
    every(Duration::from_secs(3600), first, db, work);
}

/// Runs `work` every second, as long as the server lives.
pub fn every_second<F, W>(db: &Arc<Database>, work: F)
where
    F: Fn(Arc<Database>) -> W + Send + 'static,
    W: Future<Output = Result<(), DbErr>> + Send + 'static,
{
    let second = Duration::from_secs(1);
    every(second, second, db, work);
}

fn every<F, W>(interval: Duration, first: Duration, db: &Arc<Database>, work: F)
where
    F: Fn(Arc<Database>) -> W + Send + 'static,
    W: Future<Output = Result<(), DbErr>> + Send + 'static,
{
    let db: Weak<Database> = Arc::downgrade(db);
    tokio::spawn(async move {
        let mut wait = first;
        loop {
            tokio::time::sleep(wait).await;
            let Some(db) = db.upgrade() else { return };
            // A task of its own, so that a panic ends one turn and not all of them.
            match tokio::spawn(work(db)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "Work of the server failed; it is tried again")
                }
                Err(error) if error.is_panic() => {
                    count_panic();
                    tracing::error!("Work of the server panicked; it is tried again");
                }
                // The runtime stops.
                Err(_) => return,
            }
            wait = interval;
        }
    });
}
