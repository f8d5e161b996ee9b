//! Guessing passwords made slow: failures are counted for an account as seen from one address, and for the address.
//!
//! An attempt is counted before it is made and given back when it succeeds, so that many at once get no further than one after
//! the other. Only sign-in by password is counted: a code of WeChat cannot be guessed, and the addresses of mobile networks
//! are shared by many people.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

use crate::identity::error::IdentityError;
use crate::platform::address::network_of;
use crate::platform::clock::Timestamp;
use crate::platform::config::RateLimitConfig;
use crate::platform::digest::sha256_hex;

const WINDOW_MS: i64 = 60_000;
const LONGEST_WAIT_MS: i64 = 3_600_000;
/// Accounts and addresses that are remembered; the least used are forgotten first.
const REMEMBERED: u64 = 100_000;

/// Failures within a minute, and how often the caller was made to wait because of them.
#[derive(Debug, Default)]
struct Tally {
    failures: u32,
    since: i64,
    strikes: u32,
    blocked_until: i64,
}

impl Tally {
    /// Counts an attempt as failed; the time to wait in milliseconds when it may not be made.
    fn take(&mut self, limit: u32, now: i64) -> Result<(), i64> {
        if now < self.blocked_until {
            return Err(self.blocked_until - now);
        }
        if self.strikes > 0 && now - self.blocked_until > LONGEST_WAIT_MS {
            *self = Self::default();
        }
        if self.strikes > 0 {
            let wait = WINDOW_MS.saturating_mul(1 << self.strikes.min(16));
            self.strikes += 1;
            self.blocked_until = now + wait.min(LONGEST_WAIT_MS);
            return Ok(());
        }
        if now - self.since >= WINDOW_MS {
            (self.failures, self.since) = (0, now);
        }
        if self.failures < limit {
            self.failures += 1;
            return Ok(());
        }
        self.strikes = 1;
        self.blocked_until = self.since + WINDOW_MS;
        Err(self.blocked_until - now)
    }

    /// Takes back what [`Tally::take`] counted last.
    fn give_back(&mut self, now: i64) {
        if self.strikes > 1 {
            self.strikes -= 1;
            self.blocked_until = now;
        } else {
            self.failures = self.failures.saturating_sub(1);
        }
    }
}

type Tallies<K> = Cache<K, Arc<Mutex<Tally>>>;

/// Counts failures of this instance.
#[derive(Clone)]
pub(crate) struct SignInThrottle {
    accounts: Tallies<(IpAddr, String)>,
    addresses: Tallies<IpAddr>,
    per_account: u32,
    per_address: u32,
}

/// An attempt that may be made, counted as failed until it is told otherwise.
#[must_use]
pub(crate) struct Attempt {
    account: Arc<Mutex<Tally>>,
    address: Arc<Mutex<Tally>>,
}

impl SignInThrottle {
    /// With no failures; `None` when nothing is limited.
    pub(crate) fn new(config: &RateLimitConfig) -> Option<Self> {
        config.enabled.then(|| Self {
            accounts: tallies(),
            addresses: tallies(),
            per_account: config.failures_per_account,
            per_address: config.failures_per_address,
        })
    }

    /// Counts an attempt to sign in to the account of `key`, whether there is one or not.
    ///
    /// # Errors
    /// `TooManyFailures`.
    pub(crate) fn begin(
        &self,
        key: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Attempt, IdentityError> {
        let (address, now) = (network_of(address), now.millis());
        let key = (address, sha256_hex(key.as_bytes()));
        let attempt = Attempt {
            account: self.accounts.get_with(key, Arc::default),
            address: self.addresses.get_with(address, Arc::default),
        };
        let too_many = |wait: i64| IdentityError::TooManyFailures {
            retry_after_seconds: (wait as u64).div_ceil(1000),
        };
        let mut by_address = lock(&attempt.address);
        by_address.take(self.per_address, now).map_err(too_many)?;
        let taken = lock(&attempt.account).take(self.per_account, now);
        if let Err(wait) = taken {
            by_address.give_back(now);
            return Err(too_many(wait));
        }
        drop(by_address);
        Ok(attempt)
    }

    /// Forgets the failures of the account of `key`, and those of the addresses that they came from.
    pub(crate) fn forgive(&self, key: &str) {
        let account = sha256_hex(key.as_bytes());
        for (key, tally) in &self.accounts {
            if key.1 == account {
                *lock(&tally) = Tally::default();
                if let Some(tally) = self.addresses.get(&key.0) {
                    *lock(&tally) = Tally::default();
                }
            }
        }
    }
}

impl Attempt {
    /// The password was right: earlier failures of the account from this address are forgiven, those of the address with
    /// other accounts are not.
    pub(crate) fn succeeded(self, now: Timestamp) {
        *lock(&self.account) = Tally::default();
        lock(&self.address).give_back(now.millis());
    }

    /// It was never found out whether the password was right.
    pub(crate) fn was_not_made(self, now: Timestamp) {
        lock(&self.account).give_back(now.millis());
        lock(&self.address).give_back(now.millis());
    }
}

fn tallies<K: Eq + std::hash::Hash + Send + Sync + 'static>() -> Tallies<K> {
    Cache::builder()
        .max_capacity(REMEMBERED)
        .time_to_idle(Duration::from_millis(2 * LONGEST_WAIT_MS as u64))
        .build()
}

fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_the_wait_after_the_limit() {
        let mut tally = Tally::default();
        for _ in 0..5 {
            assert_eq!(tally.take(5, 1_000_000), Ok(()));
        }
        assert_eq!(tally.take(5, 1_010_000), Err(50_000));
        assert_eq!(tally.take(5, 1_060_000), Ok(()));
        assert_eq!(tally.take(5, 1_060_000), Err(120_000));
        assert_eq!(tally.take(5, 1_180_000), Ok(()));
        assert_eq!(tally.take(5, 1_180_000), Err(240_000));
        tally.give_back(1_180_000);
        assert_eq!(tally.take(5, 1_180_000), Ok(()));
        let mut now = 2_000_000_000;
        assert_eq!(tally.take(5, now), Ok(()), "an hour of quiet forgives");
        for _ in 0..4 {
            assert_eq!(tally.take(5, now), Ok(()));
        }
        for _ in 0..12 {
            now += tally.take(5, now).err().unwrap_or(0);
        }
        assert_eq!(tally.blocked_until - now, LONGEST_WAIT_MS);
    }

    #[test]
    fn slow_failures_are_not_counted_together() {
        let mut tally = Tally::default();
        for minute in 0..20 {
            assert_eq!(tally.take(1, minute * WINDOW_MS + WINDOW_MS), Ok(()));
        }
    }
}
