//! HTTP and WebSocket. Both go through `endpoint::Endpoint`: authenticate, parse once, check, execute.

mod asset;
mod body;
mod client_address;
mod dev_only;
pub mod documents;
pub mod endpoint;
pub(crate) mod export;
mod graphql;
pub mod parameters;
pub mod pending;
mod playground;
pub mod rate_limit;
mod reply;
pub(crate) mod results;
pub mod router;
pub mod server;
pub mod websocket;
