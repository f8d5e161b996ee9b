//! How many wrong tokens are tried, whosever they are.

use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;

use super::GithubError;
use super::limits::seconds;
use crate::platform::clock::Timestamp;

/// Wrong tokens of users that are tried in a minute.
const MAX_WRONG_TOKENS: u32 = 20;
const WRONG_TOKENS_WINDOW: TimeDelta = TimeDelta::seconds(60);

/// Tokens that GitHub did not accept within a minute. After some more it would refuse everything that comes from our address, good
/// tokens too.
#[derive(Debug)]
pub(super) struct WrongTokens(Mutex<(u32, Timestamp)>);

impl Default for WrongTokens {
    fn default() -> Self {
        Self(Mutex::new((0, Timestamp::EPOCH)))
    }
}

impl WrongTokens {
    pub(super) fn check(&self, now: Timestamp) -> Result<(), GithubError> {
        let (number, since) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = WRONG_TOKENS_WINDOW - (now - since);
        let is_recent = (TimeDelta::zero()..=WRONG_TOKENS_WINDOW).contains(&left);
        match number >= MAX_WRONG_TOKENS && is_recent {
            true => Err(GithubError::RateLimited {
                retry_after_seconds: seconds(left),
            }),
            false => Ok(()),
        }
    }

    pub(super) fn count(&self, now: Timestamp) {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = now - tally.1;
        if !(TimeDelta::zero()..WRONG_TOKENS_WINDOW).contains(&age) {
            *tally = (0, now);
        }
        tally.0 += 1;
    }
}
