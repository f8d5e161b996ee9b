//! Accounts: registering, signing in by password or WeChat code, sessions and their tokens, profiles, administration, and the
//! trail of what happened to them.
//!
//! Not here: what a signed-in user may do with scores or tasks; each feature decides that for itself.

mod account;
mod administration;
mod audit;
pub mod error;
mod github;
pub mod graphql;
mod housekeeping;
mod keys;
mod loader;
mod password;
mod profile;
mod refresh_token;
mod repository;
mod rotation;
mod seal;
mod service;
mod session_cache;
mod sessions;
mod sign_in;
mod signal;
mod throttle;
mod token;
mod watch;
mod wechat;

pub use account::NewAccount;
pub use administration::UserPatch;
pub use error::IdentityError;
pub use github::LinkedGithub;
pub use graphql::{AuditEvent, Session, User};
pub use keys::{check_keys, new_ed25519_key, new_p256_key};
pub use loader::UserLoader;
pub use profile::ProfilePatch;
pub use service::{Access, Client, IdentityService};
pub use sign_in::SignIn;
pub use watch::SessionWatch;
