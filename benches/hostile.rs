//! What each document of the hostile corpus costs the server: CPU time of all its threads, and memory beyond what it held
//! before. Linux only, because it reads /proc.
//!
//!     cargo bench --bench hostile

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

#[path = "../tests/corpus/mod.rs"]
mod corpus;
mod server;

use server::Server;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Times that each document is sent.
const TIMES: u32 = 20;

impl Server {
    /// CPU time of all threads so far.
    fn cpu(&self) -> Result<Duration> {
        let mut nanos = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanos += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Memory now (`VmRSS`) or at most since the last call of [`Server::forget_peak`] (`VmHWM`), in KiB.
    fn memory(&self, field: &str) -> Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find(|line| line.starts_with(field));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(number.ok_or("no such field")?.parse()?)
    }

    fn forget_peak(&self) -> Result<()> {
        Ok(fs::write(
            format!("/proc/{}/clear_refs", self.child.id()),
            "5",
        )?)
    }
}

struct Row {
    name: String,
    cpu: Duration,
    extra_kib: u64,
    slowest: Duration,
}

/// What the server had used before a document.
struct Measure {
    cpu: Duration,
    memory: u64,
    slowest: Duration,
}

impl Measure {
    fn start(server: &Server) -> Result<Self> {
        let (cpu, memory) = (server.cpu()?, server.memory("VmRSS")?);
        server.forget_peak()?;
        Ok(Self {
            cpu,
            memory,
            slowest: Duration::ZERO,
        })
    }

    fn finish(self, server: &Server, name: &str, times: u32) -> Result<Row> {
        Ok(Row {
            name: name.to_owned(),
            cpu: server.cpu()?.saturating_sub(self.cpu) / times,
            extra_kib: server.memory("VmHWM")?.saturating_sub(self.memory),
            slowest: self.slowest,
        })
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    wegraph::platform::http_client::use_ring();
    // Cargo asks every benchmark for its tests now and then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[])?;
    let documents = corpus::documents();
    println!("{} documents, {TIMES} times each", documents.len());
    over_http(&server, &documents, 1).await?;
    report("HTTP", over_http(&server, &documents, TIMES).await?);
    report(
        "WebSocket",
        over_a_socket(&server, &documents, TIMES).await?,
    );
    println!("{} KiB at the end", server.memory("VmRSS")?);
    Ok(())
}

async fn over_http(server: &Server, documents: &[corpus::Hostile], times: u32) -> Result<Vec<Row>> {
    let client = reqwest::Client::builder().build()?;
    let url = format!("http://{}/graphql", server.address);
    let mut rows = Vec::new();
    for document in documents {
        let mut measure = Measure::start(server)?;
        for _ in 0..times {
            let started = Instant::now();
            let answer = client.post(&url).json(&document.parameters).send().await?;
            let answer: Value = answer.json().await?;
            assert!(
                answer["errors"][0].is_object(),
                "{}: {answer}",
                document.name
            );
            measure.slowest = measure.slowest.max(started.elapsed());
        }
        rows.push(measure.finish(server, &document.name, times)?);
    }
    Ok(rows)
}

async fn over_a_socket(
    server: &Server,
    documents: &[corpus::Hostile],
    times: u32,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for document in documents {
        let message =
            json!({"id": "1", "type": "subscribe", "payload": document.parameters}).to_string();
        if message.len() > 64 * 1024 {
            continue;
        }
        let mut request = format!("ws://{}/graphql/ws", server.address).into_client_request()?;
        let protocol = "graphql-transport-ws".parse()?;
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", protocol);
        let (mut socket, _) = connect_async(request).await?;
        socket
            .send(Message::text(r#"{"type":"connection_init"}"#))
            .await?;
        socket.next().await.ok_or("no answer")??;
        let mut measure = Measure::start(server)?;
        for _ in 0..times {
            let started = Instant::now();
            socket.send(Message::text(message.clone())).await?;
            let answer = socket.next().await.ok_or("no answer")??;
            assert!(
                answer.to_text()?.contains("\"error\""),
                "{}: {answer}",
                document.name
            );
            measure.slowest = measure.slowest.max(started.elapsed());
        }
        rows.push(measure.finish(server, &document.name, times)?);
    }
    Ok(rows)
}

fn report(transport: &str, mut rows: Vec<Row>) {
    println!("\n{transport}: {} documents\n", rows.len());
    println!(
        "{:>10} {:>10} {:>10}  the dearest by CPU",
        "CPU ms", "extra KiB", "slowest ms"
    );
    rows.sort_by_key(|row| std::cmp::Reverse(row.cpu));
    rows.iter().take(8).for_each(print);
    println!(
        "{:>10} {:>10} {:>10}  the dearest by memory",
        "CPU ms", "extra KiB", "slowest ms"
    );
    rows.sort_by_key(|row| std::cmp::Reverse(row.extra_kib));
    rows.iter().take(8).for_each(print);
}

fn print(row: &Row) {
    println!(
        "{:>10.3} {:>10} {:>10.1}  {}",
        row.cpu.as_secs_f64() * 1000.0,
        row.extra_kib,
        row.slowest.as_secs_f64() * 1000.0,
        row.name
    );
}
