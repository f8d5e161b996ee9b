//! The composition root: from settings to a server. The one place that names everything.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use migration::{Migrator, MigratorTrait};
use sea_orm::DatabaseConnection;
use tokio::net::TcpListener;

use crate::clients::wechat::WechatClient;
use crate::http::endpoint::Endpoint;
use crate::http::router::{self, AppState};
use crate::identity::{IdentityService, user_loader};
use crate::platform::clock::Clock;
use crate::platform::config::{Config, DatabaseConfig};
use crate::platform::db::{Database, lock_schema};
use crate::platform::http_client;
use crate::schema::{self, Services};
use crate::scores::{ScoreService, score_loader};
use crate::tasks::TaskService;

/// A server that is ready to listen.
pub struct App {
    /// The database.
    pub db: Arc<Database>,
    /// Accounts, for the command line.
    pub identity: Arc<IdentityService>,
    router: Router,
}

impl App {
    /// Connects to the database, which must have its tables, and builds everything on top.
    ///
    /// # Errors
    /// When the database cannot be reached or the machine lacks what the server needs.
    pub async fn new(config: &Config, clock: Arc<dyn Clock>, is_dev: bool) -> anyhow::Result<Self> {
        let db = Arc::new(Database::connect(&config.database).await?);
        let wechat = WechatClient::new(http_client::build(config.wechat.timeout)?, &config.wechat);
        let identity =
            IdentityService::new(Arc::clone(&db), Arc::clone(&clock), wechat, &config.auth)?;
        let identity = Arc::new(identity);
        let schema = schema::build(Services {
            db: Arc::clone(&db),
            identity: Arc::clone(&identity),
            scores: Arc::new(ScoreService::new(Arc::clone(&db), Arc::clone(&clock))),
            tasks: Arc::new(TaskService::new(Arc::clone(&db), clock)),
            users: Arc::new(user_loader(Arc::clone(&db))),
            score_parts: Arc::new(score_loader(Arc::clone(&db))),
        });
        let endpoint = Endpoint::new(
            schema,
            Arc::clone(&identity),
            config.graphql.timeout,
            config.graphql.introspection,
        )?;
        let state = AppState {
            endpoint,
            db: Arc::clone(&db),
            has_playground: config.graphql.playground,
        };
        let router = router::build(state, &config.graphql, is_dev);
        Ok(Self {
            db,
            identity,
            router,
        })
    }

    /// Serves on `listener` until `stop` is done, then finishes the requests under way.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        axum::serve(
            listener,
            self.router
                .into_make_service_with_connect_info::<SocketAddr>(),
        )
        .with_graceful_shutdown(stop)
        .await
    }
}

/// Runs `work` on the only connection that may change the schema at this time.
///
/// # Errors
/// When the database cannot be reached, or what `work` returns.
pub async fn with_schema_lock<T>(
    config: &DatabaseConfig,
    work: impl AsyncFnOnce(&DatabaseConnection) -> Result<T, sea_orm::DbErr>,
) -> Result<T, sea_orm::DbErr> {
    let connection = Database::connect_for_migrations(config).await?;
    lock_schema(&connection).await?;
    let result = work(&connection).await;
    connection.close().await?;
    result
}

/// Applies all pending migrations.
///
/// # Errors
/// When the database cannot be reached or a migration fails.
pub async fn migrate(config: &DatabaseConfig) -> Result<(), sea_orm::DbErr> {
    with_schema_lock(config, async |connection| {
        Migrator::up(connection, None).await
    })
    .await
}

/// How many migrations are pending. Changes nothing.
///
/// # Errors
/// When the database cannot be reached.
pub async fn pending_migrations(config: &DatabaseConfig) -> Result<usize, sea_orm::DbErr> {
    let connection = Database::connect_for_migrations(config).await?;
    let pending = Migrator::get_pending_migrations_read_only(&connection).await;
    connection.close().await?;
    Ok(pending?.len())
}
