//! What GitHub lets us ask: its headers tell how much is left, its refusals when to come back. Nothing is sent before.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta};
use reqwest::StatusCode;
use reqwest::header::{DATE, RETRY_AFTER};
use serde_json::Value;

use crate::clients::upstream::{Answer, PARTS};
use crate::platform::clock::Timestamp;
use crate::platform::request::Caller;

/// The wait after a refusal that does not say how long; doubled each time.
const WAIT: TimeDelta = TimeDelta::seconds(60);
/// No wait is longer: budgets are filled every hour.
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(61);

/// What is counted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    /// Most of the API.
    Core,
    /// Searches.
    Search,
    /// The pages that people see.
    Pages,
}

/// Why nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// Until so many seconds have passed.
    Limited(u64),
    /// Our token is not accepted.
    Refused,
}

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Too much was asked; so many seconds are to pass.
    Limited(u64),
    /// Whoever asks may not see it.
    Forbidden,
    /// GitHub does not know what to make of us.
    Malformed,
}

/// The limits of one token, or of none.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    core: Gate,
    search: Gate,
    pages: Gate,
    /// Of all that a token may do.
    all: Gate,
}

#[derive(Debug, Default)]
struct Gate {
    closed_until: Option<Timestamp>,
    is_refused: bool,
    /// Refusals in a row that did not say how long.
    strikes: u32,
    /// The window whose last tenth was told of.
    told_of: Option<i64>,
    /// How much GitHub lets us ask in a window, when it has said so.
    limit: Option<u64>,
    /// Who has asked how much in the window, and when it ends.
    asked: HashMap<Caller, u64>,
    window_until: Option<Timestamp>,
}

impl Gate {
    fn check(&self, now: Timestamp) -> Result<(), Closed> {
        match self.closed_until {
            // A clock that was put back must not make the wait longer.
            Some(until) if now < until && until - now <= LONGEST_WAIT => {
                Err(match self.is_refused {
                    true => Closed::Refused,
                    false => Closed::Limited(seconds(until - now)),
                })
            }
            _ => Ok(()),
        }
    }

    /// Counts a question of `caller`, who has a part of the budget: others are to be answered, too.
    fn claim(&mut self, caller: Caller, budget: Budget, now: Timestamp) -> Result<(), Closed> {
        // One that ends later is of a clock that was put back.
        let until = self
            .window_until
            .filter(|until| now < *until && *until - now <= budget.window);
        let until = until.unwrap_or_else(|| {
            self.asked.clear();
            now + budget.window
        });
        self.window_until = Some(until);
        let limit = self.limit.unwrap_or(budget.limit);
        let asked = self.asked.entry(caller).or_default();
        if *asked >= (limit / PARTS).max(1) {
            return Err(Closed::Limited(seconds(until - now)));
        }
        *asked += 1;
        Ok(())
    }

    fn close(&mut self, now: Timestamp, wait: TimeDelta) {
        let until = now + wait.clamp(TimeDelta::seconds(1), LONGEST_WAIT);
        // One that lies further ahead is of a clock that was put back.
        let known = self
            .closed_until
            .filter(|known| *known - now <= LONGEST_WAIT);
        self.closed_until = Some(known.map_or(until, |known| known.max(until)));
        self.is_refused = false;
    }

    fn strike(&mut self, now: Timestamp) {
        let wait = WAIT * (1 << self.strikes.min(6));
        self.strikes = self.strikes.saturating_add(1);
        self.close(now, wait);
    }
}

/// What GitHub lets us ask as long as it has not said so itself, and in what time.
#[derive(Debug, Clone, Copy)]
struct Budget {
    limit: u64,
    window: TimeDelta,
}

impl Budget {
    /// `None` for what has no budget that is known.
    fn of(resource: Resource, has_token: bool) -> Option<Self> {
        let (limit, window) = match (resource, has_token) {
            (Resource::Core, true) => (5000, TimeDelta::hours(1)),
            (Resource::Core, false) => (60, TimeDelta::hours(1)),
            (Resource::Search, true) => (30, TimeDelta::minutes(1)),
            (Resource::Search, false) => (10, TimeDelta::minutes(1)),
            (Resource::Pages, _) => return None,
        };
        Some(Self { limit, window })
    }
}

