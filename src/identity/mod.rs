//! Accounts: registering, signing in by password or WeChat code, sessions and their tokens.
//!
//! Not here: what a signed-in user may do with scores or tasks; each feature decides that for itself.

mod account;
pub mod error;
pub mod graphql;
mod loader;
mod password;
mod repository;
mod rotation;
mod service;
mod throttle;
mod token;
mod watch;

pub use account::NewAccount;
pub use error::IdentityError;
pub use graphql::User;
pub use loader::UserLoader;
pub use service::{Access, Client, IdentityService, SignIn};
pub use watch::SessionWatch;
