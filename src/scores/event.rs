//! Telling who watches a rubric that its results have changed. Events live in this process only.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

use crate::entity::score;

/// The newest submission of a rubric since somebody watches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Submitted {
    /// Another one for every submission, of whichever rubric; 0 before the first.
    pub(crate) number: u64,
    /// The score as it was stored.
    pub(crate) score: Option<Arc<score::Model>>,
}

/// Who watches which rubric. A watcher who is busy sees the newest submission next, so a burst costs it one look and its end is
/// never missed.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScoreEvents {
    rubrics: Arc<Mutex<HashMap<Uuid, watch::Sender<Submitted>>>>,
    count: Arc<AtomicU64>,
}

impl ScoreEvents {
    /// Tells those who watch, if there are any. Call it after the commit.
    pub(crate) fn publish(&self, score: &score::Model) {
        let mut rubrics = self.lock();
        let Some(sender) = rubrics.get(&score.rubric_id) else {
            return;
        };
        if sender.receiver_count() == 0 {
            rubrics.remove(&score.rubric_id);
            return;
        }
        sender.send_replace(Submitted {
            number: self.count.fetch_add(1, Ordering::Relaxed) + 1,
            score: Some(Arc::new(score.clone())),
        });
    }

    /// The submissions of a rubric from now on.
    pub(crate) fn watch(&self, rubric_id: Uuid) -> watch::Receiver<Submitted> {
        self.lock()
            .entry(rubric_id)
            .or_insert_with(|| watch::Sender::new(Submitted::default()))
            .subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, watch::Sender<Submitted>>> {
        self.rubrics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
