//! Who wants to know when a session ends: sockets, which outlive the check of their token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

/// The sessions of this instance that somebody watches.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionWatches(Arc<Mutex<HashMap<Uuid, Watched>>>);

/// Dropped when the session ends, which is what the receivers wait for.
type Watched = watch::Sender<()>;

/// Waits for the end of a session.
#[derive(Debug)]
pub struct SessionWatch {
    session_id: Uuid,
    receiver: Option<watch::Receiver<()>>,
    all: SessionWatches,
}

impl SessionWatches {
    /// Begins to watch a session, which is not ended now.
    pub(crate) fn watch(&self, session_id: Uuid) -> SessionWatch {
        let mut sessions = self.lock();
        let sender = sessions
            .entry(session_id)
            .or_insert_with(|| watch::Sender::new(()));
        SessionWatch {
            session_id,
            receiver: Some(sender.subscribe()),
            all: self.clone(),
        }
    }

    /// Tells those who watch that a session has ended.
    pub(crate) fn end(&self, session_id: Uuid) {
        self.lock().remove(&session_id);
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
        if let Some(sender) = sessions.get(&self.session_id)
            && sender.receiver_count() == 0
        {
            sessions.remove(&self.session_id);
        }
    }
}
