//! Batching: what all loaders share.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_graphql::dataloader::DataLoader;
use async_graphql::futures_util::future::BoxFuture;
use async_graphql::futures_util::task::{FutureObj, Spawn, SpawnError};
use async_graphql::runtime::Timer;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use uuid::Uuid;

use crate::platform::task::to_end;

/// Distinct keys, padded to the next power of two by repeating the last, so that the database sees a handful of statement
/// texts and can keep each prepared.
pub fn padded(keys: &[Uuid]) -> Vec<Uuid> {
    let mut padded = keys.to_vec();
    padded.sort_unstable();
    padded.dedup();
    if let Some(last) = padded.last().copied() {
        padded.resize(padded.len().next_power_of_two(), last);
    }
    padded
}

/// The batches that the loaders of one request are about to run.
///
/// As the spawner of a `DataLoader` it only collects them; [`BatchQueue::run`] starts them once the execution has nothing
/// else to do, when every field of a level has asked for its keys. Another task would start too early on another core, and
/// a timer too late: this takes exactly one statement a level, and waits for nothing.
#[derive(Debug, Clone, Default)]
pub struct BatchQueue {
    batches: Arc<Mutex<Vec<FutureObj<'static, ()>>>>,
    is_detached: bool,
}

impl BatchQueue {
    /// A queue whose batches come to their end also when the execution is dropped.
    pub fn detached() -> Self {
        Self {
            is_detached: true,
            ..Self::default()
        }
    }

    /// A loader of the request that this queue belongs to.
    pub fn loader<L>(&self, loader: L) -> DataLoader<L> {
        DataLoader::new(loader, self.clone(), NoDelay).delay(Duration::ZERO)
    }

    /// Runs `execution` and the batches that it asks for.
    pub async fn run<F: Future>(self, mut execution: Pin<&mut F>) -> F::Output {
        // Most requests ask for no batch.
        let mut running = None;
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(output) = execution.as_mut().poll(cx) {
                    return Poll::Ready(output);
                }
                let started = std::mem::take(&mut *self.lock());
                let has_new = !started.is_empty();
                if has_new {
                    let running = running.get_or_insert_with(FuturesUnordered::new);
                    running.extend(started.into_iter().map(|batch| match self.is_detached {
                        true => to_end(batch).boxed(),
                        false => batch.boxed(),
                    }));
                }
                let Some(running) = &mut running else {
                    return Poll::Pending;
                };
                let mut has_finished = false;
                while let Poll::Ready(Some(())) = running.poll_next_unpin(cx) {
                    has_finished = true;
                }
                if !has_new && !has_finished {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Vec<FutureObj<'static, ()>>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spawn for BatchQueue {
    fn spawn_obj(&self, batch: FutureObj<'static, ()>) -> Result<(), SpawnError> {
        self.lock().push(batch);
        Ok(())
    }
}

struct NoDelay;

impl Timer for NoDelay {
    fn delay(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_to_powers_of_two() {
        let ids: Vec<_> = (0..5).map(Uuid::from_u128).collect();
        assert_eq!(padded(&ids).len(), 8);
        assert_eq!(padded(&ids[..1]), ids[..1]);
        assert_eq!(padded(&[ids[0], ids[0]]), ids[..1]);
        assert!(padded(&[]).is_empty());
    }
}
