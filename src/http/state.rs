//! What the handlers share.

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::gateway::endpoint::Endpoint;
use crate::http::arriving::Arrivals;
use crate::http::pending::Pending;
use crate::http::websocket::sockets::Sockets;
use crate::identity::IdentityService;
use crate::platform::config::Config;
use crate::platform::db::Database;
use crate::scores::ScoreService;

/// What the handlers share; a clone is cheap.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

impl AppState {
    /// The state of a server.
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// What the handlers share.
pub struct Shared {
    /// The way into the schema.
    pub endpoint: Endpoint,
    /// For `/readyz`.
    pub db: Arc<Database>,
    /// For sockets, which live longer than the check of their token.
    pub identity: Arc<IdentityService>,
    /// For exports and the results page.
    pub scores: Arc<ScoreService>,
    /// Places for workbooks that are being written.
    pub workbooks: Arc<Semaphore>,
    /// The open sockets.
    pub sockets: Sockets,
    /// Memory for bodies and messages of which a part has come.
    pub arrivals: Arrivals,
    /// Memory for replies that are being sent.
    pub pending: Pending,
    /// The settings.
    pub config: Arc<Config>,
}
