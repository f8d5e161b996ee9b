//! What instances that share a database tell each other: which sessions have ended, and whose failed sign-ins are forgiven.
//!
//! A note is written in the transaction of what it tells of, and every instance reads the new notes every two seconds. That also
//! reaches a server from the command line. Clocks may differ by less than a minute.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::entity::identity_signal;
use crate::identity::repository::{self, Ended, Which};
use crate::identity::session_cache::{self, SessionCache};
use crate::identity::throttle::SignInThrottle;
use crate::platform::clock::{Clock, Timestamp};
use crate::platform::db::Database;
use crate::platform::id::new_id;

/// How often the notes are read.
const INTERVAL: Duration = Duration::from_secs(2);
/// How far back they are read: so much may lie between the time of a note and its commit, and between two clocks.
const OVERLAP: TimeDelta = TimeDelta::seconds(60);

/// Ends sessions of a user and writes down for the others that they did. Once that is committed, this instance is to be told by
/// [`SessionCache::end`].
pub(super) async fn end_sessions(
    tx: &impl ConnectionTrait,
    user_id: Uuid,
    which: Which,
    now: Timestamp,
) -> Result<Ended, DbErr> {
    let ended = repository::end_sessions(tx, user_id, which, now).await?;
    let rows = ended.ids.iter().map(|id| identity_signal::Model {
        id: new_id(),
        user_id,
        session_id: Some(*id),
        created_at: now,
    });
    repository::insert_signals(tx, rows.collect()).await?;
    Ok(ended)
}

/// Writes down that the failed sign-ins of a user are forgiven.
pub(super) async fn forgive(
    tx: &impl ConnectionTrait,
    user_id: Uuid,
    now: Timestamp,
) -> Result<(), DbErr> {
    let row = identity_signal::Model {
        id: new_id(),
        user_id,
        session_id: None,
        created_at: now,
    };
    repository::insert_signals(tx, vec![row]).await
}

/// Reads what other instances write down, as long as the server lives.
pub(super) struct Listener {
    pub(super) db: Weak<Database>,
    pub(super) sessions: Weak<session_cache::Inner>,
    pub(super) throttle: Option<SignInThrottle>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Listener {
    pub(super) fn new(
        db: &Arc<Database>,
        sessions: &SessionCache,
        throttle: Option<SignInThrottle>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            db: Arc::downgrade(db),
            sessions: Arc::downgrade(&sessions.0),
            throttle,
            clock,
        }
    }

    /// Listens until the server is gone.
    pub(super) async fn run(self) {
        let mut read_at = self.clock.now();
        let mut heard = HashSet::new();
        let mut is_deaf = false;
        loop {
            tokio::time::sleep(INTERVAL).await;
            let (Some(db), Some(sessions)) = (self.db.upgrade(), self.sessions.upgrade()) else {
                return;
            };
            let now = self.clock.now();
            // What is written after this moment may be missing from the answer, however late that comes.
            let asked_at = Instant::now();
            match repository::list_signals(db.background(), read_at - OVERLAP).await {
                Ok(signals) => {
                    let news = signals.iter().filter(|signal| !heard.contains(&signal.id));
                    for signal in news {
                        match signal.session_id {
                            Some(id) => sessions.end([id]).await,
                            None => self.forgive(signal.user_id),
                        }
                    }
                    sessions.is_in_step(asked_at);
                    heard = signals.into_iter().map(|signal| signal.id).collect();
                    (read_at, is_deaf) = (now, false);
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_deaf, true) {
                        tracing::warn!(
                            %error,
                            "What other instances end cannot be read; sessions are looked up each time"
                        );
                    }
                }
            }
        }
    }

    fn forgive(&self, user_id: Uuid) {
        if let Some(throttle) = &self.throttle {
            throttle.forgive(&user_id.to_string());
        }
    }
}
