//! Connections to the database, and the one shape of a write.
//!
//! Reads go to [`Database::read`]. Writes go through [`Database::write`]: a transaction on PostgreSQL and MySQL; on SQLite a
//! job for the single writer, which runs waiting jobs in a savepoint each and commits them together. One `fsync` then
//! serves them all, and there is never a second writer to be told SQLITE_BUSY. A job does no network, hashing or waiting.

mod reader;
mod sqlite_writer;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sea_orm::sea_query::{Expr, ExprTrait, Func, LikeExpr, SimpleExpr};
use sea_orm::sqlx::mysql::{MySqlConnection, MySqlDatabaseError};
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous,
};
use sea_orm::sqlx::{self, AssertSqlSafe, Executor};
use sea_orm::{
    AccessMode, ColumnTrait, ConnectOptions, ConnectionTrait, DatabaseConnection,
    DatabaseTransaction, DbBackend, DbErr, IsolationLevel, RuntimeErr, SqlErr, Statement,
    TransactionTrait,
};
use secrecy::ExposeSecret;
use tokio::sync::{mpsc, oneshot};

use self::reader::{PATIENCE, Places};
pub use self::reader::{Reader, Snapshot};
use self::sqlite_writer::{Job, SqliteWriter, write_queued};
use crate::platform::config::DatabaseConfig;
use crate::platform::request;
use crate::platform::task::to_end;
use crate::platform::text::is_of_block;

/// Tries of a transaction that the engine chose as the victim of a deadlock.
const MAX_TRIES: u32 = 5;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a running statement of SQLite looks at the time, in instructions of its virtual machine.
const INSTRUCTIONS_PER_LOOK: i32 = 10_000;
/// After so long without use a reader of SQLite is closed.
const IDLE: Duration = Duration::from_secs(20);
/// How long one process waits for another to change the schema.
const SCHEMA_PATIENCE: Duration = Duration::from_secs(60);
const LOCKED_TRIES: u32 = 50;

/// What [`Database::write`] is given: the future borrows the transaction.
pub type WriteFuture<'c, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>;

/// An error of a write, which may come from the database.
pub trait WriteError: From<DbErr> + Send + 'static {
    /// The database's part, if that is what went wrong.
    fn database(&self) -> Option<&DbErr>;
}

impl WriteError for DbErr {
    fn database(&self) -> Option<&DbErr> {
        Some(self)
    }
}

/// A pool to read from and a way to write.
#[derive(Debug)]
pub struct Database {
    reader: Reader,
    /// A connection that no request can keep busy; its statements are not counted.
    background: DatabaseConnection,
    writer: Writer,
    statements: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Writer {
    Pool,
    Queue(mpsc::Sender<Job>),
}

impl Database {
    /// Opens the pools.
    ///
    /// # Errors
    /// When the URL is wrong or the database cannot be reached.
    pub async fn connect(config: &DatabaseConfig) -> Result<Self, DbErr> {
        let statements = Arc::new(AtomicU64::new(0));
        let limit = config.statement_timeout;
        let mut options = options(config, Some(limit));
        let writer = if is_sqlite(config) {
            create_sqlite_file(config)?;
            let mut writing = options.clone();
            writing.max_connections(1).min_connections(1);
            let queue = SqliteWriter::start(writing, Arc::clone(&statements)).await?;
            options
                // Each keeps pages of the file, and whatever the largest answer took.
                .idle_timeout(IDLE)
                .map_sqlx_sqlite_opts(|options| sqlite_options(options).read_only(true))
                .map_sqlx_sqlite_pool_opts(move |options| {
                    options.after_connect(move |connection, _| {
                        Box::pin(limit_statement(connection, limit))
                    })
                })
                .map_sqlx_sqlite_before_acquire(move |connection, _| {
                    Box::pin(async move { limit_statement(connection, limit).await.map(|()| true) })
                });
            Writer::Queue(queue)
        } else {
            Writer::Pool
        };
        let mut alone = options.clone();
        alone.max_connections(1).min_connections(1);
        let background = open(alone).await?;
        let reader = connect(options, &statements).await?;
        Ok(Self {
            reader: Reader::new(reader, Places::new(config.max_connections)),
            background,
            writer,
            statements,
        })
    }

