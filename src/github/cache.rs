//! Copies of what GitHub told: fresh for a while, then served only while GitHub has nothing newer to say.
//!
//! Who asks for what is fresh gets it. Who asks for what is not starts a fetch, or waits for the one that somebody else started:
//! there is one at a time for a key. With an old copy at hand nobody waits longer than a blink, and the fetch goes on without them.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use moka::policy::EvictionPolicy;
use moka::sync::Cache as Store;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clients::github::{Fetched, GithubError};
use crate::github::asker::Asker;
use crate::platform::clock::{Clock, Timestamp};
use crate::platform::request;

/// How long "there is none" is believed, and how long one waits then to hear otherwise.
const ABSENCE: TimeDelta = TimeDelta::seconds(60);
const ABSENCE_PATIENCE: Duration = Duration::from_millis(500);
/// No copy is fresh for longer because GitHub says so.
const LONGEST_POLL: TimeDelta = TimeDelta::hours(1);
/// How long a key is left alone after a failure; doubled each time.
const PAUSE: TimeDelta = TimeDelta::seconds(1);
const LONGEST_PAUSE: TimeDelta = TimeDelta::seconds(60);
/// What an entry takes besides its value, in bytes.
const ENTRY_BYTES: usize = 512;

/// How long copies serve.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    /// Without asking GitHub.
    pub(crate) fresh: TimeDelta,
    /// While it does not answer.
    pub(crate) stale: TimeDelta,
    /// How long those who have an old copy at hand wait for a newer one.
    pub(crate) patience: Duration,
}

/// What can be kept.
pub(crate) trait Keep: Send + Sync + 'static {
    /// Bytes that it takes, roughly.
    fn bytes(&self) -> usize;

    /// Whether it says that there is no such thing, which is believed for a short time only.
    fn is_absence(&self) -> bool {
        false
    }

    /// Whether what was not there may come any moment, so that people would miss it.
    fn may_come() -> bool {
        true
    }
}

impl<T: Keep> Keep for Option<T> {
    fn bytes(&self) -> usize {
        self.as_ref().map_or(0, Keep::bytes)
    }

    fn is_absence(&self) -> bool {
        self.is_none() && T::may_come()
    }
}

/// A value as it was when it was fetched.
#[derive(Debug)]
pub(crate) struct Snapshot<V> {
    pub(crate) value: Arc<V>,
    /// When GitHub last said so.
    pub(crate) fetched_at: Timestamp,
    /// Whether it should have been fetched again by now.
    pub(crate) is_stale: bool,
}

impl<V> Clone for Snapshot<V> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            fetched_at: self.fetched_at,
            is_stale: self.is_stale,
        }
    }
}

struct Copy<V> {
    value: Arc<V>,
    etag: Option<String>,
    fetched_at: Timestamp,
    fresh_for: TimeDelta,
}

struct Failure {
    error: GithubError,
    at: Timestamp,
    pause: TimeDelta,
}

struct State<V> {
    copy: Option<Copy<V>>,
    failure: Option<Failure>,
    /// Ends with the fetch that is under way, which began at this time.
    flight: Option<(watch::Receiver<()>, Instant)>,
}

struct Slot<V> {
    state: Mutex<State<V>>,
}

impl<V> Slot<V> {
    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Default for Slot<V> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                copy: None,
                failure: None,
                flight: None,
            }),
        }
    }
}

impl<V: Keep> Slot<V> {
    fn bytes(&self) -> u32 {
        let bytes = self
            .lock()
            .copy
            .as_ref()
            .map_or(0, |copy| copy.value.bytes());
        u32::try_from(bytes + ENTRY_BYTES).unwrap_or(u32::MAX)
    }
}

impl<V> State<V> {
    /// The copy, if it may be served; an old one only until `stale`. A clock that was put back makes a copy old.
    fn snapshot(&self, now: Timestamp, stale: TimeDelta) -> Option<Snapshot<V>> {
        let copy = self.copy.as_ref()?;
        let age = now - copy.fetched_at;
        let is_fresh = (TimeDelta::zero()..copy.fresh_for).contains(&age);
        (is_fresh || age < stale).then(|| Snapshot {
            value: Arc::clone(&copy.value),
            fetched_at: copy.fetched_at,
            is_stale: !is_fresh,
        })
    }

