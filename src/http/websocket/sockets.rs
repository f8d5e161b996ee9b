//! How many sockets there are: in all, of each user and address; and telling them that the server
//! stops.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::watch;
use uuid::Uuid;

use crate::platform::address::site_of;
use crate::platform::config::WebsocketConfig;
use crate::platform::tally::{Counted, Tally};

/// The open sockets of this instance.
#[derive(Debug, Clone)]
pub struct Sockets(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: Tally<()>,
    by_address: Tally<IpAddr>,
    by_user: Tally<Uuid>,
    subscriptions: Tally<IpAddr>,
    /// True once the server stops; every socket holds a receiver.
    stop: watch::Sender<bool>,
}

/// The place of one socket, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    sockets: Sockets,
    #[expect(dead_code, reason = "they are there to be dropped")]
    counted: (Counted<()>, Counted<IpAddr>),
    address: IpAddr,
    user: Option<Counted<Uuid>>,
    stop: watch::Receiver<bool>,
}

/// Why there is no place for a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The server has too many, or stops.
    Server,
    /// The address has too many.
    Address,
}

impl Sockets {
    /// None yet.
    pub fn new(config: &WebsocketConfig) -> Self {
        Self(Arc::new(Inner {
            all: Tally::new(config.max_sockets),
            by_address: Tally::new(config.max_sockets_per_address),
            by_user: Tally::new(config.max_sockets_per_user),
            subscriptions: Tally::new(config.max_subscriptions_per_address),
            stop: watch::Sender::new(false),
        }))
    }

    /// A place for one more socket of a client at `address`.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn open(&self, address: IpAddr) -> Result<Place, Full> {
        let by_address = self.0.by_address.count(site_of(address));
        let by_address = by_address.ok_or(Full::Address)?;
        let all = self.0.all.count(()).ok_or(Full::Server)?;
        if *self.0.stop.borrow() {
            return Err(Full::Server);
        }
        Ok(Place {
            sockets: self.clone(),
            counted: (all, by_address),
            address,
            user: None,
            stop: self.0.stop.subscribe(),
        })
    }

    /// Has every socket closed, and waits until they are.
    pub async fn stop(&self) {
        self.0.stop.send_replace(true);
        self.0.stop.closed().await;
    }
}

impl Place {
    /// Counts one more subscription, until what is returned is dropped; `None` when its address has
    /// too many.
    pub(super) fn subscribe(&self) -> Option<Counted<IpAddr>> {
        self.sockets.0.subscriptions.count(site_of(self.address))
    }

    /// Counts the socket as one of the user's; false when the user has too many already.
    pub(super) fn sign_in(&mut self, user_id: Uuid) -> bool {
        self.user = self.sockets.0.by_user.count(user_id);
        self.user.is_some()
    }

    /// Done when the server stops.
    pub(super) async fn stopped(&mut self) {
        // The sender lives as long as we hold the sockets.
        drop(self.stop.wait_for(|stop| *stop).await);
    }
}