impl State {
    fn gate(&mut self, resource: Resource) -> &mut Gate {
        match resource {
            Resource::Core => &mut self.core,
            Resource::Search => &mut self.search,
            Resource::Pages => &mut self.pages,
        }
    }
}

impl State {
    /// A refusal of this kind, now that the gate is closed.
    fn limited(&mut self, resource: Resource, now: Timestamp) -> Refusal {
        let closed = self.all.check(now).and(self.gate(resource).check(now));
        Refusal::Limited(match closed {
            Err(Closed::Limited(seconds)) => seconds,
            _ => 1,
        })
    }
}

impl Limits {
    /// Whether something may be sent.
    pub(super) fn check(&self, resource: Resource, now: Timestamp) -> Result<(), Closed> {
        let mut state = self.lock();
        if resource != Resource::Pages {
            state.all.check(now)?;
        }
        state.gate(resource).check(now)
    }

    /// Counts a question that `caller` has asked, for a budget that callers share.
    ///
    /// # Errors
    /// [`Closed`] when it is more than the caller's part.
    pub(super) fn claim(
        &self,
        resource: Resource,
        has_token: bool,
        caller: Caller,
        now: Timestamp,
    ) -> Result<(), Closed> {
        match (Budget::of(resource, has_token), caller) {
            (None, _) | (_, Caller::Server) => Ok(()),
            (Some(budget), caller) => self.lock().gate(resource).claim(caller, budget, now),
        }
    }

    /// A question that was counted was not sent after all.
    pub(super) fn disclaim(&self, resource: Resource, caller: Caller) {
        if let Some(asked) = self.lock().gate(resource).asked.get_mut(&caller) {
            *asked = asked.saturating_sub(1);
        }
    }

    /// Learns from an answer that is no refusal.
    pub(super) fn learn(&self, resource: Resource, answer: &Answer, now: Timestamp) {
        let resource = told_resource(answer).unwrap_or(resource);
        let mut state = self.lock();
        if !answer.status.is_server_error() {
            if resource != Resource::Pages {
                state.all.strikes = 0;
            }
            state.gate(resource).strikes = 0;
        }
        let (Some(left), Some(limit)) = (
            whole(answer, "x-ratelimit-remaining"),
            whole(answer, "x-ratelimit-limit"),
        ) else {
            return;
        };
        let gate = state.gate(resource);
        gate.limit = u64::try_from(limit).ok().filter(|limit| *limit > 0);
        if left == 0 {
            let wait = until_reset(answer, now).unwrap_or(WAIT);
            tracing::warn!(?resource, limit, "The budget at GitHub is spent");
            gate.close(now, wait);
        } else if left * 10 <= limit {
            let window = whole(answer, "x-ratelimit-reset");
            if gate.told_of != window {
                gate.told_of = window;
                tracing::warn!(
                    ?resource,
                    left,
                    limit,
                    "Little is left of the budget at GitHub"
                );
            }
        }
    }

    /// Learns from a 403 or 429 what it means and when to come back.
    pub(super) fn refuse(&self, resource: Resource, answer: &Answer, now: Timestamp) -> Refusal {
        let resource = told_resource(answer).unwrap_or(resource);
        let is_spent = whole(answer, "x-ratelimit-remaining") == Some(0);
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let text = |name: &str| {
            let text = body.as_ref().and_then(|body| body.get(name)?.as_str());
            text.unwrap_or_default().to_lowercase()
        };
        let (message, page) = (text("message"), text("documentation_url"));
        let is_about_limits = message.contains("rate limit")
            || message.contains("abuse detection")
            // After wrong tokens everything is refused for a while.
            || message.contains("login attempts")
            || page.contains("rate-limit");
        let mut state = self.lock();
        if let Some(wait) = retry_after(answer, now) {
            match is_spent || resource == Resource::Pages {
                true => state.gate(resource).close(now, wait),
                false => state.all.close(now, wait),
            }
            tracing::warn!(
                ?resource,
                wait_seconds = wait.num_seconds(),
                "GitHub limits us"
            );
            return state.limited(resource, now);
        }
        if is_spent {
            let wait = until_reset(answer, now).unwrap_or(WAIT);
            state.gate(resource).close(now, wait);
            tracing::warn!(
                ?resource,
                wait_seconds = wait.num_seconds(),
                "The budget at GitHub is spent"
            );
            return state.limited(resource, now);
        }
        if is_about_limits || answer.status == StatusCode::TOO_MANY_REQUESTS {
            match resource {
                Resource::Pages => state.pages.strike(now),
                _ => state.all.strike(now),
            }
            tracing::warn!(?resource, "GitHub limits us without saying how long");
            return state.limited(resource, now);
        }
        match body {
            Some(_) => Refusal::Forbidden,
            None => Refusal::Malformed,
        }
    }

