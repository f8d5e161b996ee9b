//! WeGraph: a GraphQL backend for WeChat mini-programs.
//!
//! Modules in reading order, lowest first; each may use those above it and none below.

/// Settings, database, time, ids: what everything stands on.
pub mod platform;

/// One SeaORM entity a table.
pub mod entity;

/// Other people's servers.
pub mod clients;

/// What every feature's GraphQL code shares.
pub mod graphql;

/// GitHub as mini-programs browse it.
pub mod github;

/// What people are told.
pub mod notifications;

/// Accounts, sign-in, sessions.
pub mod identity;

/// Ratings.
pub mod scores;

/// To-do lists.
pub mod tasks;

/// All features as one schema.
pub mod schema;

/// From the parameters of a request to its execution, whatever the transport.
pub mod gateway;

/// HTTP and WebSocket.
pub mod http;

/// A stand-in for the platforms, for development and tests.
pub mod simulator;

/// Puts everything together.
pub mod app;

/// The commands.
pub mod cli;
