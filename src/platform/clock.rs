//! The only reader of the time, so that a test can set it.

use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use sea_orm::DeriveValueType;

/// A point in time, in UTC and whole milliseconds: what every database here stores exactly.
///
/// It goes to the database without an offset. MySQL's driver sends times that have one as TIMESTAMP, and the server turns
/// those after 2038 into null without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
pub struct Timestamp(NaiveDateTime);

impl sea_orm::TryFromU64 for Timestamp {
    // Of keys that the database counts up; ours are made by the application.
    fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
        Err(sea_orm::DbErr::ConvertFromU64("Timestamp"))
    }
}

impl Timestamp {
    /// The start of 1970.
    pub const EPOCH: Self = Self(DateTime::UNIX_EPOCH.naive_utc());

    /// From milliseconds since 1970; `None` far outside of history.
    pub fn from_millis(millis: i64) -> Option<Self> {
        DateTime::from_timestamp_millis(millis).map(|time| Self(time.naive_utc()))
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0.and_utc().timestamp_millis()
    }

    /// Whole seconds since 1970, as tokens count.
    pub fn seconds(self) -> i64 {
        self.0.and_utc().timestamp()
    }

    /// With its offset said.
    pub fn utc(self) -> DateTime<Utc> {
        self.0.and_utc()
    }
}

/// Cuts to whole milliseconds; a leap second becomes the second after it.
impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self::from_millis(time.timestamp_millis()).unwrap_or(Self(time.naive_utc()))
    }
}

impl Add<TimeDelta> for Timestamp {
    type Output = Self;

    /// Stays at the end of time rather than to overflow.
    fn add(self, delta: TimeDelta) -> Self {
        Self(
            self.0
                .checked_add_signed(delta)
                .unwrap_or(NaiveDateTime::MAX),
        )
    }
}

impl Sub<TimeDelta> for Timestamp {
    type Output = Self;

    /// The earliest time there is, rather than one that cannot be told.
    fn sub(self, by: TimeDelta) -> Self {
        Self(self.0.checked_sub_signed(by).unwrap_or(Self::EPOCH.0))
    }
}

impl Sub for Timestamp {
    type Output = TimeDelta;

    fn sub(self, earlier: Self) -> TimeDelta {
        self.0 - earlier.0
    }
}

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the time"
    )]
    fn now(&self) -> Timestamp {
        Utc::now().into()
    }
}

/// The machine's clock plus an offset that a test moves.
#[derive(Debug, Default)]
pub struct ShiftedClock {
    offset_ms: AtomicI64,
}

impl ShiftedClock {
    /// Moves the clock; a negative `by` moves it back.
    pub fn advance(&self, by: TimeDelta) {
        self.offset_ms
            .fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + TimeDelta::milliseconds(self.offset_ms.load(Ordering::SeqCst))
    }
}
