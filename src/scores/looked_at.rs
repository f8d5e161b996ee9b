//! How many scores results of a period or an account look at, for those who count what requests cost.

use std::time::Duration;

use moka::sync::Cache;
use uuid::Uuid;

/// Rubrics that are remembered, and for how long.
const REMEMBERED: u64 = 10_000;
const MEMORY: Duration = Duration::from_secs(60);

/// The most scores that results of a rubric looked at lately.
#[derive(Debug, Clone)]
pub(crate) struct LookedAt(Cache<Uuid, u64>);

impl LookedAt {
    pub(super) fn new() -> Self {
        let cache = Cache::builder()
            .max_capacity(REMEMBERED)
            .time_to_live(MEMORY);
        Self(cache.build())
    }

    /// As far as it is known; 0 otherwise.
    pub(crate) fn of(&self, rubric_id: Uuid) -> u64 {
        self.0.get(&rubric_id).unwrap_or_default()
    }

    /// It was so many now; how many more than [`LookedAt::of`] said.
    pub(crate) fn learn(&self, rubric_id: Uuid, scores: u64) -> u64 {
        let more = scores.saturating_sub(self.of(rubric_id));
        if more > 0 {
            self.0.insert(rubric_id, scores);
        }
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_most() {
        let (looked_at, rubric) = (LookedAt::new(), Uuid::from_u128(1));
        assert_eq!(looked_at.of(rubric), 0);
        assert_eq!(looked_at.learn(rubric, 50), 50);
        assert_eq!(looked_at.learn(rubric, 40), 0);
        assert_eq!(looked_at.learn(rubric, 70), 20);
        assert_eq!(looked_at.of(rubric), 70);
    }
}
