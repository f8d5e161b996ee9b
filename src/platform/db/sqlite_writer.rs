//! The single writer of an SQLite file: runs waiting jobs in a savepoint each and commits them together.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use futures_util::FutureExt;
use sea_orm::{
    ConnectOptions, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};

use crate::platform::db::{WriteError, WriteFuture, connect, unless_locked};
use crate::platform::telemetry::count_panic;

/// Jobs that one SQLite commit may serve; more would let the first of them wait too long.
const MAX_BATCH: usize = 256;
/// Jobs that may wait for the SQLite writer; beyond that callers wait to queue.
const QUEUE: usize = 1024;

type Reply = Box<dyn FnOnce(Result<(), DbErr>) + Send>;

/// What a job left behind: whether to keep its changes, and whom to tell after the commit.
struct Outcome {
    keep: bool,
    reply: Reply,
}

type JobFuture<'c> = Pin<Box<dyn Future<Output = Outcome> + Send + 'c>>;

pub(super) struct Job {
    run: Box<dyn for<'c> FnOnce(&'c DatabaseTransaction) -> JobFuture<'c> + Send>,
}

impl Job {
    pub(super) fn new<T, E, F>(work: F, answer: oneshot::Sender<Result<T, E>>) -> Self
    where
        T: Send + 'static,
        E: WriteError,
        F: for<'c> FnOnce(&'c DatabaseTransaction) -> WriteFuture<'c, T, E> + Send + 'static,
    {
        Self {
            run: Box::new(move |transaction| {
                Box::pin(async move {
                    let result = AssertUnwindSafe(async { work(transaction).await })
                        .catch_unwind()
                        .await
                        .unwrap_or_else(|_| {
                            let panics = count_panic();
                            tracing::error!(panics, "A database job panicked");
                            Err(DbErr::Custom("a database job panicked".to_owned()).into())
                        });
                    Outcome {
                        keep: result.is_ok(),
                        // The receiver is gone when the caller gave up waiting; the change stands all the same.
                        reply: Box::new(move |committed| {
                            drop(answer.send(match committed {
                                Ok(()) => result,
                                Err(error) => result.and(Err(error.into())),
                            }));
                        }),
                    }
                })
            }),
        }
    }
}

pub(super) async fn write_queued<T, E, F>(queue: &mpsc::Sender<Job>, work: F) -> Result<T, E>
where
    T: Send + 'static,
    E: WriteError,
    F: for<'c> FnOnce(&'c DatabaseTransaction) -> WriteFuture<'c, T, E> + Send + 'static,
{
    let stopped = || E::from(DbErr::Custom("the database writer has stopped".to_owned()));
    let (answer, wait) = oneshot::channel();
    queue
        .send(Job::new(work, answer))
        .await
        .map_err(|_| stopped())?;
    wait.await.map_err(|_| stopped())?
}

/// The only writer of an SQLite file.
pub(super) struct SqliteWriter {
    options: ConnectOptions,
    statements: Arc<AtomicU64>,
    /// None after a failure, until the next job.
    connection: Option<DatabaseConnection>,
}

impl SqliteWriter {
    /// Connects, and takes jobs from the queue that it returns.
    pub(super) async fn start(
        options: ConnectOptions,
        statements: Arc<AtomicU64>,
    ) -> Result<mpsc::Sender<Job>, DbErr> {
        let writer = Self {
            connection: Some(connect(options.clone(), &statements).await?),
            options,
            statements,
        };
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(writer.run(receiver));
        Ok(sender)
    }

    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.recv().await {
            let mut replies = Vec::new();
            let result = self.serve(first, &mut queue, &mut replies).await;
            if let Err(error) = &result {
                tracing::error!(%error, jobs = replies.len(), "A batch of writes failed and was rolled back");
                // SQLite may have rolled back by itself, and then the driver no longer knows how deep it is in
                // transactions: the connection is not used again.
                self.close().await;
            }
            for reply in replies {
                reply(result.clone());
            }
        }
        self.close().await;
    }

    async fn serve(
        &mut self,
        first: Job,
        queue: &mut mpsc::Receiver<Job>,
        replies: &mut Vec<Reply>,
    ) -> Result<(), DbErr> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(self.options.clone(), &self.statements).await?,
        };
        let connection = self.connection.insert(connection);
        run_batch(connection, first, queue, replies).await
    }

    async fn close(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "The database writer did not close properly");
        }
    }
}

async fn run_batch(
    connection: &DatabaseConnection,
    first: Job,
    queue: &mut mpsc::Receiver<Job>,
    replies: &mut Vec<Reply>,
) -> Result<(), DbErr> {
    let begin = || {
        connection.begin_with_options(TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        })
    };
    let batch = unless_locked(begin).await?;
    let mut next = Some(first);
    while let Some(job) = next {
        let savepoint = batch.begin().await?;
        let outcome = (job.run)(&savepoint).await;
        replies.push(outcome.reply);
        if outcome.keep {
            savepoint.commit().await?;
        } else {
            savepoint.rollback().await?;
        }
        next = match replies.len() < MAX_BATCH {
            true => queue.try_recv().ok(),
            false => None,
        };
    }
    batch.commit().await
}
