//! Batching: what all loaders share.

use uuid::Uuid;

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

/// Starts the batch after the other resolvers of the same level have run and added their keys.
pub async fn yield_to_siblings() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
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
