//! Who wants to know when a session ends: sockets, which outlive the check of their token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

/// The sessions of this instance that somebody watches.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionWatches(Arc<Mutex<HashMap<Uuid, Watched>>>);

#[derive(Debug)]
struct Watched {
    user_id: Uuid,
    /// Dropped when the session ends, which is what the receivers wait for.
    sender: watch::Sender<()>,
}

/// Waits for the end of a session.
#[derive(Debug)]
pub struct SessionWatch {
    session_id: Uuid,
    receiver: Option<watch::Receiver<()>>,
    all: SessionWatches,
}

impl SessionWatches {
    /// Begins to watch a session, which is not ended now.
    pub(crate) fn watch(&self, user_id: Uuid, session_id: Uuid) -> SessionWatch {
        let mut sessions = self.lock();
        let watched = sessions.entry(session_id).or_insert_with(|| Watched {
            user_id,
            sender: watch::Sender::new(()),
        });
        SessionWatch {
            session_id,
            receiver: Some(watched.sender.subscribe()),
            all: self.clone(),
        }
    }

    /// Tells those who watch that a session of the user has ended, or all of them.
    pub(crate) fn end(&self, user_id: Uuid, only: Option<Uuid>) {
        let mut sessions = self.lock();
        match only {
            Some(session_id) => drop(sessions.remove(&session_id)),
            None => sessions.retain(|_, watched| watched.user_id != user_id),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionWatch {
    /// Done when the session has ended in this process; may be waited for again.
    pub async fn ended(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            while receiver.changed().await.is_ok() {}
        }
    }
}

impl Drop for SessionWatch {
    fn drop(&mut self) {
        self.receiver = None;
        let mut sessions = self.all.lock();
        if let Some(watched) = sessions.get(&self.session_id)
            && watched.sender.receiver_count() == 0
        {
            sessions.remove(&self.session_id);
        }
    }
}
