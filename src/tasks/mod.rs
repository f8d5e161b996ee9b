//! Tasks: what one person wants to do. Nobody sees another's.
//!
//! Not here: the inbox that reminders end in.

mod bulk;
mod error;
mod event;
mod filter;
pub mod graphql;
mod loader;
mod reminder;
mod repository;
mod service;
mod sync;

pub use error::TaskError;
pub use graphql::Task;
pub use loader::TaskLoader;
pub use service::TaskService;
