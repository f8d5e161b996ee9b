//! Which sessions count, kept in memory so that a request does not ask the database.
//!
//! A session is looked up once. Whatever ends one says so here at once for this instance, and writes it down for the others (see
//! [`super::signal`]); while those notes cannot be read, nothing remembered is believed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::policy::EvictionPolicy;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::identity::repository::SessionState;
use crate::identity::watch::{SessionWatch, SessionWatches};
use crate::platform::viewer::Role;

/// Sessions that are remembered; the least used are forgotten first and looked up again.
const REMEMBERED: u64 = 100_000;
/// How long one is remembered before it is looked up again.
const MEMORY: Duration = Duration::from_secs(600);
/// How old the news from other instances may be: what ends there counts here within five seconds.
const MAX_SILENCE: Duration = Duration::from_secs(4);

/// What is known of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Open {
        user_id: Uuid,
        role: Role,
    },
    /// Ended, deleted, of a disabled user, or never there.
    Ended,
}

impl From<Option<SessionState>> for Known {
    fn from(state: Option<SessionState>) -> Self {
        match state {
            Some(state) if state.ended_at.is_none() && !state.is_disabled => Self::Open {
                user_id: state.user_id,
                role: state.role,
            },
            _ => Self::Ended,
        }
    }
}

/// The sessions that this instance remembers, and who waits for their end.
#[derive(Clone)]
pub(crate) struct SessionCache(pub(super) Arc<Inner>);

pub(super) struct Inner {
    known: moka::future::Cache<Uuid, Known>,
    /// Those that have ended lately. They are kept longer than anything in `known`, so that a lookup that began before the end
    /// and is remembered after it does no harm.
    ended: moka::sync::Cache<Uuid, ()>,
    watches: SessionWatches,
    started: Instant,
    /// When the news of other instances were last read, in milliseconds since the start.
    in_step_at: AtomicU64,
}

impl Default for SessionCache {
    fn default() -> Self {
        Self(Arc::new(Inner {
            known: moka::future::Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(MEMORY)
                .build(),
            ended: moka::sync::Cache::builder()
                // The usual policy would refuse a new entry rather than drop an old one.
                .eviction_policy(EvictionPolicy::lru())
                .max_capacity(REMEMBERED)
                .time_to_live(2 * MEMORY)
                .build(),
            watches: SessionWatches::default(),
            started: Instant::now(),
            in_step_at: AtomicU64::new(0),
        }))
    }
}

impl SessionCache {
    /// What is known of the session `id`; `look_up` asks the database.
    pub(crate) async fn find<F>(
        &self,
        id: Uuid,
        look_up: impl FnOnce() -> F,
    ) -> Result<Known, DbErr>
    where
        F: Future<Output = Result<Option<SessionState>, DbErr>>,
    {
        let inner = &self.0;
        let is_in_step = inner.silence() <= MAX_SILENCE;
        // Nearly every request finds its session here. Looking it up is boxed, so that those do not
        // make room for it.
        let known = match is_in_step {
            true => inner.known.get(&id).await,
            false => None,
        };
        let known = match known {
            Some(known) => known,
            None if inner.ended.contains_key(&id) => return Ok(Known::Ended),
            None if !is_in_step => return Ok(Box::pin(look_up()).await?.into()),
            None => {
                let lookup = async { Ok::<_, DbErr>(Known::from(look_up().await?)) };
                let known = Box::pin(inner.known.try_get_with(id, lookup)).await;
                known.map_err(Arc::unwrap_or_clone)?
            }
        };
        // It may have ended while it was looked up.
        Ok(match inner.ended.contains_key(&id) {
            true => Known::Ended,
            false => known,
        })
    }

    /// Begins to watch for the end of a session. Look at the session once more after this call: it may have ended just before.
    pub(crate) fn watch(&self, session_id: Uuid) -> SessionWatch {
        self.0.watches.watch(session_id)
    }

    /// Forgets sessions that have ended, and tells those who watch them. To be called once the end is committed.
    pub(crate) async fn end(&self, sessions: impl IntoIterator<Item = Uuid>) {
        self.0.end(sessions).await;
    }
}

impl Inner {
    pub(super) async fn end(&self, sessions: impl IntoIterator<Item = Uuid>) {
        for id in sessions {
            self.ended.insert(id, ());
            self.known.invalidate(&id).await;
            self.watches.end(id);
        }
    }

    /// Notes that everything that other instances had written down at `time` is known.
    pub(super) fn is_in_step(&self, time: Instant) {
        let at = time.saturating_duration_since(self.started).as_millis();
        self.in_step_at.store(at as u64, Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        let heard = Duration::from_millis(self.in_step_at.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(heard)
    }
}
