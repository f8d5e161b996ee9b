//! What the handlers share.

use std::sync::Arc;

use crate::gateway::endpoint::Endpoint;
use crate::http::export::Exports;
use crate::http::pending::Pending;
use crate::http::websocket::Sockets;
use crate::identity::IdentityService;
use crate::platform::config::Config;
use crate::platform::db::Database;
use crate::scores::ScoreService;

/// What the handlers share.
#[derive(Clone)]
pub struct AppState {
    /// The way into the schema.
    pub endpoint: Endpoint,
    /// For `/readyz`.
    pub db: Arc<Database>,
    /// For sockets, which live longer than the check of their token.
    pub identity: Arc<IdentityService>,
    /// For exports and the results page.
    pub scores: Arc<ScoreService>,
    /// Workbooks that are being written.
    pub(crate) exports: Exports,
    /// The open sockets.
    pub sockets: Sockets,
    /// Memory for large replies.
    pub pending: Pending,
    /// The settings.
    pub config: Arc<Config>,
}
