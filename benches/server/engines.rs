//! A database on each engine that there is.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TIMES: usize = 9;

/// Runs `work` with the engine's name, the URL of an empty database and a folder: on SQLite, and on the servers at
/// `TEST_POSTGRES_URL` and `TEST_MYSQL_URL`, in the database `wegraph_bench`, which is made anew.
pub(crate) async fn on_each_engine(
    work: impl AsyncFn(&str, &str, &Path) -> Result<()>,
) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("bench.db").display());
    work("SQLite", &url, folder.path()).await?;
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
        work(engine, &format!("{base}/wegraph_bench"), folder.path()).await?;
        admin.execute_unprepared(drop).await?;
    }
    Ok(())
}

/// Options of one connection that logs nothing.
pub(crate) fn quiet(url: &str) -> ConnectOptions {
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
