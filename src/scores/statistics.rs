//! Numbers about many scores, from how often each value occurs. Pure; nothing is estimated.

use crate::entity::rubric::Aggregation;

/// Fewest values of which the highest and the lowest are left out.
const TRIMMED_FROM: u64 = 5;

/// How often each value occurs, in ascending order of the values; no count is zero.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Histogram(Vec<(f64, u64)>);

impl Histogram {
    /// From values and how often they occur, in any order; what does not occur is left out.
    pub(crate) fn new(counts: impl IntoIterator<Item = (f64, i64)>) -> Self {
        let mut counts: Vec<(f64, u64)> = counts
            .into_iter()
            .filter_map(|(value, count)| Some((value, u64::try_from(count).ok()?)))
            .filter(|(_, count)| *count > 0)
            .collect();
        counts.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self(counts)
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// How often `value` occurs.
    pub(crate) fn count_of(&self, value: f64) -> u64 {
        let place = self
            .0
            .binary_search_by(|(known, _)| known.total_cmp(&value));
        place.map_or(0, |place| self.0[place].1)
    }

    /// By one of the three ways; `None` without values.
    pub(crate) fn aggregate(&self, aggregation: Aggregation) -> Option<f64> {
        match aggregation {
            Aggregation::Mean => self.mean(),
            Aggregation::TrimmedMean => self.trimmed_mean(),
            Aggregation::Median => self.median(),
        }
    }

    /// The arithmetic mean.
    pub(crate) fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum(|value| value) / count as f64)
    }

    /// The mean without one highest and one lowest value when there are at least 5, of all when there are fewer.
    pub(crate) fn trimmed_mean(&self) -> Option<f64> {
        let count = self.count();
        if count < TRIMMED_FROM {
            return self.mean();
        }
        let mut trimmed = self.clone();
        let last = trimmed.0.len() - 1;
        trimmed.0[0].1 -= 1;
        trimmed.0[last].1 -= 1;
        trimmed.mean()
    }

    /// The value in the middle, or the mean of the two in the middle.
    pub(crate) fn median(&self) -> Option<f64> {
        let count = self.count();
        let upper = self.nth(count / 2)?;
        match count % 2 {
            1 => Some(upper),
            _ => Some((self.nth(count / 2 - 1)? + upper) / 2.0),
        }
    }

    /// The standard deviation of the population: these values are all there are, not a sample.
    pub(crate) fn standard_deviation(&self) -> Option<f64> {
        let mean = self.mean()?;
        let squares = self.sum(|value| (value - mean) * (value - mean));
        Some((squares / self.count() as f64).sqrt())
    }

    /// The value at `place` of all values in ascending order.
    fn nth(&self, place: u64) -> Option<f64> {
        let mut before = 0;
        for (value, count) in &self.0 {
            before += count;
            if place < before {
                return Some(*value);
            }
        }
        None
    }

    /// The sum over all values, by Neumaier: what rounding takes away is added in the end, so a million values lose nothing.
    fn sum(&self, of: impl Fn(f64) -> f64) -> f64 {
        let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
        for (value, count) in &self.0 {
            let term = of(*value) * *count as f64;
            let next = sum + term;
            lost += match sum.abs() >= term.abs() {
                true => (sum - next) + term,
                false => (term - next) + sum,
            };
            sum = next;
        }
        sum + lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Histogram {
        Histogram::new(values.iter().map(|value| (*value, 1)))
    }

    /// The same values as pairs of value and count.
    fn grouped(values: &[f64]) -> Histogram {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted.dedup();
        let count = |value: &f64| values.iter().filter(|other| *other == value).count() as i64;
        Histogram::new(sorted.iter().map(|value| (*value, count(value))))
    }

    #[test]
    fn nothing_has_no_middle() {
        let empty = Histogram::new([(1.0, 0), (2.0, -1)]);
        assert_eq!(
            (empty.count(), empty.mean(), empty.median()),
            (0, None, None)
        );
        assert_eq!(
            (empty.trimmed_mean(), empty.standard_deviation()),
            (None, None)
        );
    }

    #[test]
    fn agrees_with_what_is_reckoned_by_hand() {
        // statistics.mean, median and pstdev of Python.
        let values = grouped(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!(values.mean(), Some(5.0));
        assert_eq!(values.median(), Some(4.5));
        assert_eq!(values.standard_deviation(), Some(2.0));
        assert_eq!(values.trimmed_mean(), Some(29.0 / 6.0));
        assert_eq!(values.count_of(4.0), 3);
        assert_eq!(values.count_of(3.0), 0);
    }

    #[test]
    fn trims_from_five_on_and_one_of_each_only() {
        assert_eq!(of(&[0.0, 1.0, 1.0, 100.0]).trimmed_mean(), Some(25.5));
        assert_eq!(of(&[0.0, 1.0, 2.0, 3.0, 100.0]).trimmed_mean(), Some(2.0));
        assert_eq!(grouped(&[1.0; 5]).trimmed_mean(), Some(1.0));
        assert_eq!(
            grouped(&[0.0, 0.0, 3.0, 9.0, 9.0]).trimmed_mean(),
            Some(4.0)
        );
    }

    #[test]
    fn loses_nothing_in_a_million() {
        let values = Histogram::new([(0.1, 1_000_000), (1e9, 1)]);
        let expected = (100_000.0 + 1e9) / 1_000_001.0;
        assert_eq!(values.mean(), Some(expected));
    }
}
