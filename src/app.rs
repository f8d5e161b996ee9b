//! The composition root: from settings to a server. The one place that names everything.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::{
    DatabaseConnection, DbBackend, DbErr, IntoDatabaseExecutor, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::clients::github::GithubClient;
use crate::clients::wechat::WechatClient;
use crate::gateway::endpoint::Endpoint;
use crate::github::GithubService;
use crate::http;
use crate::http::arriving::Arrivals;
use crate::http::entry::Entry;
use crate::http::export::MAX_WORKBOOKS;
use crate::http::pending::Pending;
use crate::http::router;
use crate::http::server;
use crate::http::state::{AppState, Shared};
use crate::http::websocket::sockets::Sockets;
use crate::identity::IdentityService;
use crate::notifications::{NotificationService, Notifier};
use crate::platform::clock::Clock;
use crate::platform::config::{Config, DatabaseConfig, HttpConfig};
use crate::platform::db::{Database, is_missing_file, lock_schema, unless_locked};
use crate::platform::http_client;
use crate::schema::{self, Services};
use crate::scores::ScoreService;
use crate::tasks::TaskService;

/// A server that is ready to listen.
pub struct App {
    /// The database.
    pub db: Arc<Database>,
    /// Accounts, for the command line.
    pub identity: Arc<IdentityService>,
    /// Inboxes and messages.
    pub notifications: Arc<NotificationService>,
    sockets: Sockets,
    http: HttpConfig,
    entry: Entry,
}

impl App {
    /// Connects to the database, which must have its tables, and builds everything on top.
    ///
    /// # Errors
    /// When the database cannot be reached or the machine lacks what the server needs.
    pub async fn new(config: &Config, clock: Arc<dyn Clock>, is_dev: bool) -> anyhow::Result<Self> {
        let db = Arc::new(Database::connect(&config.database).await?);
        let wechat = WechatClient::new(
            http_client::build(config.wechat.timeout)?,
            &config.wechat,
            Arc::clone(&clock),
        );
        // A question that meets silence leaves time for another try.
        let github = GithubClient::new(
            http_client::build(config.github.timeout / 2)?,
            &config.github,
            Arc::clone(&clock),
        );
        let limit = config
            .rate_limit
            .enabled
            .then_some(config.rate_limit.github_per_address);
        let github = Arc::new(GithubService::new(github, &config.github, limit, &clock));
        let identity = IdentityService::new(
            Arc::clone(&db),
            Arc::clone(&clock),
            wechat.clone(),
            Arc::clone(&github),
            config,
        )?;
        let identity = Arc::new(identity);
        let scores = Arc::new(ScoreService::new(Arc::clone(&db), Arc::clone(&clock)));
        let notifications = Arc::new(NotificationService::new(
            Arc::clone(&db),
            Arc::clone(&clock),
            wechat,
            config,
        ));
        let schema = schema::build(&Services {
            db: Arc::clone(&db),
            identity: Arc::clone(&identity),
            scores: Arc::clone(&scores),
            tasks: Arc::new(TaskService::new(
                Arc::clone(&db),
                clock,
                Notifier::new(&config.wechat),
            )),
            notifications: Arc::clone(&notifications),
            github,
            pages: config.graphql.pages,
        });
        let endpoint = Endpoint::new(schema, Arc::clone(&identity), http::OWN_DOCUMENTS, config)?;
        let sockets = Sockets::new(&config.websocket);
        let state = AppState::new(Shared {
            endpoint,
            db: Arc::clone(&db),
            identity: Arc::clone(&identity),
            scores,
            workbooks: Arc::new(Semaphore::new(MAX_WORKBOOKS)),
            sockets: sockets.clone(),
            arrivals: Arrivals::new(config.fair_shares.max_arriving_bytes),
            pending: Pending::new(&config.http),
            config: Arc::new(config.clone()),
        });
        let entry = router::build(state, is_dev);
        Ok(Self {
            db,
            identity,
            notifications,
            sockets,
            http: config.http.clone(),
            entry,
        })
    }