    /// One connection that may change the schema. On SQLite the file and its folder are created.
    ///
    /// # Errors
    /// When the URL is wrong or the database cannot be reached.
    pub async fn connect_for_migrations(
        config: &DatabaseConfig,
    ) -> Result<DatabaseConnection, DbErr> {
        if is_sqlite(config) {
            create_sqlite_file(config)?;
        }
        let mut options = options(config, None);
        if is_sqlite(config) {
            // Opening the file may have to wait for another process that changes it.
            options.acquire_timeout(SCHEMA_PATIENCE);
        }
        options
            .max_connections(1)
            .min_connections(1)
            .map_sqlx_sqlite_opts(|options| sqlite_options(options).busy_timeout(SCHEMA_PATIENCE));
        open(options).await
    }

    /// For queries. On SQLite these connections cannot write.
    pub fn read(&self) -> &Reader {
        &self.reader
    }

    /// A transaction that only reads, and sees everything as it was at its first statement.
    ///
    /// # Errors
    /// When it cannot begin.
    pub async fn snapshot(&self) -> Result<Snapshot, DbErr> {
        let place = self.reader.places().take().await?;
        let pool = self.reader.pool();
        let transaction = match pool.get_database_backend() {
            // What every transaction is there.
            DbBackend::Sqlite => pool.begin().await?,
            _ => {
                let isolation = Some(IsolationLevel::RepeatableRead);
                let access = Some(AccessMode::ReadOnly);
                pool.begin_with_config(isolation, access).await?
            }
        };
        Ok(Snapshot::new(transaction, place))
    }

    /// As [`Database::read`], for work that no request asked for.
    pub fn background(&self) -> &DatabaseConnection {
        &self.background
    }

    /// Whether writes can be taken.
    pub fn is_writable(&self) -> bool {
        match &self.writer {
            Writer::Pool => true,
            Writer::Queue(queue) => !queue.is_closed(),
        }
    }

    /// How many SQL statements have been sent, transaction control not counted.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Runs `work` in a transaction; what it returns is answered only after the commit, and an error rolls back its changes
    /// alone. `work` may run again when the engine ends it to resolve a deadlock, so it must have no other effects.
    ///
    /// # Errors
    /// What `work` returns, or the database's error for the transaction itself.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: WriteError,
        F: for<'c> Fn(&'c DatabaseTransaction) -> WriteFuture<'c, T, E> + Send + Sync + 'static,
    {
        let _going = request::doing();
        match &self.writer {
            Writer::Queue(queue) => write_queued(queue, work).await,
            Writer::Pool => {
                let reader = self.reader.clone();
                to_end(async move {
                    let _place = reader.places().take().await?;
                    write_directly(reader.pool(), work).await
                })
                .await
            }
        }
    }

    /// Waits for the writer's queue to empty and closes the connections.
    ///
    /// # Errors
    /// When a connection does not close properly.
    pub async fn close(&self) -> Result<(), DbErr> {
        if let Writer::Queue(queue) = &self.writer {
            let (done, wait) = oneshot::channel();
            // The queue is first in, first out: once this job has run, all before it have been answered.
            let job = Job::new(|_| Box::pin(async { Ok::<(), DbErr>(()) }), done);
            if queue.send(job).await.is_ok() {
                drop(wait.await);
            }
        }
        self.background.clone().close().await?;
        self.reader.pool().clone().close().await
    }
}

fn is_sqlite(config: &DatabaseConfig) -> bool {
    config.url.expose_secret().starts_with("sqlite:")
}

