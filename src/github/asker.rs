//! Who asks of GitHub, and how long they wait: one for each request, however many fields of it ask.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_graphql::Context;
use moka::sync::Cache;
use tokio::time::Instant;

use crate::clients::github::GithubError;
use crate::github::GithubService;
use crate::graphql::context::{request, service};
use crate::graphql::error::ApiError;
use crate::graphql::scope::{PerRequest, RequestScope};
use crate::platform::address::network_of;

/// Addresses that are remembered for a minute.
const REMEMBERED: u64 = 100_000;
const WINDOW: Duration = Duration::from_secs(60);

/// Questions that no copy answered, by the address that they came from: the budget at GitHub is everybody's.
#[derive(Clone)]
pub(crate) struct Questions {
    asked: Cache<IpAddr, Arc<AtomicU32>>,
    per_minute: u32,
}

impl Questions {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self {
            asked: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(WINDOW)
                .build(),
            per_minute,
        }
    }

    fn take(&self, address: IpAddr) -> Result<(), GithubError> {
        let asked = self.asked.get_with(network_of(address), Arc::default);
        match asked.fetch_add(1, Ordering::Relaxed) < self.per_minute {
            true => Ok(()),
            false => Err(GithubError::TooMany {
                retry_after_seconds: WINDOW.as_secs(),
            }),
        }
    }
}

/// The asker of one request.
pub struct Asker {
    address: IpAddr,
    questions: Option<Questions>,
    /// When the request has waited long enough for GitHub; what else it asks for must not be lost with it.
    until: Option<Instant>,
    timeout: Duration,
    /// When it has waited long enough for something newer than old copies.
    until_old: OnceLock<Instant>,
}

impl PerRequest for Asker {
    fn make(ctx: &Context<'_>, scope: &RequestScope) -> Result<Self, ApiError> {
        let github: &GithubService = service(ctx)?;
        Ok(github.asker(request(ctx)?.client_address, scope.deadline))
    }
}

impl Asker {
    pub(crate) fn new(
        address: IpAddr,
        questions: Option<Questions>,
        until: Option<Instant>,
        timeout: Duration,
    ) -> Self {
        Self {
            address,
            questions,
            until,
            timeout,
            until_old: OnceLock::new(),
        }
    }

    /// Counts a question that no copy answers.
    pub(crate) fn charge(&self) -> Result<(), GithubError> {
        match &self.questions {
            Some(questions) => questions.take(self.address),
            None => Ok(()),
        }
    }

    /// Until when to wait for what there is no copy of.
    pub(crate) fn until(&self) -> Instant {
        let longest = Instant::now() + self.timeout;
        self.until.map_or(longest, |until| until.min(longest))
    }

    /// Until when to wait with an old copy at hand: the first wait of a request counts for all of them.
    pub(crate) fn until_old(&self, patience: Duration) -> Instant {
        let until = *self.until_old.get_or_init(|| Instant::now() + patience);
        until.min(self.until())
    }
}