    /// Serves on `listener` until `stop` is done, then finishes the requests under way, for half a minute at most.
    ///
    /// # Errors
    /// When a connection to the database does not close properly.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
        let stop = async move {
            stop.await;
            drop(stopping);
        };
        let (sockets, notifications) = (self.sockets, self.notifications);
        let farewell = async {
            // An error says that the other end is gone, which is the message.
            drop(stopped.await);
            let goodbye = async { tokio::join!(sockets.stop(), notifications.stop()) };
            if tokio::time::timeout(SHUTDOWN_GRACE, goodbye).await.is_err() {
                tracing::warn!("Stopping with sockets still open, or messages under way");
            }
        };
        let memory = tokio::spawn(give_memory_back());
        let serving = server::serve(self.entry, listener, &self.http, stop, SHUTDOWN_GRACE);
        tokio::join!(serving, farewell);
        memory.abort();
        self.db.close().await?;
        Ok(())
    }
}

/// How often the allocator is asked for something, and how much, in bytes.
const MEMORY_PAUSE: Duration = Duration::from_secs(5);
const MEMORY_SAMPLE: usize = 1 << 20;

/// Has the allocator give back to the system what is free. It does so when it is asked for
/// something, and so a server that has nothing to do would keep what the last busy minute took.
async fn give_memory_back() {
    loop {
        tokio::time::sleep(MEMORY_PAUSE).await;
        drop(std::hint::black_box(Vec::<u8>::with_capacity(
            MEMORY_SAMPLE,
        )));
    }
}

/// How long requests under way may take once the server has been asked to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);

/// A change of the schema: how many migrations, all when absent.
#[derive(Debug, Clone, Copy)]
pub enum SchemaChange {
    /// Apply pending ones, oldest first.
    Up(Option<u32>),
    /// Undo applied ones, newest first.
    Down(Option<u32>),
}

/// Changes the schema. Of several processes that start at once one works and the others wait.
///
/// # Errors
/// When the database cannot be reached or a migration fails.
pub async fn change_schema(config: &DatabaseConfig, change: SchemaChange) -> Result<(), DbErr> {
    let connection = Database::connect_for_migrations(config).await?;
    let result = if connection.get_database_backend() == DbBackend::Sqlite {
        unless_locked(|| change_sqlite(&connection, change)).await
    } else {
        lock_schema(&connection).await?;
        apply(&connection, change).await
    };
    connection.close().await?;
    result
}

/// SQLite has no named locks, but its DDL is transactional: all of it is one write.
async fn change_sqlite(connection: &DatabaseConnection, change: SchemaChange) -> Result<(), DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = connection.begin_with_options(options).await?;
    apply(&transaction, change).await?;
    transaction.commit().await
}

async fn apply<'c>(
    connection: impl IntoDatabaseExecutor<'c>,
    change: SchemaChange,
) -> Result<(), DbErr> {
    match change {
        SchemaChange::Up(steps) => Migrator::up(connection, steps).await,
        SchemaChange::Down(steps) => Migrator::down(connection, steps).await,
    }
}

/// Applies all pending migrations.
///
/// # Errors
/// As [`change_schema`].
pub async fn migrate(config: &DatabaseConfig) -> Result<(), DbErr> {
    change_schema(config, SchemaChange::Up(None)).await
}

/// Each migration in order and whether it is applied. Changes nothing.
///
/// # Errors
/// When the database cannot be reached.
pub async fn migration_status(config: &DatabaseConfig) -> Result<Vec<(String, bool)>, DbErr> {
    if is_missing_file(config)? {
        let all = Migrator::migrations();
        return Ok(all
            .iter()
            .map(|migration| (migration.name().to_owned(), false))
            .collect());
    }
    let connection = Database::connect_for_migrations(config).await?;
    let pending = Migrator::get_pending_migrations_read_only(&connection).await;
    connection.close().await?;
    let pending = pending?;
    let is_pending = |name: &str| pending.iter().any(|migration| migration.name() == name);
    Ok(Migrator::migrations()
        .iter()
        .map(|migration| (migration.name().to_owned(), !is_pending(migration.name())))
        .collect())
}
