//! A slow lane: threads of low priority for work that keeps a processor busy, so that it does not
//! keep short work waiting.

use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// How much these threads give way to others: they get a tenth of a processor that others want.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The threads, one for each processor; there are none before the first work.
#[derive(Debug, Default)]
pub struct Lane {
    threads: OnceLock<Vec<mpsc::UnboundedSender<Job>>>,
    next: AtomicUsize,
}

impl Lane {
    /// The outcome of `work`, which goes on when this future is dropped. A panic passes through.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let (answer, wait) = oneshot::channel();
        let job: Job = Box::pin(async move {
            // An error says that the receiver is gone.
            drop(answer.send(AssertUnwindSafe(work).catch_unwind().await));
        });
        if let Err(job) = self.send(job) {
            // Without threads it is done here.
            tokio::spawn(job);
        }
        match wait.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => resume_unwind(panic),
            // The runtime stops, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        }
    }

    fn send(&self, job: Job) -> Result<(), Job> {
        let threads = self.threads.get_or_init(start);
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        match threads.get(next % threads.len().max(1)) {
            Some(thread) => thread.send(job).map_err(|unsent| unsent.0),
            None => Err(job),
        }
    }
}

fn start() -> Vec<mpsc::UnboundedSender<Job>> {
    let number = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = Handle::current();
    let threads = (0..number).filter_map(|_| {
        let (sender, jobs) = mpsc::unbounded_channel();
        let runtime = runtime.clone();
        let thread = std::thread::Builder::new().name("slow".to_owned());
        let started = thread.spawn(move || {
            lower_priority();
            // Connections and timers stay with the runtime: only computing happens here.
            runtime.block_on(serve(jobs));
        });
        match started {
            Ok(_) => Some(sender),
            Err(error) => {
                tracing::warn!(%error, "A thread for slow work did not start");
                None
            }
        }
    });
    threads.collect()
}

async fn serve(mut jobs: mpsc::UnboundedReceiver<Job>) {
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            job = jobs.recv() => match job {
                Some(job) => running.push(job),
                None => break,
            },
            Some(()) = running.next(), if !running.is_empty() => {}
        }
    }
    while running.next().await.is_some() {}
}

#[cfg(target_os = "linux")]
fn lower_priority() {
    // Of this thread alone.
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "A thread keeps its priority");
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn work_is_done_on_other_threads_with_the_timers_of_the_runtime() {
        let lane = Lane::default();
        let name = || std::thread::current().name().map(str::to_owned);
        let there = lane.run(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            name()
        });
        assert_eq!(there.await.as_deref(), Some("slow"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_panic_passes_through_and_the_lane_goes_on() {
        let lane = Lane::default();
        let panics = lane.run(async { panic!("on purpose") });
        assert!(AssertUnwindSafe(panics).catch_unwind().await.is_err());
        assert_eq!(lane.run(async { 1 }).await, 1);
    }
}
