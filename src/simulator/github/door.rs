//! What holds for every request, before and after it is answered: who may come in, faults, budgets, ETags.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, AUTHORIZATION, DATE, ETAG, IF_NONE_MATCH, LOCATION, RETRY_AFTER, USER_AGENT,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use std::time::Duration;

use super::answers::{json_of, problem, token_of};
use super::{GithubFault, GithubSimulator, SimulatedRequest};
use crate::platform::digest::sha256_hex;

/// Longer than any client waits.
const SILENCE: Duration = Duration::from_secs(120);
/// What is left of what may be asked.
#[derive(Default)]
pub(super) struct Budget {
    pub(super) used: u64,
    pub(super) resets_at: i64,
}

/// What holds for every request: the log, faults, who may come in, budgets, ETags.
pub(super) async fn at_the_door(
    State(simulator): State<GithubSimulator>,
    request: Request,
    next: Next,
) -> Response {
    let target = request
        .uri()
        .path_and_query()
        .map_or("", |target| target.as_str())
        .to_owned();
    let headers = request.headers().clone();
    let token = token_of(&headers);
    let (number, fault) = {
        let mut world = simulator.world();
        world.requests.push(SimulatedRequest {
            target: target.clone(),
            token: token.clone(),
            is_unchanged: false,
        });
        let fault = world
            .faults
            .iter()
            .find(|(path, _)| target.starts_with(path.as_str()));
        (
            world.requests.len() - 1,
            fault.map(|(_, fault)| fault.clone()),
        )
    };
    if !headers.contains_key(USER_AGENT) {
        let text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let is_cut = matches!(fault, Some(GithubFault::Cut));
    match fault {
        Some(GithubFault::Delay(time)) => tokio::time::sleep(time).await,
        None | Some(GithubFault::Cut) => {}
        Some(fault) => return dated(&simulator, simulator.met(fault).await),
    }
    if target.starts_with("/trending") {
        let response = next.run(request).await;
        return dated(
            &simulator,
            finished(&simulator, number, &headers, response, is_cut, &[]).await,
        );
    }
    let version = headers
        .get("x-github-api-version")
        .and_then(|value| value.to_str().ok());
    if !matches!(version, None | Some("2022-11-28" | "2026-03-10")) {
        return problem(StatusCode::BAD_REQUEST, "Unsupported API version");
    }
    if token
        .as_deref()
        .is_some_and(|token| simulator.owner_of(token).is_none())
    {
        return dated(
            &simulator,
            problem(StatusCode::UNAUTHORIZED, "Bad credentials"),
        );
    }
    let resource = if target.starts_with("/search/") {
        "search"
    } else {
        "core"
    };
    let (told, is_spent) = simulator.take(
        token.as_deref(),
        resource,
        !target.starts_with("/rate_limit"),
    );
    if is_spent {
        let mut response = problem(StatusCode::FORBIDDEN, "API rate limit exceeded");
        response.headers_mut().extend(told);
        return dated(&simulator, response);
    }
    let response = next.run(request).await;
    let response = finished(&simulator, number, &headers, response, is_cut, &told).await;
    if response.status() == StatusCode::NOT_MODIFIED && token.is_some() {
        simulator.give_back(token.as_deref(), resource);
    }
    dated(&simulator, response)
}

/// Times of budgets are told by the simulator's clock, and so is the time of the answer.
fn dated(simulator: &GithubSimulator, mut response: Response) -> Response {
    let date = simulator
        .now()
        .utc()
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(DATE, date);
    }
    response
}

/// The answer with its ETag, or "not modified".
async fn finished(
    simulator: &GithubSimulator,
    number: usize,
    headers: &HeaderMap,
    response: Response,
    is_cut: bool,
    told: &[(HeaderName, HeaderValue)],
) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers.extend(told.iter().cloned());
    if parts.status != StatusCode::OK {
        return Response::from_parts(parts, body);
    }
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    // They differ by token and by what is accepted.
    let seed = [
        bytes.as_ref(),
        format!("{:?}{:?}", headers.get(AUTHORIZATION), headers.get(ACCEPT)).as_bytes(),
    ]
    .concat();
    let etag = format!("W/\"{}\"", &sha256_hex(&seed)[..32]);
    let is_known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known == etag.as_str());
    if let Ok(value) = HeaderValue::from_str(&etag) {
        parts.headers.insert(ETAG, value);
    }
    if is_known {
        if let Some(request) = simulator.world().requests.get_mut(number) {
            request.is_unchanged = true;
        }
        parts.status = StatusCode::NOT_MODIFIED;
        return Response::from_parts(parts, Body::empty());
    }
    let length = if is_cut {
        bytes.len() * 2 / 3
    } else {
        bytes.len()
    };
    Response::from_parts(parts, Body::from(bytes.slice(..length)))
}

