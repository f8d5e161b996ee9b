//! Reading, with the connections shared fairly between callers.

use std::ops::Deref;
use std::time::Duration;

use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    ExecResult, QueryResult, Statement,
};

use crate::platform::request::{self, Caller, Going};
use crate::platform::shares::{Claim, Share, Shares};

/// How long to wait for a connection.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Statements that may wait for one, of all callers.
const QUEUE: usize = 4096;
/// One caller leaves one connection in this number to the others.
const LEFT_TO_OTHERS: u64 = 4;
/// Heavy statements have one connection in this number.
const FOR_HEAVY: u64 = 4;

/// A pool to read from.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: DatabaseConnection,
    places: Places,
}

/// The right to use connections.
#[derive(Debug, Clone)]
pub(super) struct Places {
    all: Shares<1>,
    heavy: Shares<1>,
    share: u64,
}

/// The right to use one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place(
    #[expect(dead_code, reason = "they are there to be dropped")]
    (Share<1>, Option<Share<1>>, Going),
);

impl Places {
    pub(super) fn new(connections: u32) -> Self {
        let total = u64::from(connections);
        let heavy = total.div_ceil(FOR_HEAVY);
        Self {
            all: Shares::new([total], [0], QUEUE),
            heavy: Shares::new([heavy], [heavy], QUEUE),
            share: total - total / LEFT_TO_OTHERS,
        }
    }

    /// A place for what the request of this task does next.
    ///
    /// # Errors
    /// `ConnectionAcquire` when none gets free in time, or too many wait already.
    pub(super) async fn take(&self) -> Result<Place, DbErr> {
        let (caller, is_heavy) = match request::current() {
            Some(request) => (request.caller(), request.is_heavy()),
            None => (Caller::Server, false),
        };
        let going = request::doing();
        let one = Claim {
            need: [1],
            share: [self.share],
        };
        let waiting = async {
            let heavy = match is_heavy {
                true => Some(self.heavy.take(caller, one).await?),
                false => None,
            };
            Ok((self.all.take(caller, one).await?, heavy))
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Ok((place, heavy))) => Ok(Place((place, heavy, going))),
            Ok(Err(crate::platform::shares::Full)) | Err(_) => {
                Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
            }
        }
    }
}

impl Reader {
    pub(super) fn new(pool: DatabaseConnection, places: Places) -> Self {
        Self { pool, places }
    }

    /// The connections themselves, for what is no request.
    pub fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    pub(super) fn places(&self) -> &Places {
        &self.places
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let _place = self.places.take().await?;
        self.pool.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let _place = self.places.take().await?;
        self.pool.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let _place = self.places.take().await?;
        self.pool.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let _place = self.places.take().await?;
        self.pool.query_all_raw(statement).await
    }
}

/// A transaction that only reads, and sees everything as it was at its first statement.
#[derive(Debug)]
pub struct Snapshot {
    transaction: DatabaseTransaction,
    _place: Place,
}

impl Snapshot {
    pub(super) fn new(transaction: DatabaseTransaction, place: Place) -> Self {
        Self {
            transaction,
            _place: place,
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// The database's.
    pub async fn close(self) -> Result<(), DbErr> {
        self.transaction.commit().await
    }
}

impl Deref for Snapshot {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &Self::Target {
        &self.transaction
    }
}