/// `limit` is for statements; migrations have none, because they may have to copy tables.
fn options(config: &DatabaseConfig, limit: Option<Duration>) -> ConnectOptions {
    let url = config.url.expose_secret();
    let mut options = ConnectOptions::new(match url.strip_prefix("mariadb:") {
        Some(rest) => format!("mysql:{rest}"),
        None => url.to_owned(),
    });
    options
        .max_connections(config.max_connections)
        .acquire_timeout(PATIENCE)
        .sqlx_logging(false)
        // A ping before every use costs 50 to 65 us; a connection that has been idle may have been cut, by a restart of the
        // database or by something between.
        .test_before_acquire(false)
        .test_before_acquire_if_idle_for(Duration::from_secs(1))
        .map_sqlx_sqlite_opts(sqlite_options)
        .map_sqlx_postgres_opts(move |options| {
            let options = options
                .application_name("wegraph")
                .statement_cache_capacity(256);
            match limit {
                Some(limit) => {
                    options.options([("statement_timeout", limit.as_millis().to_string())])
                }
                None => options,
            }
        })
        .map_sqlx_mysql_opts(|options| {
            options
                .charset("utf8mb4")
                .timezone(Some("+00:00".to_owned()))
                .statement_cache_capacity(256)
        })
        .map_sqlx_mysql_pool_opts(move |options| {
            options.after_connect(move |connection, _| Box::pin(prepare_mysql(connection, limit)))
        });
    options
}

/// Ends a statement of a reader of SQLite that takes longer than `limit`. There is no setting for it; SQLite asks now and then
/// whether to go on.
async fn limit_statement(
    connection: &mut SqliteConnection,
    limit: Duration,
) -> Result<(), sqlx::Error> {
    let began = Instant::now();
    connection
        .lock_handle()
        .await?
        .set_progress_handler(INSTRUCTIONS_PER_LOOK, move || began.elapsed() <= limit);
    Ok(())
}

async fn prepare_mysql(
    connection: &mut MySqlConnection,
    limit: Option<Duration>,
) -> Result<(), sqlx::Error> {
    // As on PostgreSQL; MySQL's default takes gap locks, and inserts then deadlock each other.
    connection
        .execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        .await?;
    let Some(limit) = limit else {
        return Ok(());
    };
    let (version,): (String,) = sqlx::query_as("SELECT VERSION()")
        .fetch_one(&mut *connection)
        .await?;
    // MySQL's own limit is for SELECT only; a write can only be held up by locks.
    let statements = match version.contains("MariaDB") {
        true => format!("SET SESSION max_statement_time = {}", limit.as_secs_f64()),
        false => format!("SET SESSION max_execution_time = {}", limit.as_millis()),
    };
    let seconds = limit.as_millis().div_ceil(1000);
    let locks = format!("SET SESSION innodb_lock_wait_timeout = {seconds}");
    connection.execute(AssertSqlSafe(statements)).await?;
    connection.execute(AssertSqlSafe(locks)).await.map(drop)
}

/// Whether the database ended a statement because it took too long.
pub fn is_timeout(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) =
        error
    else {
        return false;
    };
    let Some(error) = error.as_database_error() else {
        return false;
    };
    match (error.try_downcast_ref::<MySqlDatabaseError>(), error.code()) {
        // Lock wait timeout; the time limits of MariaDB and MySQL.
        (Some(error), _) => matches!(error.number(), 1205 | 1969 | 3024),
        // PostgreSQL: query_canceled; SQLite: interrupted.
        (None, Some(code)) => matches!(&*code, "57014" | "9"),
        (None, None) => false,
    }
}

/// Whether there was no connection to use: none got free in time, or the database cannot be
/// reached.
pub fn is_unavailable(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            matches!(&**error, sqlx::Error::PoolTimedOut)
        }
        _ => false,
    }
}

