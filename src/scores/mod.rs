//! Scores: what people submit about an account, graded by the criteria of a rubric, and results over many of them.
//!
//! Not here: who may sign in.

mod administration;
mod draft;
mod error;
mod event;
mod export;
pub mod graphql;
mod loader;
mod repository;
mod rubric;
mod service;
mod statistics;
mod submission;

pub use error::ScoreError;
pub(crate) use export::Position;
pub use export::{Export, ExportRow};
pub use graphql::{Rubric, Score};
pub use loader::ScoreLoader;
pub(crate) use service::Results;
pub use service::ScoreService;
pub(crate) use statistics::Histogram;
