//! Telling the owner's other devices that a task has changed. Events live in this process only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, stream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedMutexGuard, broadcast};
use uuid::Uuid;

use crate::entity::task;
use crate::platform::request;

/// Events that wait for a subscriber who is busy; one who falls behind further is told so. One mutation makes up to 100.
const BACKLOG: usize = 256;

/// What happened to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Created,
    /// Its content is another.
    Updated,
    /// It is no more.
    Deleted,
}

/// A change that is stored.
#[derive(Debug, Clone)]
pub struct TaskEvent {
    /// What happened.
    pub kind: ChangeKind,
    /// To which task.
    pub task_id: Uuid,
    /// The task after the change; `None` once it is deleted.
    pub task: Option<Arc<task::Model>>,
}

impl TaskEvent {
    /// A task that is there.
    pub(super) fn of(kind: ChangeKind, task: task::Model) -> Self {
        Self {
            kind,
            task_id: task.id,
            task: Some(Arc::new(task)),
        }
    }

    /// A task that is gone.
    pub(super) fn deleted(task_id: Uuid) -> Self {
        Self {
            kind: ChangeKind::Deleted,
            task_id,
            task: None,
        }
    }
}

/// The subscriber was too slow, and events were lost.
#[derive(Debug, Clone, Copy)]
pub struct Lagged;

/// Who listens to whose tasks.
#[derive(Debug, Clone, Default)]
pub(super) struct TaskEvents(Arc<Mutex<HashMap<Uuid, Audience>>>);

/// The devices of one person that listen.
#[derive(Debug)]
struct Audience {
    sender: broadcast::Sender<TaskEvent>,
    /// Held from before a change until it is told. The database puts changes of one person in order anyway.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl TaskEvents {
    /// Waits until the changes before have been told; `None` when nobody listens, and order means nothing.
    pub(super) async fn turn(&self, owner: Uuid) -> Option<OwnedMutexGuard<()>> {
        let turn = self
            .lock()
            .get(&owner)
            .map(|audience| Arc::clone(&audience.turn))?;
        // What holds it up is done here.
        let _doing = request::doing();
        Some(turn.lock_owned().await)
    }

    /// Tells the subscribers of `owner`, if there are any. Call it after the commit.
    pub(super) fn publish(&self, owner: Uuid, events: Vec<TaskEvent>) {
        let mut owners = self.lock();
        let Some(audience) = owners.get(&owner) else {
            return;
        };
        for event in events {
            if audience.sender.send(event).is_err() {
                owners.remove(&owner);
                return;
            }
        }
    }

    /// The changes of the tasks of `owner` from now on. Ends after [`Lagged`].
    pub(super) fn subscribe(
        &self,
        owner: Uuid,
    ) -> impl Stream<Item = Result<TaskEvent, Lagged>> + Send + 'static {
        let receiver = self
            .lock()
            .entry(owner)
            .or_insert_with(|| Audience {
                sender: broadcast::channel(BACKLOG).0,
                turn: Arc::default(),
            })
            .sender
            .subscribe();
        let subscription = Subscription {
            owner,
            receiver: Some(receiver),
            events: self.clone(),
        };
        stream::unfold(Some(subscription), |subscription| async move {
            let mut subscription = subscription?;
            match subscription.receiver.as_mut()?.recv().await {
                Ok(event) => Some((Ok(event), Some(subscription))),
                Err(RecvError::Lagged(_)) => Some((Err(Lagged), None)),
                Err(RecvError::Closed) => None,
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Audience>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Subscription {
    owner: Uuid,
    receiver: Option<broadcast::Receiver<TaskEvent>>,
    events: TaskEvents,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.receiver = None;
        let mut owners = self.events.lock();
        if owners
            .get(&self.owner)
            .is_some_and(|audience| audience.sender.receiver_count() == 0)
        {
            owners.remove(&self.owner);
        }
    }
}
