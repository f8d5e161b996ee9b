//! A server for benchmarks.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// `wegraph serve` on a free port, stopped when it is dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    /// Host and port.
    pub(crate) address: String,
}

impl Server {
    /// The server of this build, in `folder`, with settings by the names of the environment.
    pub(crate) fn start(folder: &Path, settings: &[(&str, &str)]) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wegraph"))
            .arg("serve")
            .current_dir(folder)
            .env("WEGRAPH_LISTEN", "127.0.0.1:0")
            .env(
                "WEGRAPH_AUTH__SECRET",
                "kq3v9Xw2-bench-only-B7nR5mZ8cL4pT6yD",
            )
            .env("WEGRAPH_RATE_LIMIT__ENABLED", "false")
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = child.stderr.take().ok_or("no log")?;
        let mut lines = BufReader::new(log).lines();
        let address = loop {
            let line: Value = serde_json::from_str(&lines.next().ok_or("it ended")??)?;
            if let Some(address) = line["address"].as_str() {
                break address.to_owned();
            }
        };
        // A full pipe would stop the server.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