fn sqlite_options(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // An acknowledged write survives a power cut: WAL with NORMAL would only survive a crash of the process.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .pragma("temp_store", "MEMORY")
        .statement_cache_capacity(256)
}

/// Whether the database is an SQLite file that is not there yet.
///
/// # Errors
/// When the URL is wrong.
pub fn is_missing_file(config: &DatabaseConfig) -> Result<bool, DbErr> {
    Ok(is_sqlite(config) && !sqlite_path(config)?.exists())
}

fn sqlite_path(config: &DatabaseConfig) -> Result<PathBuf, DbErr> {
    let options: Result<SqliteConnectOptions, _> = config.url.expose_secret().parse();
    match options {
        Ok(options) => Ok(options.get_filename().to_owned()),
        Err(error) => Err(DbErr::Conn(RuntimeErr::Internal(error.to_string()))),
    }
}

/// Creates the file and its folder when they are missing; only the owner may read the file.
fn create_sqlite_file(config: &DatabaseConfig) -> Result<(), DbErr> {
    let path = sqlite_path(config)?;
    create_private_file(&path)
        .map_err(|error| DbErr::Conn(RuntimeErr::Internal(format!("{}: {error}", path.display()))))
}

fn create_private_file(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent()
        && !folder.as_os_str().is_empty()
    {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

async fn connect(
    options: ConnectOptions,
    statements: &Arc<AtomicU64>,
) -> Result<DatabaseConnection, DbErr> {
    let mut connection = open(options).await?;
    let statements = Arc::clone(statements);
    connection.set_metric_callback(move |_| {
        statements.fetch_add(1, Ordering::Relaxed);
    });
    Ok(connection)
}

async fn write_directly<T, E, F>(pool: &DatabaseConnection, work: F) -> Result<T, E>
where
    E: WriteError,
    F: for<'c> Fn(&'c DatabaseTransaction) -> WriteFuture<'c, T, E>,
{
    let mut tries = 1;
    loop {
        let transaction = pool.begin().await?;
        let error = match work(&transaction).await {
            Ok(value) => {
                transaction.commit().await?;
                return Ok(value);
            }
            Err(error) => error,
        };
        transaction.rollback().await?;
        if tries == MAX_TRIES || !error.database().is_some_and(is_deadlock) {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(
            rand::random_range(1..20) * u64::from(tries),
        ))
        .await;
        tries += 1;
    }
}

/// PostgreSQL: deadlock_detected, serialization_failure. MySQL reports both as SQLSTATE 40001.
fn is_deadlock(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) =
        error
    else {
        return false;
    };
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| matches!(&*code, "40P01" | "40001"))
}

/// Text of a client to compare stored text with. Characters that no stored text of a client has
/// become U+0001, which is one of them: PostgreSQL refuses U+0000 outright, and U+001F stands
/// between the parts of texts that are searched.
pub fn searchable(text: &str) -> String {
    let plain = |c| if is_of_block(c) { c } else { '\u{1}' };
    text.chars().map(plain).collect()
}

/// Whether `column` has `text` in it, character for character.
pub fn contains(column: impl ColumnTrait, text: &str, backend: DbBackend) -> SimpleExpr {
    match backend {
        // Its LIKE takes U+FFFE and U+FFFF for U+FFFD.
        DbBackend::Sqlite => {
            let column = Expr::col(column.as_column_ref());
            let place = Func::cust("instr").arg(column).arg(text);
            Expr::expr(place).gt(0)
        }
        _ => column.like(LikeExpr::new(like_pattern(text)).escape('!')),
    }
}

/// A pattern for `LIKE … ESCAPE '!'` that finds `text` anywhere, its wildcards taken as text.
fn like_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Whether a unique constraint, a primary key among them, refused a row.
pub fn is_unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// What went wrong, for the log. The engines quote the values of rows that a constraint refused, which may be anybody's address
/// or openid: of those only the constraint is told.
pub fn without_values(error: &DbErr) -> String {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => {
            format!("a unique constraint refused a row{}", constraint(error))
        }
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => {
            format!("a foreign key refused a row{}", constraint(error))
        }
        _ => error.to_string(),
    }
}

