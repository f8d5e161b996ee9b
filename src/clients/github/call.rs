//! One question to GitHub: sending it, following where it moved, trying again, and what the answer means.

use std::time::Duration;

use reqwest::header::{ACCEPT, ETAG, IF_NONE_MATCH, LINK, LOCATION};
use reqwest::{StatusCode, Url};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::limits::{Closed, Limits, Refusal, Resource};
use super::{Credential, GithubClient, GithubError};
use crate::clients::upstream::{Answer, CallError, Oversize};
use crate::platform::request;

/// The version of the API that we were written for.
const API_VERSION: &str = "2022-11-28";
/// Where the API says that things have moved to, wherever we call it.
const CANONICAL_API: &str = "https://api.github.com";
/// Moves that are followed.
const MAX_HOPS: usize = 3;
/// Waits before the second and third try of a question that met a fault.
const BACKOFF_MS: [u64; 2] = [150, 600];

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) resource: Resource,
    pub(super) credential: Credential<'a>,
    /// Stands for the path in the log.
    pub(super) template: &'static str,
    /// Parts of the path, unencoded.
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) accept: &'static str,
    /// Of the copy that we have.
    pub(super) etag: Option<&'a str>,
    /// Largest answer, in bytes, and what becomes of a larger one.
    pub(super) max_bytes: usize,
    pub(super) oversize: Oversize,
}

/// What came back.
pub(super) enum Reply {
    /// What was asked for.
    Content(Content),
    /// The copy that we have is still right.
    Unchanged,
}

/// The body of an answer and what its headers say of it.
pub(super) struct Content {
    pub(super) body: Vec<u8>,
    pub(super) is_cut: bool,
    pub(super) etag: Option<String>,
    /// Seconds before which it should not be asked for again.
    pub(super) poll_seconds: Option<u32>,
    pub(super) has_next: bool,
}

impl GithubClient {
    /// Asks, with all tries and moves in the time that is set.
    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Reply, GithubError> {
        let limits = self.limits_of(question.credential);
        let asking = self.ask_until_answered(&question, &limits);
        match tokio::time::timeout(self.0.timeout, asking).await {
            Ok(outcome) => outcome,
            Err(_) => {
                tracing::warn!(path = question.template, "GitHub did not answer in time");
                Err(GithubError::Unavailable)
            }
        }
    }

    async fn ask_until_answered(
        &self,
        question: &Question<'_>,
        limits: &Limits,
    ) -> Result<Reply, GithubError> {
        let base = match question.resource {
            Resource::Pages => &self.0.web_url,
            _ => &self.0.api_url,
        };
        let is_shared = !matches!(question.credential, Credential::User(_));
        if is_shared {
            let (resource, has_token) = (question.resource, self.0.token.is_some());
            let now = self.0.clock.now();
            // What is closed for all callers is reported first.
            limits.check(resource, now).map_err(closed)?;
            let claimed = limits.claim(resource, has_token, request::caller(), now);
            claimed.map_err(closed)?;
        }
        let mut url = address(base, question.path, question.query);
        let (mut backoff, mut hops) = (BACKOFF_MS.into_iter(), 0);
        loop {
            let now = self.0.clock.now();
            limits.check(question.resource, now).map_err(closed)?;
            let answer = self.send(question, url.clone()).await;
            let now = self.0.clock.now();
            let answer = match answer {
                Ok(answer) if !answer.status.is_server_error() => answer,
                Err(CallError::Paused) => {
                    if is_shared {
                        limits.disclaim(question.resource, request::caller());
                    }
                    return Err(GithubError::Unavailable);
                }
                fault => {
                    if let Ok(answer) = &fault {
                        limits.learn(question.resource, answer, now);
                    }
                    let Some(wait) = backoff.next() else {
                        return Err(GithubError::Unavailable);
                    };
                    let wait = wait + rand::random_range(0..=wait);
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                    continue;
                }
            };
            match answer.status {
                status if status.is_success() => {
                    limits.learn(question.resource, &answer, now);
                    return Ok(Reply::Content(content(answer)));
                }
                StatusCode::NOT_MODIFIED => {
                    limits.learn(question.resource, &answer, now);
                    return Ok(Reply::Unchanged);
                }
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => {
                    limits.learn(question.resource, &answer, now);
                    hops += 1;
                    url = match target(base, &url, &answer) {
                        Some(target) if hops <= MAX_HOPS => target,
                        _ => {
                            tracing::warn!(
                                path = question.template,
                                "GitHub sends us elsewhere, or in circles"
                            );
                            return Err(GithubError::Unavailable);
                        }
                    };
                }
                _ => return Err(self.refusal(question, limits, &answer)),
            }
        }
    }

