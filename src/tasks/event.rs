//! Telling the owner's other devices that a task has changed. Events live in this process only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, stream};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use crate::entity::task;

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

/// The subscriber was too slow, and events were lost.
#[derive(Debug, Clone, Copy)]
pub struct Lagged;

/// Who listens to whose tasks.
#[derive(Debug, Clone, Default)]
pub(super) struct TaskEvents(Arc<Mutex<HashMap<Uuid, broadcast::Sender<TaskEvent>>>>);

impl TaskEvents {
    /// Tells the subscribers of `owner`, if there are any. Call it after the commit.
    pub(super) fn publish(
        &self,
        owner: Uuid,
        kind: ChangeKind,
        id: Uuid,
        task: Option<&task::Model>,
    ) {
        let mut owners = self.lock();
        let Some(sender) = owners.get(&owner) else {
            return;
        };
        let event = TaskEvent {
            kind,
            task_id: id,
            task: task.cloned().map(Arc::new),
        };
        if sender.send(event).is_err() {
            owners.remove(&owner);
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
            .or_insert_with(|| broadcast::channel(BACKLOG).0)
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

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, broadcast::Sender<TaskEvent>>> {
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
            .is_some_and(|sender| sender.receiver_count() == 0)
        {
            owners.remove(&self.owner);
        }
    }
}