fn constraint(error: &DbErr) -> String {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) =
        error
    else {
        return String::new();
    };
    let name = error
        .as_database_error()
        .and_then(|error| error.constraint());
    name.map(|name| format!(": {name}")).unwrap_or_default()
}

/// Whether a foreign key refused a row: what it belongs to is not there, or no longer.
pub fn is_orphan(error: &DbErr) -> bool {
    matches!(
        error.sql_err(),
        Some(SqlErr::ForeignKeyConstraintViolation(_))
    )
}

async fn open(options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    unless_locked(|| sea_orm::Database::connect(options.clone())).await
}

/// Repeats `attempt` while SQLite says that the file is locked. It waits for another writer by itself, but not for a process
/// that changes a new file to WAL, or that is the last to close it: those it reports at once.
///
/// # Errors
/// What `attempt` returns in the end.
pub async fn unless_locked<T, F>(attempt: impl Fn() -> F) -> Result<T, DbErr>
where
    F: Future<Output = Result<T, DbErr>>,
{
    for _ in 0..LOCKED_TRIES {
        match attempt().await {
            Err(error) if error.to_string().contains("database is locked") => {
                tokio::time::sleep(Duration::from_millis(rand::random_range(20..100))).await;
            }
            other => return other,
        }
    }
    attempt().await
}

/// Whether the database answers.
///
/// # Errors
/// When it does not.
pub async fn ping(connection: &DatabaseConnection) -> Result<(), DbErr> {
    let statement = Statement::from_string(connection.get_database_backend(), "SELECT 1");
    connection.query_one_raw(statement).await.map(drop)
}

/// Takes the lock under which only one process at a time changes the schema of a database server; it ends with the
/// connection. SQLite has none: there a write transaction serves.
///
/// # Errors
/// When the database does not grant it within a minute.
pub async fn lock_schema(connection: &DatabaseConnection) -> Result<(), DbErr> {
    let backend = connection.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => {
            let limit = Statement::from_string(
                backend,
                format!("SET lock_timeout = '{}s'", SCHEMA_PATIENCE.as_secs()),
            );
            connection.execute_raw(limit).await?;
            "SELECT 1 FROM (SELECT pg_advisory_lock(7239871204)) AS locked"
        }
        DbBackend::MySql => &format!(
            "SELECT GET_LOCK(CONCAT('wegraph_', SHA1(DATABASE())), {})",
            SCHEMA_PATIENCE.as_secs()
        ),
        _ => return Ok(()),
    };
    let row = connection
        .query_one_raw(Statement::from_string(backend, sql))
        .await?;
    if backend == DbBackend::MySql {
        let granted: Option<i64> = row.and_then(|row| row.try_get_by_index(0).ok());
        if granted != Some(1) {
            return Err(DbErr::Custom(
                "another process is changing the schema".to_owned(),
            ));
        }
    }
    Ok(())
}

/// How SQLite finds the rows for a statement, in the tables of this version without any rows: it knows no statistics then, as in
/// production.
#[cfg(test)]
pub(crate) async fn query_plan(sql: &str) -> Vec<String> {
    use migration::MigratorTrait;
    let db = sea_orm::Database::connect("sqlite::memory:")
        .await
        .expect("memory");
    migration::Migrator::up(&db, None)
        .await
        .expect("migrations");
    let sql = format!("EXPLAIN QUERY PLAN {sql}");
    let steps = db
        .query_all_raw(Statement::from_string(DbBackend::Sqlite, sql))
        .await
        .expect("a plan");
    let detail = |step: &sea_orm::QueryResult| step.try_get("", "detail").expect("text");
    steps.iter().map(detail).collect()
}