    /// The failure of a moment ago, after which nobody tries yet.
    fn recent_failure(&self, now: Timestamp) -> Option<GithubError> {
        let failure = self.failure.as_ref()?;
        let is_recent = (TimeDelta::zero()..failure.pause).contains(&(now - failure.at));
        is_recent.then_some(failure.error)
    }
}

/// Copies of one kind of thing by their keys.
pub(crate) struct Cache<K, V> {
    slots: Store<K, Arc<Slot<V>>>,
    lifetimes: Lifetimes,
    clock: Arc<dyn Clock>,
}

impl<K, V> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self {
            slots: self.slots.clone(),
            lifetimes: self.lifetimes,
            clock: Arc::clone(&self.clock),
        }
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static, V: Keep> Cache<K, V> {
    /// An empty cache of so many bytes; the least used is forgotten first.
    pub(crate) fn new(max_bytes: u64, lifetimes: Lifetimes, clock: Arc<dyn Clock>) -> Self {
        Self {
            slots: Store::builder()
                .max_capacity(max_bytes)
                // What is asked for now comes in, however popular the rest is: a fetch must be found while it is under way.
                .eviction_policy(EvictionPolicy::lru())
                .weigher(|_, slot: &Arc<Slot<V>>| slot.bytes())
                .time_to_idle(lifetimes.stale.to_std().unwrap_or(Duration::MAX))
                .build(),
            lifetimes,
            clock,
        }
    }

    /// The fresh copy of `key`; else what `fetch` gets, given the ETag of the old copy; else the old copy.
    ///
    /// # Errors
    /// What `fetch` met, when there is no copy that may be served.
    pub(crate) async fn get<F>(
        &self,
        asker: &Asker,
        key: K,
        fetch: impl FnOnce(Option<String>) -> F,
    ) -> Result<Snapshot<V>, GithubError>
    where
        F: Future<Output = Result<Fetched<V>, GithubError>> + Send + 'static,
    {
        self.get_unless(asker, false, key, fetch).await
    }

    /// As [`Cache::get`]; who has something else to show waits no longer than with an old copy.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub(crate) async fn get_unless<F>(
        &self,
        asker: &Asker,
        has_other: bool,
        key: K,
        fetch: impl FnOnce(Option<String>) -> F,
    ) -> Result<Snapshot<V>, GithubError>
    where
        F: Future<Output = Result<Fetched<V>, GithubError>> + Send + 'static,
    {
        let slot = self.slots.get_with(key.clone(), Arc::default);
        let (old, (mut flight, began), start) = {
            let mut state = slot.lock();
            let now = self.clock.now();
            let old = state.snapshot(now, self.lifetimes.stale);
            if let Some(copy) = old.as_ref().filter(|copy| !copy.is_stale) {
                return Ok(copy.clone());
            }
            if let Some(error) = state.recent_failure(now) {
                return old.ok_or(error);
            }
            let (flight, start) = match &state.flight {
                Some((flight, began)) => ((flight.clone(), *began), None),
                None => {
                    if old.is_none() {
                        asker.charge()?;
                    }
                    let etag = state.copy.as_ref().and_then(|copy| copy.etag.clone());
                    let (landing, flight) = watch::channel(());
                    let flight = (flight, Instant::now());
                    state.flight = Some(flight.clone());
                    (flight, Some((etag, landing)))
                }
            };
            (old, flight, start)
        };
        if let Some((etag, landing)) = start {
            let flight = Flight {
                cache: self.clone(),
                slot: Arc::clone(&slot),
                key,
                _landing: landing,
            };
            // It goes on when the one who asked first has gone.
            let fetch = flight.make(fetch(etag));
            match request::current() {
                Some(request) => drop(tokio::spawn(request.detached().scope(fetch))),
                None => drop(tokio::spawn(fetch)),
            }
        }
        // The sender sends nothing: it ends.
        let landed = async { drop(flight.changed().await) };
        let patience = self.lifetimes.patience;
        let patience = match &old {
            // What was not there may have been made since.
            Some(old) if old.value.is_absence() => Some(ABSENCE_PATIENCE.max(patience)),
            Some(_) => Some(patience),
            None => has_other.then_some(patience),
        };
        let until = match patience {
            // A fetch that has taken so long already is not waited for by everybody who comes.
            Some(patience) => asker.until_old(patience).min(began + patience),
            None => asker.until(),
        };
        // A fetch is nothing that takes a place here.
        let landed = request::waiting(tokio::time::timeout_at(until, landed));
        if landed.await.is_err() {
            return old.ok_or(GithubError::Unavailable);
        }
        let state = slot.lock();
        let now = self.clock.now();
        match state.snapshot(now, self.lifetimes.stale) {
            Some(copy) => Ok(copy),
            None => Err(state
                .failure
                .as_ref()
                .map_or(GithubError::Unavailable, |failure| failure.error)),
        }
    }

    /// The copy of `key`, if there is a fresh one. Asks nobody.
    pub(crate) fn fresh(&self, key: &K) -> Option<Snapshot<V>> {
        self.usable(key).filter(|copy| !copy.is_stale)
    }

    /// The copy of `key`, also an old one that may still be served. Asks nobody.
    pub(crate) fn usable(&self, key: &K) -> Option<Snapshot<V>> {
        let slot = self.slots.get(key)?;
        let state = slot.lock();
        state.snapshot(self.clock.now(), self.lifetimes.stale)
    }

    /// Keeps what came by another way.
    pub(crate) fn put(&self, key: K, value: Arc<V>) {
        let slot = self.slots.get_with(key.clone(), Arc::default);
        self.keep(&mut slot.lock(), value, None, None);
        self.slots.insert(key, slot);
    }

    fn keep(
        &self,
        state: &mut State<V>,
        value: Arc<V>,
        etag: Option<String>,
        poll: Option<TimeDelta>,
    ) {
        let fresh = self.lifetimes.fresh;
        let fresh_for = match value.is_absence() {
            true => fresh.min(ABSENCE),
            false => poll.map_or(fresh, |poll| fresh.max(poll.min(LONGEST_POLL))),
        };
        state.copy = Some(Copy {
            value,
            etag,
            fetched_at: self.clock.now(),
            fresh_for,
        });
        state.failure = None;
    }
}

