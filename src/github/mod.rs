//! GitHub as mini-programs browse it.

pub mod graphql;
mod language;

pub use language::Language;