impl GithubSimulator {
    /// Takes one from a budget: what the headers tell, and whether there was none left.
    pub(super) fn take(
        &self,
        token: Option<&str>,
        resource: &'static str,
        counts: bool,
    ) -> (Vec<(HeaderName, HeaderValue)>, bool) {
        let (limit, window) = match (resource, token.is_some()) {
            ("search", true) => (30, 60),
            ("search", false) => (10, 60),
            (_, true) => (5000, 3600),
            (_, false) => (60, 3600),
        };
        let now = self.now().seconds();
        let mut world = self.world();
        let key = (token.unwrap_or_default().to_owned(), resource);
        let budget = world.budgets.entry(key).or_default();
        if budget.resets_at <= now {
            *budget = Budget {
                used: 0,
                resets_at: now + window,
            };
        }
        let is_spent = counts && budget.used >= limit;
        budget.used += u64::from(counts && !is_spent);
        (
            told(resource, limit, budget.used, budget.resets_at),
            is_spent,
        )
    }

    fn give_back(&self, token: Option<&str>, resource: &'static str) {
        let key = (token.unwrap_or_default().to_owned(), resource);
        if let Some(budget) = self.world().budgets.get_mut(&key) {
            budget.used = budget.used.saturating_sub(1);
        }
    }

    async fn met(&self, fault: GithubFault) -> Response {
        let status = |status: u16| StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        match fault {
            GithubFault::Status(code) => problem(status(code), "Simulated"),
            GithubFault::Silence | GithubFault::Delay(_) => {
                tokio::time::sleep(SILENCE).await;
                StatusCode::OK.into_response()
            }
            GithubFault::Break | GithubFault::Cut => {
                let broken = futures_util::stream::iter([
                    Ok("{\"id\": 1, \"name\": ".to_owned()),
                    Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
                ]);
                Body::from_stream(broken).into_response()
            }
            GithubFault::SignIn => Html(
                "<!DOCTYPE html><html><body><main><h1>Sign in to GitHub</h1><form action=\"/session\"></form></main></body></html>",
            )
            .into_response(),
            GithubFault::Spent(code, seconds) => {
                let mut response = problem(status(code), "API rate limit exceeded for you.");
                let resets_at = self.now().seconds() + seconds;
                response.headers_mut().extend(told("core", 60, 60, resets_at));
                response
            }
            GithubFault::Secondary(code, seconds) => {
                let body = json!({
                    "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
                    "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits",
                });
                let mut response = json_of(status(code), &body);
                if let Some(seconds) = seconds {
                    response.headers_mut().insert(RETRY_AFTER, seconds.into());
                }
                response
            }
            GithubFault::TakenDown => {
                let body = json!({
                    "message": "Repository access blocked",
                    "block": {"reason": "dmca", "created_at": "2026-01-01T00:00:00Z", "html_url": "https://github.com/github/dmca"},
                });
                json_of(status(451), &body)
            }
            GithubFault::Moved(to) => {
                (StatusCode::FOUND, [(LOCATION, to)], "Moved").into_response()
            }
        }
    }
}

fn told(
    resource: &'static str,
    limit: u64,
    used: u64,
    resets_at: i64,
) -> Vec<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_static;
    vec![
        (name("x-ratelimit-limit"), limit.into()),
        (
            name("x-ratelimit-remaining"),
            limit.saturating_sub(used).into(),
        ),
        (name("x-ratelimit-used"), used.into()),
        (name("x-ratelimit-reset"), resets_at.into()),
        (
            name("x-ratelimit-resource"),
            HeaderValue::from_static(resource),
        ),
    ]
}