/// A fetch that is under way. However it ends, those who wait are told.
struct Flight<K, V> {
    cache: Cache<K, V>,
    slot: Arc<Slot<V>>,
    key: K,
    _landing: watch::Sender<()>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static, V: Keep> Flight<K, V> {
    async fn make(self, fetch: impl Future<Output = Result<Fetched<V>, GithubError>>) {
        let outcome = fetch.await;
        let mut state = self.slot.lock();
        let now = self.cache.clock.now();
        match outcome {
            Ok(Fetched::New { value, etag, poll }) => {
                self.cache.keep(&mut state, Arc::new(value), etag, poll);
            }
            Ok(Fetched::Unchanged) => {
                if let Some(copy) = &mut state.copy {
                    copy.fetched_at = now;
                }
                state.failure = None;
            }
            Err(error) => {
                if error == GithubError::Unauthorized {
                    // Whoever asked has no right to it any more.
                    state.copy = None;
                }
                let last = state.failure.as_ref().map(|failure| failure.pause);
                let pause = match error {
                    // Whoever counts the budget knows when to try again.
                    GithubError::RateLimited { .. } => TimeDelta::zero(),
                    _ => last.map_or(PAUSE, |last| (last * 2).clamp(PAUSE, LONGEST_PAUSE)),
                };
                state.failure = Some(Failure {
                    error,
                    at: now,
                    pause,
                });
            }
        }
        drop(state);
        // Weighs it anew.
        self.cache
            .slots
            .insert(self.key.clone(), Arc::clone(&self.slot));
    }
}

impl<K, V> Drop for Flight<K, V> {
    fn drop(&mut self) {
        let mut state = self.slot.lock();
        state.flight = None;
        if std::thread::panicking() {
            state.failure = Some(Failure {
                error: GithubError::Unavailable,
                at: self.cache.clock.now(),
                pause: LONGEST_PAUSE,
            });
            let panics = crate::platform::telemetry::count_panic();
            tracing::error!(panics, "Fetching from GitHub panicked");
        }
    }
}

impl<K, V> Debug for Cache<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}
