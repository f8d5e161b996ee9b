//! GitHub as mini-programs browse it: trending pages, repositories, developers, searches, what a linked account's friends do.
//!
//! Everything is answered from copies where they are good enough. Nothing private is shown but a linked account's own events, to
//! its user alone.
//!
//! Not here: linking an account, which is the account's matter (`identity`).

mod asker;
mod cache;
pub mod graphql;
mod language;
mod loader;
mod sentence;
mod service;
mod weight;

pub use crate::clients::github::GithubError;
pub use asker::Asker;
pub use language::Language;
pub use loader::RepositoryLoader;
pub use service::{Account, GithubService};
