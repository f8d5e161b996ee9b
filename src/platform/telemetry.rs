//! Logs, and the counter of panics.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::platform::config::{LogConfig, LogFormat};

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Starts logging to standard error. Call once.
///
/// # Errors
/// When `config.filter` is not a filter, or logging was started before.
pub fn init(config: &LogConfig) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.filter)?.and(filter_fn(is_harmless));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry();
    match config.format {
        LogFormat::Json => registry
            .with(
                layer
                    .json()
                    .flatten_event(true)
                    .with_span_list(false)
                    .with_filter(filter),
            )
            .try_init()?,
        LogFormat::Text => registry
            .with(
                layer
                    .with_ansi(std::io::stderr().is_terminal())
                    .with_target(false)
                    .with_filter(filter),
            )
            .try_init()?,
    }
    Ok(())
}

/// Not a fine level of a library: those print URLs, headers, frames and bound values, secrets among them. No setting turns them
/// on.
fn is_harmless(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next();
    *metadata.level() <= Level::INFO || library == Some(env!("CARGO_CRATE_NAME"))
}

/// Counts a panic that was caught, and returns how many there have been.
pub fn count_panic() -> u64 {
    PANICS.fetch_add(1, Ordering::Relaxed) + 1
}