    /// Sends once.
    async fn send(&self, question: &Question<'_>, url: Url) -> Result<Answer, CallError> {
        let (http, upstream) = match question.resource {
            Resource::Pages => (&self.0.http, &self.0.web),
            _ => (&self.0.http, &self.0.api),
        };
        let mut request = http.get(url).header(ACCEPT, question.accept);
        if question.resource != Resource::Pages {
            request = request.header("X-GitHub-Api-Version", API_VERSION);
        }
        let token = match question.credential {
            Credential::None => None,
            Credential::Server => self.0.token.as_ref(),
            Credential::User(token) => Some(token),
        };
        if let Some(token) = token {
            request = request.bearer_auth(token.expose_secret());
        }
        if let Some(etag) = question.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let (template, max_bytes) = (question.template, question.max_bytes);
        upstream
            .call_for(template, request, max_bytes, question.oversize)
            .await
    }

    /// What a status means that is neither success nor a move nor a fault.
    fn refusal(&self, question: &Question<'_>, limits: &Limits, answer: &Answer) -> GithubError {
        let (path, now) = (question.template, self.0.clock.now());
        let status = answer.status.as_u16();
        match status {
            401 => match question.credential {
                Credential::Server => {
                    tracing::error!(
                        "github.token is not accepted: it is wrong, revoked or expired"
                    );
                    limits.refuse_token(now);
                    GithubError::Unavailable
                }
                Credential::User(_) => GithubError::Unauthorized,
                Credential::None => GithubError::Unavailable,
            },
            403 | 429 => match limits.refuse(question.resource, answer, now) {
                Refusal::Limited(retry_after_seconds) => GithubError::RateLimited {
                    retry_after_seconds,
                },
                Refusal::Forbidden => {
                    tracing::warn!(path, "GitHub does not let us see something");
                    GithubError::Forbidden
                }
                Refusal::Malformed => {
                    tracing::error!(path, status, "GitHub refuses our requests as such");
                    limits.refuse_requests(question.resource, now);
                    GithubError::Unavailable
                }
            },
            404 | 409 | 410 => {
                limits.learn(question.resource, answer, now);
                GithubError::NotFound
            }
            451 => {
                tracing::info!(path, "GitHub has taken something down");
                GithubError::NotFound
            }
            422 => {
                limits.learn(question.resource, answer, now);
                GithubError::Invalid
            }
            _ => {
                tracing::error!(path, status, "GitHub does not take our request");
                GithubError::Unavailable
            }
        }
    }
}

fn closed(reason: Closed) -> GithubError {
    match reason {
        Closed::Limited(retry_after_seconds) => GithubError::RateLimited {
            retry_after_seconds,
        },
        Closed::Refused => GithubError::Unavailable,
    }
}

fn content(answer: Answer) -> Content {
    let text = |name: &str| answer.headers.get(name)?.to_str().ok();
    Content {
        etag: text(ETAG.as_str()).map(str::to_owned),
        poll_seconds: text("x-poll-interval").and_then(|seconds| seconds.trim().parse().ok()),
        has_next: text(LINK.as_str()).is_some_and(has_next),
        is_cut: answer.is_cut,
        body: answer.body,
    }
}

/// Whether a `Link` header has a next page (RFC 8288).
fn has_next(link: &str) -> bool {
    link.split(',').any(|entry| {
        entry.split(';').skip(1).any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or_default();
            let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
            name.trim().eq_ignore_ascii_case("rel") && relations.any(|rel| rel == "next")
        })
    })
}

