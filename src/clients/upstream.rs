//! The one way out: every call to another server goes through here.
//!
//! A call has a limit of time and size, a span, and one line in the log: to whom, the path as a template, the status, how long it
//! took. Never a query, a header or a body, which carry secrets. An upstream gets so many calls at once and no more; after many
//! failures in a row it is left alone for a moment, so that nobody waits for what does not answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Request, RequestBuilder, StatusCode};
use tracing::Instrument;

use crate::platform::clock::{Clock, Timestamp};
use crate::platform::request::{self, Caller};
use crate::platform::shares::{Claim, Shares};

/// Calls of one upstream at the same time; GitHub takes no more from anybody.
const MAX_CALLS: u64 = 100;
/// The budget of an upstream is divided by this number: the share of one caller.
pub(super) const PARTS: u64 = 3;
/// Calls that may wait for others; each has its time.
const MAX_WAITING: usize = 10_000;
/// Failures in a row after which an upstream is left alone.
const MAX_FAILURES: u32 = 20;
/// For how long. Then one call may try.
const PAUSE: TimeDelta = TimeDelta::seconds(5);

/// A call without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// Nothing was sent: there is no way to it.
    #[error("the upstream cannot be reached")]
    NotSent,
    /// Nothing was sent: it is left alone for a moment.
    #[error("the upstream is left alone while it does not answer")]
    Paused,
    /// It may have done what it was asked for.
    #[error("the upstream gave no answer")]
    Unknown,
}

/// What an upstream answered, whatever the status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether the body goes on; only where [`Oversize::Cut`] allows it.
    pub(crate) is_cut: bool,
}

/// What becomes of a body that is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oversize {
    /// The call fails.
    Fail,
    /// The rest is not read.
    Cut,
}

/// Another server that we call.
pub(crate) struct Upstream {
    name: &'static str,
    max_body_bytes: usize,
    places: Shares<1>,
    breaker: Mutex<Breaker>,
    clock: Arc<dyn Clock>,
}

/// Failures in a row, and since when nobody is to call.
#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    paused_until: Option<Timestamp>,
}

impl Breaker {
    /// Whether a call may be made. After a pause one may, and the others wait for how it ends.
    fn admits(&mut self, now: Timestamp) -> bool {
        match self.paused_until {
            // A clock that was put back must not make the pause longer.
            Some(until) if now < until && until - now <= PAUSE => false,
            Some(_) => {
                self.paused_until = Some(now + PAUSE);
                true
            }
            None => true,
        }
    }

    /// Whether this is the failure that starts a pause.
    fn record(&mut self, has_failed: bool, now: Timestamp) -> bool {
        if !has_failed {
            *self = Self::default();
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= MAX_FAILURES {
            self.paused_until = Some(now + PAUSE);
        }
        self.failures == MAX_FAILURES
    }
}

impl Upstream {
    /// An upstream whose answers are no larger than this.
    pub(crate) fn new(name: &'static str, max_body_bytes: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            name,
            max_body_bytes,
            places: Shares::new([MAX_CALLS], [0], MAX_WAITING),
            breaker: Mutex::default(),
            clock,
        }
    }

    /// Sends a request of the client of [`crate::platform::http_client`], which sets the time. `path` stands for it in the log:
    /// a template, without anything of the caller's.
    pub(crate) async fn call(
        &self,
        path: &'static str,
        request: RequestBuilder,
    ) -> Result<Answer, CallError> {
        self.call_for(path, request, self.max_body_bytes, Oversize::Fail)
            .await
    }

