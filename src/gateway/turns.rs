//! Turns: how many operations run at the same time, and whose.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::gateway::complexity::Size;
use crate::graphql::error::ApiError;
use crate::platform::config::FairSharesConfig;
use crate::platform::request::{Caller, Work};
use crate::platform::shares::{Claim, Full, Share, Shares};

/// How long an operation waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// Heavy operations at a time, for each processor.
const HEAVY_PER_PROCESSOR: u64 = 2;
/// A reply takes its size times this number: rows, values, text.
const COPIES: u64 = 3;

/// The turns of this instance.
#[derive(Debug)]
pub struct Turns {
    /// Operations, heavy ones among them, bytes.
    shares: Shares<3>,
    per_user: u64,
    per_address: u64,
    heavy: u64,
    bytes: u64,
    largest: u64,
}

/// The turn of an operation, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    caller: Caller,
    claim: Claim<3>,
    share: Share<3>,
    shares: Shares<3>,
}

impl Turns {
    /// All of them free. No operation takes more than a reply of `max_reply_bytes` may.
    pub fn new(config: &FairSharesConfig, max_reply_bytes: usize) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let heavy = HEAVY_PER_PROCESSOR * processors;
        let total = [config.max_executions, heavy, config.max_bytes];
        Self {
            shares: Shares::new(total, total.map(half), config.max_waiting),
            per_user: config.executions_per_user,
            per_address: config.executions_per_address,
            heavy: half(half(heavy)),
            bytes: config.bytes_per_caller,
            largest: (max_reply_bytes as u64 * COPIES).min(config.bytes_per_caller),
        }
    }

    /// A turn for an operation of `caller`, at once or when it comes.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when it does not come in time, or too many wait already.
    pub async fn take(&self, caller: Caller, size: Size) -> Result<Turn, ApiError> {
        let claim = self.claim(caller, size);
        let share = match self.shares.try_take(caller, claim) {
            Some(share) => share,
            None => {
                let wait = self.shares.take(caller, claim);
                match tokio::time::timeout(PATIENCE, wait).await {
                    Ok(Ok(share)) => share,
                    Ok(Err(Full)) | Err(_) => return Err(ApiError::unavailable()),
                }
            }
        };
        Ok(Turn {
            caller,
            claim,
            share,
            shares: self.shares.clone(),
        })
    }

    fn claim(&self, caller: Caller, size: Size) -> Claim<3> {
        let operations = match caller {
            Caller::User(_) => self.per_user,
            Caller::Site(_) | Caller::Server => self.per_address,
        };
        Claim {
            need: [1, size.is_heavy.into(), size.bytes.min(self.largest)],
            share: [operations, self.heavy, self.bytes],
        }
    }
}

fn half(amount: u64) -> u64 {
    amount.div_ceil(2)
}

impl Turn {
    /// `execution` in this turn, which is given back while it only waits for other servers. What is
    /// left of it then is for the reply, until that has found another place.
    pub async fn cover<F: Future>(self, work: Arc<Work>, execution: F) -> (F::Output, Rest) {
        let Self {
            caller,
            claim,
            share,
            shares,
        } = self;
        let mut held = Held::Share(share);
        let mut execution = std::pin::pin!(execution);
        let outcome = std::future::poll_fn(|cx| {
            if let Held::Nothing = held {
                let shares = shares.clone();
                held = Held::Wait(Box::pin(async move { shares.take(caller, claim).await }));
            }
            if let Held::Wait(wait) = &mut held {
                match Pin::new(wait).poll(cx) {
                    Poll::Ready(Ok(share)) => held = Held::Share(share),
                    // It was let in once.
                    Poll::Ready(Err(Full)) => held = Held::Nothing,
                    Poll::Pending => return Poll::Pending,
                }
            }
            let outcome = execution.as_mut().poll(cx);
            if outcome.is_pending() && work.is_waiting() {
                held = Held::Nothing;
            }
            outcome
        })
        .await;
        let rest = match held {
            Held::Share(mut share) => {
                let [_, _, bytes] = claim.need;
                share.reduce([0, 0, bytes]);
                Rest(Some(share))
            }
            _ => Rest(None),
        };
        (outcome, rest)
    }
}

/// Memory for a reply that is done, until it is dropped.
#[derive(Debug)]
pub struct Rest(#[expect(dead_code, reason = "it is there to be dropped")] Option<Share<3>>);

impl Rest {
    /// That of a reply for which nothing was executed.
    pub const NONE: Self = Self(None);
}

enum Held {
    Share(Share<3>),
    Nothing,
    Wait(BoxFuture<'static, Result<Share<3>, Full>>),
}
