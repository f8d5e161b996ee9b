//! Logs, and the counter of panics.

use std::fmt::{self, Debug, Write};
use std::future::Future;
use std::io::{self, BufWriter, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::Either;
use tracing::Instrument;
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::platform::config::{LogConfig, LogFormat};
use crate::platform::request;

/// `work` for the request that this task works for, if there is one, in whatever task.
pub fn in_same_request<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let span = tracing::Span::current();
    let work = match span.is_none() {
        true => Either::Left(work),
        false => Either::Right(work.instrument(span)),
    };
    match request::current() {
        Some(request) => Either::Left(request.scope(work)),
        None => Either::Right(work),
    }
}

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Lines that may wait to be written; whoever has one more to say waits, too, and none is lost.
const MAX_WAITING_LINES: usize = 8192;

/// What is written at once, at the most.
const BATCH_BYTES: usize = 64 << 10;
/// How long a line may wait for others.
const BATCH_PAUSE: Duration = Duration::from_millis(5);

/// Writes what is still waiting when it is dropped.
#[must_use = "what is logged after it was dropped is lost"]
pub struct Log(#[expect(dead_code, reason = "it is there to be dropped")] WorkerGuard);

/// Starts logging to standard error. Call once.
///
/// A thread of its own writes, many lines at once when there are many: a request does not wait for
/// the system.
///
/// # Errors
/// When `config.filter` is not a filter, or logging was started before.
pub fn init(config: &LogConfig) -> anyhow::Result<Log> {
    // As layers of their own, whose verdict on a place in the code is remembered, unlike that of a
    // layer's own filter.
    let registry = tracing_subscriber::registry()
        .with(EnvFilter::try_new(&config.filter)?)
        .with(filter_fn(is_harmless));
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(false)
        .buffered_lines_limit(MAX_WAITING_LINES)
        .thread_name("log")
        .finish(Batched(BufWriter::with_capacity(
            BATCH_BYTES,
            std::io::stderr(),
        )));
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match config.format {
        LogFormat::Json => registry
            .with(layer.event_format(JsonLine).fmt_fields(JsonFields))
            .try_init()?,
        LogFormat::Text => registry
            .with(
                layer
                    .with_ansi(std::io::stderr().is_terminal())
                    .with_target(false),
            )
            .try_init()?,
    }
    Ok(Log(guard))
}

/// Lets lines gather before the next batch: the thread that writes would otherwise be woken for
/// each.
struct Batched<W>(W);

impl<W: io::Write> io::Write for Batched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        std::thread::sleep(BATCH_PAUSE);
        Ok(())
    }
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

/// The fields of a span as the inside of a JSON object.
struct JsonFields;

impl<'writer> FormatFields<'writer> for JsonFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut writer = writer;
        let mut visitor = Fields {
            writer: &mut writer,
            result: Ok(()),
            has_request_id: false,
        };
        fields.record(&mut visitor);
        visitor.result
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

/// A JSON object a line: time, level, the event's fields, the request, the innermost span.
///
/// The library's own format reads the span's fields back from JSON for every event, which cost a
/// request more than its execution.
struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        writer.write_str("\",\"level\":\"")?;
        writer.write_str(event.metadata().level().as_str())?;
        writer.write_char('"')?;
        let mut fields = Fields {
            writer: &mut writer,
            result: Ok(()),
            has_request_id: false,
        };
        event.record(&mut fields);
        fields.result?;
        if !fields.has_request_id {
            // Outside of a request there is none.
            let request = request::current();
            request.map_or(Ok(()), |request| {
                write!(writer, ",\"request.id\":\"{}\"", request.id())
            })?;
        }
        write_name(&mut writer, "target")?;
        writer.write_char('"')?;
        writer.write_str(event.metadata().target())?;
        writer.write_char('"')?;
        let span = event.parent().and_then(|id| ctx.span(id));
        if let Some(span) = span.or_else(|| ctx.lookup_current()) {
            let extensions = span.extensions();
            let known = extensions.get::<FormattedFields<N>>();
            let known = known.map_or("", |fields| fields.fields.as_str());
            write!(writer, ",\"span\":{{\"name\":\"{}\"{known}}}", span.name())?;
        }
        writer.write_str("}\n")
    }
}

struct Fields<'a, 'writer> {
    writer: &'a mut Writer<'writer>,
    result: fmt::Result,
    has_request_id: bool,
}

impl Fields<'_, '_> {
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        self.has_request_id |= field.name() == "request.id";
        if self.result.is_ok() {
            self.result = write_name(self.writer, field.name()).and_then(|()| value(self.writer));
        }
    }
}

/// Names are ours and need no escapes.
fn write_name(writer: &mut Writer<'_>, name: &str) -> fmt::Result {
    writer.write_str(",\"")?;
    writer.write_str(name)?;
    writer.write_str("\":")
}

/// The inside of a JSON string.
struct Escaped<'a, 'writer>(&'a mut Writer<'writer>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_plain = |b: u8| b >= b' ' && b != b'"' && b != b'\\';
        if text.bytes().all(is_plain) {
            return self.0.write_str(text);
        }
        let quoted = serde_json::to_string(text).map_err(|_| fmt::Error)?;
        self.0.write_str(&quoted[1..quoted.len() - 1])
    }
}

impl Visit for Fields<'_, '_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field, |writer| match value.is_finite() {
            true => write!(writer, "{value}"),
            false => writer.write_str("null"),
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, |writer| {
            writer.write_char('"')?;
            Escaped(writer).write_str(value)?;
            writer.write_char('"')
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field, |writer| {
            writer.write_char('"')?;
            write!(Escaped(writer), "{value:?}")?;
            writer.write_char('"')
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_util::FutureExt;
    use serde_json::{Value, json};

    use super::*;
    use crate::platform::request::{Caller, Work};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn writes_one_object_a_line() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(JsonLine)
            .fmt_fields(JsonFields)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("alone");
            let id = Arc::from("r1");
            let request = Work::new(&id, Caller::Server, false);
            let within = request.scope(async { tracing::info!("within") });
            within.now_or_never().expect("it waits for nothing");
            let named = request.scope(async { tracing::info!(request.id = "r2", "named") });
            named.now_or_never().expect("it waits for nothing");
            let span =
                tracing::info_span!("graphql", request.id = "a\"b", operation.r#type = "query");
            let _entered = span.enter();
            let text = "line\nbreak";
            tracing::warn!(text, n = -1, ms = 0.5, yes = true, cause = ?Some("x\"y"), "中文 {}", 1);
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let mut lines = text.lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).expect(line);
            assert!(line["timestamp"].take().is_string());
            line
        });
        let target = "wegraph::platform::telemetry::tests";
        let alone =
            json!({"timestamp": null, "level": "INFO", "message": "alone", "target": target});
        assert_eq!(lines.next(), Some(alone));
        for (message, id) in [("within", "r1"), ("named", "r2")] {
            let line = json!({"timestamp": null, "level": "INFO", "message": message, "request.id": id, "target": target});
            assert_eq!(lines.next(), Some(line));
        }
        let full = json!({
            "timestamp": null, "level": "WARN", "message": "中文 1", "target": target,
            "text": "line\nbreak", "n": -1, "ms": 0.5, "yes": true, "cause": "Some(\"x\\\"y\")",
            "span": {"request.id": "a\"b", "operation.type": "query", "name": "graphql"},
        });
        assert_eq!(lines.next(), Some(full));
    }
}
