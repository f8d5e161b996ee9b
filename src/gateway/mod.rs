//! The one way into the schema for every transport: authenticate, find and check the document,
//! count, execute.

pub mod coercion;
pub mod complexity;
pub mod counts;
pub mod document;
pub mod documents;
pub mod endpoint;
pub mod leniency;
pub mod merging;
pub mod messages;
pub mod null_arguments;
pub mod null_defaults;
pub mod parameters;
pub mod places;
pub mod precheck;
pub mod rate_limits;
pub mod refusal;
pub mod rules;
pub mod schema_index;
pub mod streams;
pub mod subscriptions;
pub mod surrogates;
pub mod syntax;
pub mod turns;
pub mod validation;