/// The address of these parts below `base`; each is encoded, so that none becomes more than a part.
fn address(base: &Url, path: &[&str], query: &[(&str, &str)]) -> Url {
    let mut url = base.clone();
    if let Ok(mut parts) = url.path_segments_mut() {
        parts.pop_if_empty().extend(path);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

/// Where something has moved to, at the same host: our token must not go to another one. The API names its own address, whatever
/// address we know it by.
fn target(base: &Url, url: &Url, answer: &Answer) -> Option<Url> {
    let header = answer
        .headers
        .get(LOCATION)
        .and_then(|value| value.to_str().ok());
    let body: Option<Value> = match header {
        Some(_) => None,
        None => serde_json::from_slice(&answer.body).ok(),
    };
    let text = header.or_else(|| body.as_ref()?.get("url")?.as_str())?;
    let told = url.join(text).ok()?;
    if told.origin() == base.origin() {
        return Some(told);
    }
    let canonical = CANONICAL_API.parse::<Url>().ok()?;
    if told.origin() != canonical.origin() {
        return None;
    }
    let mut moved = base.clone();
    moved.set_path(&format!(
        "{}{}",
        base.path().trim_end_matches('/'),
        told.path()
    ));
    moved.set_query(told.query());
    Some(moved)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn no_part_of_a_path_leads_elsewhere() {
        let base: Url = "https://api.example.com/v3".parse().unwrap();
        for (part, expected) in [
            ("a b", "a%20b"),
            ("../../user", "..%2F..%2Fuser"),
            ("@evil.example", "@evil.example"),
            ("x?y=1#z", "x%3Fy=1%23z"),
            ("c#", "c%23"),
            ("c++", "c++"),
            ("中", "%E4%B8%AD"),
        ] {
            let url = address(&base, &["repos", part, "r"], &[("q", "a&b=c")]);
            let expected = format!("https://api.example.com/v3/repos/{expected}/r?q=a%26b%3Dc");
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn moves_are_followed_within_the_host_only() {
        let base: Url = "http://127.0.0.1:9/api".parse().unwrap();
        let url = address(&base, &["repos", "a", "b"], &[]);
        let moved = |location: Option<&str>, body: &str| {
            let mut headers = HeaderMap::new();
            if let Some(location) = location {
                headers.insert(LOCATION, HeaderValue::from_str(location).unwrap());
            }
            let answer = Answer {
                status: StatusCode::MOVED_PERMANENTLY,
                headers,
                body: body.as_bytes().to_vec(),
                is_cut: false,
            };
            target(&base, &url, &answer).map(|url| url.to_string())
        };
        let by_body = r#"{"message": "Moved Permanently", "url": "https://api.github.com/repositories/7?x=1"}"#;
        for (location, body, expected) in [
            (
                None,
                by_body,
                Some("http://127.0.0.1:9/api/repositories/7?x=1"),
            ),
            (
                Some("https://api.github.com/repositories/7"),
                "",
                Some("http://127.0.0.1:9/api/repositories/7"),
            ),
            (
                Some("http://127.0.0.1:9/repositories/7"),
                "",
                Some("http://127.0.0.1:9/repositories/7"),
            ),
            (
                Some("/repositories/7"),
                "",
                Some("http://127.0.0.1:9/repositories/7"),
            ),
            (Some("http://127.0.0.1:10/x"), "", None),
            (Some("https://evil.example/repositories/7"), "", None),
            (Some("//evil.example/x"), "", None),
            (Some("http://api.github.com/x"), "", None),
            (None, "{}", None),
            (None, "<html>", None),
        ] {
            assert_eq!(
                moved(location, body).as_deref(),
                expected,
                "{location:?} {body}"
            );
        }
    }

    #[test]
    fn the_next_page_is_told_by_its_relation() {
        for (link, expected) in [
            (
                r#"<https://api.github.com/user/1/received_events?page=2>; rel="next", <https://x/?page=3>; rel="last""#,
                true,
            ),
            (
                r#"<https://x/?page=1>; rel="first", <https://x/?page=2>; rel="prev""#,
                false,
            ),
            (r#"<https://x/next>; rel="prev""#, false),
            (r#"<https://x/>; rel=next"#, true),
            ("", false),
        ] {
            assert_eq!(has_next(link), expected, "{link}");
        }
    }
}
