//! A database of its own for each test.

use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, Statement};
use tempfile::TempDir;
use tokio::sync::{Mutex, OnceCell};
use wegraph::app;
use wegraph::platform::config::DatabaseConfig;

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
    Mysql,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }

    /// The engines whose URL is given, and SQLite.
    pub(crate) fn available() -> Vec<Self> {
        [Self::Sqlite, Self::Postgres, Self::Mysql]
            .into_iter()
            .filter(|engine| *engine == Self::Sqlite || engine.server_url().is_some())
            .collect()
    }

    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    fn server_url(self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            _ => std::env::var(self.variable())
                .ok()
                .filter(|url| !url.is_empty()),
        }
    }

    /// What names the server to test on.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "TEST_POSTGRES_URL",
            Self::Mysql => "TEST_MYSQL_URL",
        }
    }

    /// The URL of one database of the server.
    fn url_of(self, database: &str) -> String {
        let mut url: reqwest::Url = self
            .server_url()
            .expect("the engine is available")
            .parse()
            .expect("a URL");
        url.set_path(database);
        url.into()
    }
}

/// A migrated, empty database that goes when the test is over.
pub(crate) struct TestDatabase {
    pub(crate) engine: Engine,
    pub(crate) config: DatabaseConfig,
    name: String,
    folder: TempDir,
}

static TEMPLATE: OnceCell<String> = OnceCell::const_new();
/// PostgreSQL copies a template only while nobody else uses it.
static COPYING: Mutex<()> = Mutex::const_new(());
static NUMBER: AtomicU32 = AtomicU32::new(0);

impl TestDatabase {
    /// With all tables.
    pub(crate) async fn migrated(engine: Engine) -> Self {
        if engine == Engine::Postgres {
            let template = TEMPLATE.get_or_init(make_postgres_template).await;
            let this = Self::named(engine);
            let _turn = COPYING.lock().await;
            administer(
                engine,
                &format!("CREATE DATABASE {} TEMPLATE {template}", this.name),
            )
            .await;
            return this;
        }
        let this = Self::empty(engine).await;
        app::migrate(&this.config).await.expect("migrations");
        this
    }

    /// Without any table.
    pub(crate) async fn empty(engine: Engine) -> Self {
        let this = Self::named(engine);
        if engine != Engine::Sqlite {
            administer(engine, &format!("CREATE DATABASE {}", this.name)).await;
        }
        this
    }

    fn named(engine: Engine) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("wegraph_test_{}_{number}", std::process::id());
        let folder = TempDir::new().expect("a folder");
        let url = match engine {
            Engine::Sqlite => format!("sqlite://{}/test.db", folder.path().display()),
            _ => engine.url_of(&name),
        };
        Self {
            engine,
            config: config(url),
            name,
            folder,
        }
    }

    /// Drops it.
    pub(crate) async fn drop(self) {
        match self.engine {
            Engine::Sqlite => {}
            Engine::Postgres => {
                administer(
                    self.engine,
                    &format!("DROP DATABASE {} WITH (FORCE)", self.name),
                )
                .await;
            }
            Engine::Mysql => administer(self.engine, &format!("DROP DATABASE {}", self.name)).await,
        }
        drop(self.folder);
    }
}

fn config(url: String) -> DatabaseConfig {
    DatabaseConfig {
        url: url.into(),
        max_connections: 5,
        migrate_on_start: true,
        statement_timeout: std::time::Duration::from_secs(3),
    }
}

/// Drops what the tests shared.
pub(crate) async fn drop_template() {
    if let Some(name) = TEMPLATE.get() {
        administer(
            Engine::Postgres,
            &format!("DROP DATABASE {name} WITH (FORCE)"),
        )
        .await;
    }
}

async fn make_postgres_template() -> String {
    let engine = Engine::Postgres;
    let name = format!("wegraph_template_{}", std::process::id());
    administer(engine, &format!("DROP DATABASE IF EXISTS {name}")).await;
    administer(engine, &format!("CREATE DATABASE {name}")).await;
    app::migrate(&config(engine.url_of(&name)))
        .await
        .expect("migrations");
    name
}

async fn administer(engine: Engine, sql: &str) {
    let url = engine.server_url().expect("the engine is available");
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let connection: DatabaseConnection = sea_orm::Database::connect(options)
        .await
        .expect("the server answers");
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    connection.execute_raw(statement).await.expect(sql);
    connection.close().await.expect("the connection closes");
}
