//! HTTP and WebSocket: what belongs to the transport. Both hand their requests to
//! `gateway::endpoint::Endpoint`.

pub mod arriving;
mod asset;
mod authorization;
mod body;
mod client_address;
mod dev_only;
pub mod entry;
pub(crate) mod export;
mod graphql;
mod headers;
mod host;
pub mod pending;
mod playground;
mod reply;
mod request_id;
pub(crate) mod results;
pub mod router;
pub mod server;
pub mod state;
pub mod websocket;

/// What our own pages ask for, `(id, text)`.
pub const OWN_DOCUMENTS: &[(&str, &str)] = &[(results::DOCUMENT_ID, results::DOCUMENT)];
