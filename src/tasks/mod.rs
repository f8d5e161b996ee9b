//! Tasks: what one person wants to do. Nobody sees another's.
//!
//! Not here: reminding people; `remindAt` is stored only.

mod error;
mod event;
mod filter;
pub mod graphql;
mod repository;
mod service;

pub use error::TaskError;
pub use graphql::Task;
pub use service::TaskService;