    /// As [`Upstream::call`], for an answer of so many bytes at most.
    pub(crate) async fn call_for(
        &self,
        path: &'static str,
        request: RequestBuilder,
        max_body_bytes: usize,
        oversize: Oversize,
    ) -> Result<Answer, CallError> {
        let (client, request) = request.build_split();
        let request = request.map_err(|_| CallError::NotSent)?;
        let method = request.method().clone();
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let claim = Claim {
            need: [1],
            share: [match request::caller() {
                Caller::Server => MAX_CALLS,
                _ => MAX_CALLS / PARTS,
            }],
        };
        let place = self.places.take(request::caller(), claim);
        let Ok(_place) = request::waiting(place).await else {
            return Err(CallError::NotSent);
        };
        if !self.breaker(|breaker, now| breaker.admits(now)) {
            tracing::debug!(
                upstream = self.name,
                path,
                "Not called while it does not answer"
            );
            return Err(CallError::Paused);
        }
        let span = tracing::info_span!("upstream", upstream = self.name, %method, host, path);
        let mut attempt = Attempt {
            upstream: self,
            method,
            host,
            path,
            started: Instant::now(),
            outcome: Err("nobody waits any longer"),
        };
        let result = send(&client, request, max_body_bytes, oversize);
        let result = request::waiting(result.instrument(span)).await;
        attempt.outcome = match &result {
            Ok(answer) => Ok(answer.status),
            Err((_, problem)) => Err(problem),
        };
        result.map_err(|(error, _)| error)
    }

    fn breaker<T>(&self, work: impl FnOnce(&mut Breaker, Timestamp) -> T) -> T {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut breaker, self.clock.now())
    }
}

async fn send(
    client: &Client,
    request: Request,
    max_body_bytes: usize,
    oversize: Oversize,
) -> Result<Answer, (CallError, &'static str)> {
    // The error's own text has the address with the query in it.
    let failure = |error: reqwest::Error| match error {
        error if error.is_builder() => (CallError::NotSent, "no request"),
        error if error.is_connect() => (CallError::NotSent, "no connection"),
        error if error.is_timeout() => (CallError::Unknown, "no answer in time"),
        _ => (CallError::Unknown, "the connection broke"),
    };
    let mut response = client.execute(request).await.map_err(failure)?;
    let mut body = Vec::new();
    let mut is_cut = false;
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        body.extend_from_slice(&chunk);
        if body.len() > max_body_bytes {
            if oversize == Oversize::Fail {
                return Err((CallError::Unknown, "the answer is too large"));
            }
            body.truncate(max_body_bytes);
            is_cut = true;
            break;
        }
    }
    Ok(Answer {
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body,
        is_cut,
    })
}

/// A call that is under way. When it ends, be it that nobody waits for it any longer, it is counted and told.
struct Attempt<'a> {
    upstream: &'a Upstream,
    method: Method,
    host: String,
    path: &'static str,
    started: Instant,
    /// The status of the answer, or why there is none.
    outcome: Result<StatusCode, &'static str>,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let (upstream, path) = (self.upstream.name, self.path);
        let (method, host) = (&self.method, &self.host);
        let duration_ms = milliseconds(self.started.elapsed());
        match self.outcome {
            Ok(status) => {
                let status = status.as_u16();
                tracing::info!(upstream, %method, host, path, status, duration_ms, "Called an upstream");
            }
            Err(problem) => {
                tracing::warn!(
                    upstream,
                    %method,
                    host,
                    path,
                    problem,
                    duration_ms,
                    "An upstream did not answer"
                );
            }
        }
        let has_failed = self.outcome.map_or(true, |status| status.is_server_error());
        let is_too_much = self
            .upstream
            .breaker(|breaker, now| breaker.record(has_failed, now));
        if is_too_much {
            tracing::error!(
                upstream,
                "An upstream fails again and again; it is left alone for a moment"
            );
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_that_fails_again_and_again_is_left_alone_for_a_moment() {
        let start = Timestamp::EPOCH + TimeDelta::days(1);
        let at = |seconds: i64| start + TimeDelta::seconds(seconds);
        let mut breaker = Breaker::default();
        for number in 1..=MAX_FAILURES {
            assert!(breaker.admits(start));
            assert_eq!(breaker.record(true, start), number == MAX_FAILURES);
        }
        assert!(!breaker.admits(at(4)));
        // One tries, the others wait for how it ends.
        assert!(breaker.admits(at(5)));
        assert!(!breaker.admits(at(5)));
        assert!(!breaker.record(true, at(6)), "that is told once");
        assert!(!breaker.admits(at(10)));
        assert!(breaker.admits(at(11)));
        breaker.record(false, at(11));
        assert!(breaker.admits(at(11)) && breaker.admits(at(11)));
        // The clock is put back while it is paused.
        for _ in 0..MAX_FAILURES {
            breaker.record(true, at(100));
        }
        assert!(breaker.admits(at(0)));
    }
}
