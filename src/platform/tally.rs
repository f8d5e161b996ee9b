//! How many of something each of its holders has, up to a limit.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts of holders; a clone counts the same.
#[derive(Debug, Clone)]
pub struct Tally<K: Eq + Hash> {
    counts: Arc<Mutex<HashMap<K, usize>>>,
    max: usize,
}

/// One that is counted, until it is dropped.
#[derive(Debug)]
pub struct Counted<K: Eq + Hash> {
    tally: Tally<K>,
    holder: K,
}

impl<K: Eq + Hash + Clone> Tally<K> {
    /// Nothing yet, and at most `max` for each.
    pub fn new(max: usize) -> Self {
        Self {
            counts: Arc::default(),
            max,
        }
    }

    /// Counts one more for `holder`; `None` when it has too many already.
    pub fn count(&self, holder: K) -> Option<Counted<K>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        // Not by `entry`: a holder that is refused leaves nothing behind.
        let count = counts.get(&holder).copied().unwrap_or_default();
        if count >= self.max {
            return None;
        }
        counts.insert(holder.clone(), count + 1);
        drop(counts);
        Some(Counted {
            tally: self.clone(),
            holder,
        })
    }
}

impl<K: Eq + Hash> Drop for Counted<K> {
    fn drop(&mut self) {
        let counts = &self.tally.counts;
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_holder_until_its_things_are_dropped() {
        let tally = Tally::new(2);
        let first = tally.count("a");
        let second = tally.count("a");
        assert!(first.is_some() && second.is_some() && tally.count("a").is_none());
        assert!(tally.count("b").is_some());
        drop(first);
        let third = tally.count("a");
        assert!(third.is_some() && tally.count("a").is_none());
        drop((second, third));
        assert!(tally.counts.lock().unwrap().is_empty());
    }
}
