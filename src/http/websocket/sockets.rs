//! How many sockets there are: in all, and of each user; and telling them that the server stops.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

use crate::platform::config::WebsocketConfig;

/// The open sockets of this instance.
#[derive(Debug, Clone)]
pub struct Sockets(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    counts: Mutex<Counts>,
    max: usize,
    max_per_user: usize,
    /// True once the server stops; every socket holds a receiver.
    stop: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_user: HashMap<Uuid, usize>,
}

/// The place of one socket, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    sockets: Sockets,
    user_id: Option<Uuid>,
    stop: watch::Receiver<bool>,
}

impl Sockets {
    /// None yet.
    pub fn new(config: &WebsocketConfig) -> Self {
        Self(Arc::new(Inner {
            counts: Mutex::default(),
            max: config.max_sockets,
            max_per_user: config.max_sockets_per_user,
            stop: watch::Sender::new(false),
        }))
    }

    /// A place for one more socket, if there is one.
    pub(super) fn open(&self) -> Option<Place> {
        let mut counts = self.counts();
        if counts.total >= self.0.max || *self.0.stop.borrow() {
            return None;
        }
        counts.total += 1;
        Some(Place {
            sockets: self.clone(),
            user_id: None,
            stop: self.0.stop.subscribe(),
        })
    }

    /// Has every socket closed, and waits until they are.
    pub async fn stop(&self) {
        self.0.stop.send_replace(true);
        self.0.stop.closed().await;
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Counts the socket as one of the user's; false when the user has too many already.
    pub(super) fn sign_in(&mut self, user_id: Uuid) -> bool {
        let max = self.sockets.0.max_per_user;
        let mut counts = self.sockets.counts();
        let count = counts.by_user.entry(user_id).or_default();
        if *count >= max {
            return false;
        }
        *count += 1;
        drop(counts);
        self.user_id = Some(user_id);
        true
    }

    /// Done when the server stops.
    pub(super) async fn stopped(&mut self) {
        // The sender lives as long as we hold the sockets.
        drop(self.stop.wait_for(|stop| *stop).await);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.sockets.counts();
        counts.total = counts.total.saturating_sub(1);
        if let Some(user_id) = self.user_id
            && let Some(count) = counts.by_user.get_mut(&user_id)
        {
            *count -= 1;
            if *count == 0 {
                counts.by_user.remove(&user_id);
            }
        }
    }
}
