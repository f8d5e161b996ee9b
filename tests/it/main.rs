//! The integration tests: the real server over HTTP and WebSocket, on every database whose URL is given.
//!
//! SQLite always; PostgreSQL with `TEST_POSTGRES_URL`, MySQL or MariaDB with `TEST_MYSQL_URL` (URLs of a server where
//! databases may be created). Names begin with the engine, so `cargo test -- sqlite::tasks` runs one part.

mod cli;
#[path = "../corpus/mod.rs"]
mod corpus;
mod github;
mod harness;
mod http;
mod identity;
mod platform;
mod schema;
mod scores;
mod simulator;
mod tasks;

fn main() -> std::process::ExitCode {
    harness::run()
}
