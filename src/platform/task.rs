//! Work that is not given up half-way, and how long it is waited for.
//!
//! The database library does not survive that: a statement that is dropped while it is prepared leaves its connection waiting
//! for an answer that was read already (the pool of MySQL never gets it back), and on PostgreSQL a transaction can stay open on a
//! connection that goes back into the pool. Clients hang up all the time, so whatever talks to the database for them runs as a
//! task of its own: they stop waiting, and it comes to its end.

use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::Poll;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::platform::telemetry::in_same_request;

/// The outcome of `work`, which goes on when this future is dropped. A panic passes through.
pub async fn to_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let mut work = Box::pin(in_same_request(work));
    // Much is known without waiting, and then no task is worth its while.
    if let Poll::Ready(outcome) = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        return outcome;
    }
    joined(tokio::spawn(work)).await
}

/// The outcome of `work`; `None` when it does not come until `deadline`. What is done without
/// waiting has no need of a timer.
pub async fn until<F: Future>(deadline: Instant, mut work: Pin<&mut F>) -> Option<F::Output> {
    if let Poll::Ready(outcome) = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        return Some(outcome);
    }
    tokio::time::timeout_at(deadline, work).await.ok()
}

async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime stops, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_when_nobody_waits() {
        let (sender, receiver) = oneshot::channel();
        let work = to_end(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            sender.send(()).expect("somebody listens");
        });
        assert!(timeout(Duration::from_millis(1), work).await.is_err());
        receiver.await.expect("the work came to its end");
    }

    #[tokio::test]
    async fn gives_the_outcome_and_passes_a_panic_on() {
        assert_eq!(to_end(async { 1 }).await, 1);
        let later = async {
            tokio::task::yield_now().await;
            2
        };
        assert_eq!(to_end(later).await, 2);
        let panicking = tokio::spawn(to_end(async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        }));
        assert!(panicking.await.expect_err("a panic").is_panic());
    }
}
