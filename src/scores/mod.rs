//! Scores: what people submit about an account, graded by the criteria of a rubric.
//!
//! Not here: who may sign in, and results over many scores.

mod error;
pub mod graphql;
mod loader;
mod repository;
mod rubric;
mod service;

pub use error::ScoreError;
pub use graphql::{Rubric, Score};
pub use loader::ScoreLoader;
pub use service::ScoreService;
