//! Logs, and the counter of panics.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_subscriber::EnvFilter;

use crate::platform::config::{LogConfig, LogFormat};

/// Libraries whose finer levels print URLs, headers or bound values, and so could print a secret.
const QUIET: [&str; 7] = [
    "h2=info",
    "hyper=info",
    "hyper_util=info",
    "reqwest=info",
    "rustls=info",
    "sea_orm=warn",
    "sqlx=warn",
];

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Starts logging to standard error. Call once.
///
/// # Errors
/// When `config.filter` is not a filter, or logging was started before.
pub fn init(config: &LogConfig) -> anyhow::Result<()> {
    let mut filter = EnvFilter::try_new(&config.filter)?;
    for directive in QUIET {
        filter = filter.add_directive(directive.parse()?);
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match config.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .try_init(),
    }
    .map_err(|error| anyhow::anyhow!(error))
}

/// Counts a panic that was caught, and returns how many there have been.
pub fn count_panic() -> u64 {
    PANICS.fetch_add(1, Ordering::Relaxed) + 1
}
