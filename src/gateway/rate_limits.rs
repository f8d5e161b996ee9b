//! How often one user, or one address, may do things: token buckets that hold a minute's worth.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use uuid::Uuid;

use crate::gateway::refusal::rate_limited;
use crate::graphql::error::ApiError;
use crate::graphql::fields::{Class, FieldFacts};
use crate::platform::address::network_of;
use crate::platform::config::RateLimitConfig;
use crate::platform::viewer::Viewer;

/// What an operation may cost, in objects, to count as one read.
const COST_PER_READ: u32 = 100;

/// How often buckets that are full again are forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// What an operation counts as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Charges {
    /// Mutations of which a request may have one.
    pub sign_ins: u32,
    /// Those, and what tells who has an account.
    pub auth: u32,
    /// Other mutations.
    pub writes: u32,
    /// What is read, in hundreds of objects.
    pub reads: u32,
}

impl Charges {
    /// What root fields count as, each for itself; their cost is counted by
    /// [`Charges::with_cost`].
    pub fn of<'a>(
        kind: OperationType,
        root_fields: impl Iterator<Item = Option<&'a FieldFacts>>,
    ) -> Self {
        let mut charges = Self::default();
        for facts in root_fields {
            let class = facts.map_or(Class::Plain, |facts| facts.class);
            match (kind, class) {
                (OperationType::Mutation, Class::SignIn) => {
                    charges.sign_ins += 1;
                    charges.auth += 1;
                }
                (OperationType::Mutation | OperationType::Query, Class::Enumerates) => {
                    charges.auth += 1;
                }
                (OperationType::Mutation, Class::Plain) => charges.writes += 1,
                _ => {}
            }
        }
        charges
    }

    /// With what the operation costs, in objects, on top of [`Charges::REFUSED`].
    #[must_use]
    pub fn with_cost(self, cost: u32) -> Self {
        Self {
            reads: cost.div_ceil(COST_PER_READ).saturating_sub(1),
            ..self
        }
    }

    /// These and others.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            sign_ins: self.sign_ins + other.sign_ins,
            auth: self.auth + other.auth,
            writes: self.writes + other.writes,
            reads: self.reads.saturating_add(other.reads),
        }
    }

    /// What every operation costs before it is looked at, so that whoever is over the limit costs
    /// nothing more.
    pub const REFUSED: Self = Self {
        sign_ins: 0,
        auth: 0,
        writes: 0,
        reads: 1,
    };
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
        take(&self.auth_by_address, &address, charges.auth)?;
        take(&self.write_by_address, &address, charges.writes)?;
        take(&self.read_by_address, &address, charges.reads)
    }

    /// Takes `reads` from the buckets for rows that were read already; all that is left when that
    /// is less.
    pub fn charge_looked_at(&self, viewer: Option<&Viewer>, address: IpAddr, reads: u32) {
        let mut rest = reads;
        while rest > 0 {
            let charges = Charges {
                reads: rest,
                ..Charges::default()
            };
            match self.charge(viewer, address, charges) {
                Ok(()) => return,
                Err(_) => rest /= 2,
            }
        }
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
