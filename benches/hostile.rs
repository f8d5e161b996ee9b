//! What each document of the hostile corpus costs the server, those that are refused and those that
//! are answered, by family: CPU time of all its threads, and memory beyond what it held before.
//! Linux only, because it reads /proc.
//!
//! A refused one should cost at most 5 ms and 2 MB, an answered one 1 ms and 0.4 ms more for each
//! KB of its reply.
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
/// What the signed-in user of the benchmark has: tasks with long notes, and scores.
const TASKS: usize = 300;
const SCORES: usize = 300;

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
    family: &'static str,
    name: String,
    /// Length of the reply, in bytes.
    length: usize,
    cpu: Duration,
    extra_kib: u64,
    slowest: Duration,
}

/// What the server had used before a document.
struct Measure {
    cpu: Duration,
    memory: u64,
    slowest: Duration,
    length: usize,
}

impl Measure {
    fn start(server: &Server) -> Result<Self> {
        let (cpu, memory) = (server.cpu()?, server.memory("VmRSS")?);
        server.forget_peak()?;
        Ok(Self {
            cpu,
            memory,
            slowest: Duration::ZERO,
            length: 0,
        })
    }

    fn finish(self, server: &Server, document: &corpus::Hostile, times: u32) -> Result<Row> {
        Ok(Row {
            family: document.family,
            name: document.name.clone(),
            length: self.length,
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
    println!(
        "{} documents to refuse, {TIMES} times each",
        documents.len()
    );
    over_http(&server, &documents, None, 1).await?;
    let refused = over_http(&server, &documents, None, TIMES).await?;
    report("Refused over HTTP", refused);
    let refused = over_a_socket(&server, &documents, TIMES).await?;
    report("Refused over a WebSocket", refused);
    let documents = corpus::answered();
    let token = seed(&server).await?;
    println!(
        "\n{} documents to answer, {TIMES} times each",
        documents.len()
    );
    over_http(&server, &documents, Some(&token), 1).await?;
    let answered = over_http(&server, &documents, Some(&token), TIMES).await?;
    report("Answered over HTTP", answered);
    println!("\n{} KiB at the end", server.memory("VmRSS")?);
    Ok(())
}

/// Registers a user with tasks and scores; returns the access token.
async fn seed(server: &Server) -> Result<String> {
    let client = reqwest::Client::builder().build()?;
    let url = format!("http://{}/graphql", server.address);
    let ask = async |token: &str, query: &str, variables: Value| -> Result<Value> {
        let body = json!({"query": query, "variables": variables});
        let mut request = client.post(&url).json(&body);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let answer: Value = request.send().await?.json().await?;
        match answer["data"].is_object() {
            true => Ok(answer["data"].clone()),
            false => Err(answer.to_string().into()),
        }
    };
    let register = "mutation { register(input: {username: \"lin\", password: \"Horse-battery-9\"}) { accessToken } }";
    let made = ask("", register, Value::Null).await?;
    let token = made["register"]["accessToken"].as_str().ok_or("no token")?;
    let create = "mutation($notes: String!) { createTask(input: {title: \"a task\", notes: $notes}) { task { id } } }";
    for _ in 0..TASKS {
        ask(token, create, json!({"notes": "notes ".repeat(1600)})).await?;
    }
    let submit = "mutation { submitScore(input: {accountNumber: \"12345\", grades: [{criterion: \"grade1\", grade: 1},
        {criterion: \"grade2\", grade: 3}, {criterion: \"grade3\", grade: 5}]}) { score { id } } }";
    for _ in 0..SCORES {
        ask(token, submit, Value::Null).await?;
    }
    Ok(token.to_owned())
}

async fn over_http(
    server: &Server,
    documents: &[corpus::Hostile],
    token: Option<&str>,
    times: u32,
) -> Result<Vec<Row>> {
    let client = reqwest::Client::builder().build()?;
    let url = format!("http://{}/graphql", server.address);
    let mut rows = Vec::new();
    for document in documents {
        let mut measure = Measure::start(server)?;
        for _ in 0..times {
            let started = Instant::now();
            let mut request = client.post(&url).json(&document.parameters);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let answer = request.send().await?.text().await?;
            measure.slowest = measure.slowest.max(started.elapsed());
            measure.length = answer.len();
            let is_refused = !answer.contains("\"data\":");
            assert_eq!(
                is_refused,
                token.is_none(),
                "{}: {answer:.300}",
                document.name
            );
        }
        rows.push(measure.finish(server, document, times)?);
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
        rows.push(measure.finish(server, document, times)?);
    }
    Ok(rows)
}

fn report(title: &str, mut rows: Vec<Row>) {
    println!("\n{title}: {} documents\n", rows.len());
    println!(
        "{:>10} {:>10} {:>10} {:>10}  the dearest of each family",
        "CPU ms", "extra KiB", "slowest ms", "reply KB"
    );
    rows.sort_by_key(|row| std::cmp::Reverse(row.cpu));
    let mut families: Vec<&str> = Vec::new();
    for row in &rows {
        if !families.contains(&row.family) {
            families.push(row.family);
            print(row);
        }
    }
    println!(
        "{:>10} {:>10} {:>10} {:>10}  the dearest by memory",
        "CPU ms", "extra KiB", "slowest ms", "reply KB"
    );
    rows.sort_by_key(|row| std::cmp::Reverse(row.extra_kib));
    rows.iter().take(8).for_each(print);
}

fn print(row: &Row) {
    println!(
        "{:>10.3} {:>10} {:>10.1} {:>10.1}  {}: {}",
        row.cpu.as_secs_f64() * 1000.0,
        row.extra_kib,
        row.slowest.as_secs_f64() * 1000.0,
        row.length as f64 / 1024.0,
        row.family,
        row.name
    );
}