    /// The token is not accepted: after a few more tries GitHub would refuse everything.
    pub(super) fn refuse_token(&self, now: Timestamp) {
        let mut state = self.lock();
        state.all.strike(now);
        state.all.is_refused = true;
    }

    /// GitHub does not take requests like ours.
    pub(super) fn refuse_requests(&self, resource: Resource, now: Timestamp) {
        let mut state = self.lock();
        let gate = state.gate(resource);
        gate.strike(now);
        gate.is_refused = true;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn told_resource(answer: &Answer) -> Option<Resource> {
    match header(answer, "x-ratelimit-resource")? {
        "core" => Some(Resource::Core),
        "search" => Some(Resource::Search),
        _ => None,
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name)?.to_str().ok().map(str::trim)
}

fn whole(answer: &Answer, name: &str) -> Option<i64> {
    header(answer, name)?.parse().ok()
}

/// GitHub's own time when it answered: clocks differ, and times of reset are told by that one.
fn told_time(answer: &Answer) -> Option<Timestamp> {
    let date = DateTime::parse_from_rfc2822(header(answer, DATE.as_str())?).ok()?;
    Some(date.to_utc().into())
}

fn until_reset(answer: &Answer, now: Timestamp) -> Option<TimeDelta> {
    let reset = whole(answer, "x-ratelimit-reset")?.checked_mul(1000)?;
    Some(Timestamp::from_millis(reset)? - told_time(answer).unwrap_or(now))
}

/// Seconds, or a date.
fn retry_after(answer: &Answer, now: Timestamp) -> Option<TimeDelta> {
    let text = header(answer, RETRY_AFTER.as_str())?;
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(TimeDelta::seconds(seconds.into()));
    }
    let until: Timestamp = DateTime::parse_from_rfc2822(text).ok()?.to_utc().into();
    Some(until - told_time(answer).unwrap_or(now))
}

/// Whole seconds, at least one.
pub(super) fn seconds(wait: TimeDelta) -> u64 {
    let seconds = wait.num_milliseconds().max(1).unsigned_abs();
    seconds.div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis((NOW + seconds) * 1000).unwrap()
    }

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: map,
            body: body.as_bytes().to_vec(),
            is_cut: false,
        }
    }

    #[test]
    fn refusals_are_told_apart_in_the_order_of_the_contract() {
        let reset = (NOW + 1200).to_string();
        let spent: &[(&str, &str)] = &[
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", &reset),
        ];
        let left: &[(&str, &str)] = &[
            ("x-ratelimit-remaining", "40"),
            ("x-ratelimit-reset", &reset),
        ];
        let secondary = r#"{"message": "You have exceeded a secondary rate limit."}"#;
        let logins =
            r#"{"message": "Maximum number of login attempts exceeded. Please try again later."}"#;
        let by_page = r#"{"message": "Wait", "documentation_url": "https://docs.github.com/x#about-secondary-rate-limits"}"#;
        for status in [403, 429] {
            for (headers, body, expected) in [
                (&[("retry-after", "30")][..], secondary, 30),
                (
                    &[("retry-after", "30"), ("x-ratelimit-remaining", "0")],
                    "",
                    30,
                ),
                (spent, "{}", 1200),
                (left, secondary, 60),
                (left, by_page, 60),
                (left, logins, 60),
            ] {
                let limits = Limits::default();
                let answer = answer(status, headers, body);
                assert!(matches!(
                    limits.refuse(Resource::Core, &answer, at(0)),
                    Refusal::Limited(_)
                ));
                let closed = limits.check(Resource::Core, at(0));
                assert_eq!(
                    closed,
                    Err(Closed::Limited(expected)),
                    "{status} {headers:?} {body}"
                );
                assert_eq!(limits.check(Resource::Core, at(expected as i64)), Ok(()));
            }
        }
        let limits = Limits::default();
        let forbidden = answer(403, left, r#"{"message": "Resource not accessible"}"#);
        assert_eq!(
            limits.refuse(Resource::Core, &forbidden, at(0)),
            Refusal::Forbidden
        );
        let unnamed = answer(403, &[], "Request forbidden by administrative rules.");
        assert_eq!(
            limits.refuse(Resource::Core, &unnamed, at(0)),
            Refusal::Malformed
        );
        assert_eq!(limits.check(Resource::Core, at(0)), Ok(()));
        // Without a word and without a body it is a limit all the same.
        assert!(matches!(
            limits.refuse(Resource::Pages, &answer(429, &[], ""), at(0)),
            Refusal::Limited(_)
        ));
        assert_eq!(limits.check(Resource::Core, at(0)), Ok(()));
    }

    #[test]
    fn a_spent_budget_closes_its_own_kind_and_a_secondary_limit_all() {
        let limits = Limits::default();
        let reset = (NOW + 50).to_string();
        let last = answer(
            200,
            &[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-limit", "10"),
                ("x-ratelimit-reset", &reset),
                ("x-ratelimit-resource", "search"),
            ],
            "{}",
        );
        limits.learn(Resource::Search, &last, at(0));
        assert_eq!(
            limits.check(Resource::Search, at(0)),
            Err(Closed::Limited(50))
        );
        assert_eq!(limits.check(Resource::Core, at(0)), Ok(()));
        let secondary = answer(
            403,
            &[("x-ratelimit-remaining", "40")],
            r#"{"message": "secondary rate limit"}"#,
        );
        limits.refuse(Resource::Core, &secondary, at(100));
        for resource in [Resource::Core, Resource::Search] {
            assert_eq!(limits.check(resource, at(100)), Err(Closed::Limited(60)));
        }
        limits.refuse(Resource::Core, &secondary, at(161));
        assert_eq!(
            limits.check(Resource::Core, at(161)),
            Err(Closed::Limited(120))
        );
        limits.learn(Resource::Core, &answer(200, &[], ""), at(300));
        limits.refuse(Resource::Core, &secondary, at(301));
        assert_eq!(
            limits.check(Resource::Core, at(301)),
            Err(Closed::Limited(60))
        );
        // Pages have nothing to do with it.
        assert_eq!(limits.check(Resource::Pages, at(301)), Ok(()));
        // The clock is put back by a day, and then there is another refusal.
        assert_eq!(limits.check(Resource::Core, at(-86_400)), Ok(()));
        limits.refuse(Resource::Core, &secondary, at(-86_400));
        assert_eq!(
            limits.check(Resource::Core, at(-86_400)),
            Err(Closed::Limited(120))
        );
    }

    #[test]
    fn times_are_told_by_the_clock_of_the_answer() {
        // Ours is five minutes behind.
        let told = "Fri, 15 Jan 2027 08:05:00 GMT";
        let now: Timestamp = DateTime::parse_from_rfc2822("Fri, 15 Jan 2027 08:00:00 GMT")
            .unwrap()
            .to_utc()
            .into();
        let reset = (now.seconds() + 300 + 90).to_string();
        let headers = [
            ("date", told),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", reset.as_str()),
        ];
        let limits = Limits::default();
        limits.refuse(Resource::Core, &answer(403, &headers, "{}"), now);
        assert_eq!(limits.check(Resource::Core, now), Err(Closed::Limited(90)));
        let headers = [
            ("date", told),
            ("retry-after", "Fri, 15 Jan 2027 08:05:20 GMT"),
        ];
        let limits = Limits::default();
        limits.refuse(Resource::Core, &answer(429, &headers, "{}"), now);
        assert_eq!(limits.check(Resource::Core, now), Err(Closed::Limited(20)));
    }

    #[test]
    fn a_refused_token_is_not_tried_again_at_once() {
        let limits = Limits::default();
        limits.refuse_token(at(0));
        assert_eq!(limits.check(Resource::Core, at(59)), Err(Closed::Refused));
        assert_eq!(limits.check(Resource::Core, at(60)), Ok(()));
    }
}
