//! HTTP and WebSocket. Both go through `endpoint::Endpoint`: authenticate, parse once, check, execute.

mod dev_only;
pub mod endpoint;
mod graphql;
mod playground;
mod reply;
pub mod router;
mod websocket;
