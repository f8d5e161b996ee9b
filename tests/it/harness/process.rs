//! The real binary, for what only a process can show: start-up, signals, logs.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::Client;

/// The command with nothing of this process's settings, in `folder`.
fn command(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wegraph"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WEGRAPH_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(folder)
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
pub(crate) async fn wegraph(
    folder: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    input: &str,
) -> Output {
    let mut child = command(folder, arguments, environment)
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A command that reads nothing may have ended already.
    drop(stdin.write_all(input.as_bytes()).await);
    drop(stdin);
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output());
    output.await.expect("the command ends").expect("its output")
}

/// A server in a process of its own.
pub(crate) struct Server {
    child: Child,
    pub(crate) base_url: String,
    log: JoinHandle<String>,
}

impl Server {
    /// Starts `wegraph serve` on a free port and waits until it is ready.
    pub(crate) async fn serve(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let mut all = vec![("WEGRAPH_LISTEN", "127.0.0.1:0")];
        all.extend(environment);
        let mut child = command(folder, &["serve"], &all)
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut seen = String::new();
        let address = loop {
            let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line())
                .await
                .expect("the server gets ready")
                .expect("its log")
                .unwrap_or_else(|| panic!("the server ended: {seen}"));
            seen.push_str(&line);
            seen.push('\n');
            if let Some((_, rest)) = line.split_once("\"address\":\"") {
                break rest.split('"').next().expect("an address").to_owned();
            }
        };
        let log = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                seen.push_str(&line);
                seen.push('\n');
            }
            seen
        });
        Self {
            child,
            base_url: format!("http://{address}"),
            log,
        }
    }

    pub(crate) fn client(&self) -> Client {
        let http = reqwest::Client::builder().build().expect("a client");
        Client::new(http, self.base_url.clone())
    }

    /// SIGKILL: nothing of the process runs any more.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("the process ends");
    }

    /// SIGTERM, then everything it ever wrote.
    pub(crate) async fn terminate(mut self) -> String {
        let pid = self.child.id().expect("a running process").to_string();
        let killed = Command::new("kill").args(["-TERM", &pid]).status().await;
        assert!(killed.expect("kill runs").success());
        let status = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        assert!(
            status
                .expect("the server stops")
                .expect("its status")
                .success()
        );
        let mut output = String::new();
        let mut stdout = self.child.stdout.take().expect("a pipe");
        stdout
            .read_to_string(&mut output)
            .await
            .expect("its output");
        output + &self.log.await.expect("its log")
    }
}
