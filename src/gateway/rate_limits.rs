//! How often one user, or one address, may do things: token buckets that hold a minute's worth.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use uuid::Uuid;

use crate::gateway::complexity::Operation;
use crate::gateway::refusal::rate_limited;
use crate::graphql::error::ApiError;
use crate::platform::address::network_of;
use crate::platform::config::RateLimitConfig;
use crate::platform::viewer::Viewer;

/// Fields that open a session, check a password or use a WeChat code; each request may have one of
/// them.
const SIGN_INS: [&str; 8] = [
    "login",
    "register",
    "refreshSession",
    "changePassword",
    "linkWechat",
    "linkGithub",
    "bindPhoneNumber",
    "deleteAccount",
];
/// Tells who has an account, as a sign-in might.
const ENUMERATES: [&str; 2] = ["usernameAvailable", "updateProfile"];

/// How often buckets that are full again are forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// What an operation counts as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Charges {
    /// Sign-ins.
    pub sign_ins: u32,
    /// Other mutations.
    pub writes: u32,
    /// Fields of queries and subscriptions.
    pub reads: u32,
}

impl Charges {
    /// One for each root field, whatever its alias; what comes on top of [`Charges::REFUSED`].
    pub fn of(operation: &Operation) -> Self {
        let mut charges = Self::default();
        for field in &operation.root_fields {
            match operation.kind {
                OperationType::Mutation if SIGN_INS.contains(&field.as_str()) => {
                    charges.sign_ins += 1;
                }
                OperationType::Mutation | OperationType::Query
                    if ENUMERATES.contains(&field.as_str()) =>
                {
                    charges.sign_ins += 1;
                }
                OperationType::Mutation => charges.writes += 1,
                OperationType::Query | OperationType::Subscription => charges.reads += 1,
            }
        }
        charges.reads = charges.reads.saturating_sub(1);
        charges
    }

    /// What every operation costs before it is looked at, so that whoever is over the limit costs
    /// nothing more.
    pub const REFUSED: Self = Self {
        sign_ins: 0,
        writes: 0,
        reads: 1,
    };
}

/// How many sign-ins an operation asks for.
pub fn sign_ins(operation: &Operation) -> u32 {
    let fields = operation.root_fields.iter();
    match operation.kind {
        OperationType::Mutation => fields
            .filter(|field| SIGN_INS.contains(&field.as_str()))
            .count() as u32,
        _ => 0,
    }
}

type Buckets<K> = DefaultKeyedRateLimiter<K>;

/// The buckets of this instance.
pub struct RateLimits {
    auth_by_address: Buckets<IpAddr>,
    write_by_user: Buckets<Uuid>,
    write_by_address: Buckets<IpAddr>,
    read_by_user: Buckets<Uuid>,
    read_by_address: Buckets<IpAddr>,
}

impl RateLimits {
    /// Full buckets; `None` when limits are off.
    pub fn new(config: &RateLimitConfig) -> Option<Arc<Self>> {
        let limits = config.enabled.then(|| {
            Arc::new(Self {
                auth_by_address: buckets(config.auth_per_address),
                write_by_user: buckets(config.write_per_user),
                write_by_address: buckets(config.write_per_address),
                read_by_user: buckets(config.read_per_user),
                read_by_address: buckets(config.read_per_address),
            })
        })?;
        tokio::spawn(keep_house(Arc::downgrade(&limits)));
        Some(limits)
    }

    /// Takes from the buckets of the caller.
    ///
    /// # Errors
    /// RATE_LIMITED with the time until there is enough again.
    pub fn charge(
        &self,
        viewer: Option<&Viewer>,
        address: IpAddr,
        charges: Charges,
    ) -> Result<(), ApiError> {
        let address = network_of(address);
        if let Some(viewer) = viewer {
            take(&self.write_by_user, &viewer.user_id, charges.writes)?;
            take(&self.read_by_user, &viewer.user_id, charges.reads)?;
        }
        take(&self.auth_by_address, &address, charges.sign_ins)?;
        take(&self.write_by_address, &address, charges.writes)?;
        take(&self.read_by_address, &address, charges.reads)
    }

    fn forget_full(&self) {
        self.auth_by_address.retain_recent();
        self.write_by_user.retain_recent();
        self.write_by_address.retain_recent();
        self.read_by_user.retain_recent();
        self.read_by_address.retain_recent();
    }
}

fn buckets<K: Clone + Eq + std::hash::Hash>(per_minute: u32) -> Buckets<K> {
    RateLimiter::keyed(Quota::per_minute(
        NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN),
    ))
}

fn take<K: Clone + Eq + std::hash::Hash>(
    buckets: &Buckets<K>,
    key: &K,
    number: u32,
) -> Result<(), ApiError> {
    let Some(number) = NonZeroU32::new(number) else {
        return Ok(());
    };
    let wait = match buckets.check_key_n(key, number) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(not_until)) => not_until.wait_time_from(DefaultClock::default().now()),
        // More than a minute's worth at once.
        Err(_) => Duration::from_secs(60),
    };
    Err(rate_limited(wait.as_secs() + 1))
}

async fn keep_house(limits: Weak<RateLimits>) {
    loop {
        tokio::time::sleep(HOUSEKEEPING).await;
        match limits.upgrade() {
            Some(limits) => limits.forget_full(),
            None => return,
        }
    }
}
