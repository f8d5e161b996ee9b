//! A database on each engine that there is.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection};
use wegraph::platform::config::DatabaseConfig;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TIMES: usize = 9;

/// A database that has its tables.
pub(crate) struct Engine<'a> {
    pub(crate) name: &'a str,
    pub(crate) url: &'a str,
    /// For a server's files.
    pub(crate) folder: &'a Path,
    pub(crate) db: DatabaseConnection,
}

impl<'a> Engine<'a> {
    async fn prepare(name: &'a str, url: &'a str, folder: &'a Path) -> Result<Self> {
        wegraph::app::migrate(&DatabaseConfig {
            url: url.to_owned().into(),
            max_connections: 1,
            migrate_on_start: true,
            statement_timeout: Duration::from_secs(3),
        })
        .await?;
        let db = sea_orm::Database::connect(quiet(url)).await?;
        Ok(Self {
            name,
            url,
            folder,
            db,
        })
    }
}

/// Runs `work` with the number of the command line: on SQLite, and on the servers at `TEST_POSTGRES_URL` and `TEST_MYSQL_URL`, in
/// the database `wegraph_bench`, which is made anew.
pub(crate) async fn on_each_engine(
    default: usize,
    work: impl AsyncFn(&Engine<'_>, usize) -> Result<()>,
) -> Result<()> {
    wegraph::platform::http_client::use_ring();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo asks every benchmark for its tests now and then.
    if arguments.iter().any(|argument| argument == "--test") {
        return Ok(());
    }
    let number = arguments.iter().find_map(|argument| argument.parse().ok());
    let number = number.unwrap_or(default);
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("bench.db").display());
    let sqlite = Engine::prepare("SQLite", &url, folder.path()).await?;
    work(&sqlite, number).await?;
    for (engine, variable, drop) in [
        (
            "PostgreSQL",
            "TEST_POSTGRES_URL",
            "DROP DATABASE IF EXISTS wegraph_bench WITH (FORCE)",
        ),
        (
            "MariaDB/MySQL",
            "TEST_MYSQL_URL",
            "DROP DATABASE IF EXISTS wegraph_bench",
        ),
    ] {
        #[expect(
            clippy::disallowed_methods,
            reason = "not a setting of the server: where a database for tests is"
        )]
        let Ok(server) = std::env::var(variable) else {
            continue;
        };
        let admin = sea_orm::Database::connect(quiet(&server)).await?;
        admin.execute_unprepared(drop).await?;
        admin
            .execute_unprepared("CREATE DATABASE wegraph_bench")
            .await?;
        let (base, _) = server.rsplit_once('/').ok_or("a URL with a database")?;
        let url = format!("{base}/wegraph_bench");
        let engine = Engine::prepare(engine, &url, folder.path()).await?;
        work(&engine, number).await?;
        engine.db.close().await?;
        admin.execute_unprepared(drop).await?;
    }
    Ok(())
}

/// Options of one connection that logs nothing.
fn quiet(url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    options
}

/// The median of several runs.
pub(crate) async fn median(work: impl AsyncFn() -> Result<()>) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let started = Instant::now();
        work().await?;
        times.push(started.elapsed());
    }
    times.sort();
    Ok(times[TIMES / 2])
}
