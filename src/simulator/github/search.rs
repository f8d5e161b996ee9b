//! The search for repositories: words, and the qualifiers that people use most.

use std::cmp::Reverse;
use std::collections::HashMap;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::GithubSimulator;
use super::answers::{json_of, page_of, problem, token_of};
use super::world::SimulatedRepository;

/// Results that are given out.
const MAX_RESULTS: usize = 1000;

/// What a query asks for.
#[derive(Default)]
struct Wanted<'a> {
    words: Vec<String>,
    repositories: Vec<&'a str>,
    users: Vec<&'a str>,
    languages: Vec<&'a str>,
    more_stars_than: Option<u64>,
    only_public: bool,
    with_forks: bool,
}

impl<'a> Wanted<'a> {
    /// `None` for what GitHub does not read.
    fn read(query: &'a str) -> Option<Self> {
        let mut wanted = Self::default();
        let mut operators = 0;
        for part in query.split_whitespace() {
            match part.split_once(':') {
                _ if matches!(part, "AND" | "OR" | "NOT") => operators += 1,
                Some(("repo", name)) => wanted.repositories.push(name),
                Some(("user" | "org", login)) => wanted.users.push(login),
                Some(("language", language)) => wanted.languages.push(language),
                Some(("stars", number)) => {
                    wanted.more_stars_than = Some(number.strip_prefix('>')?.parse().ok()?);
                }
                Some(("fork", value)) => wanted.with_forks = value == "true",
                Some(("is", "public")) => wanted.only_public = true,
                Some(("in" | "topic" | "created" | "archived" | "is", _)) => {}
                _ => wanted.words.push(part.to_lowercase()),
            }
        }
        let length: usize = wanted
            .words
            .iter()
            .map(|word| word.chars().count() + 1)
            .sum();
        (!query.trim().is_empty() && operators <= 5 && length <= 257).then_some(wanted)
    }

    fn takes(&self, one: &SimulatedRepository) -> bool {
        let text = format!(
            "{} {}",
            one.name,
            one.description.as_deref().unwrap_or_default()
        );
        // GitHub looks at topics, too, and people file things under their language.
        let language = one.language.map_or("", |(name, _)| name);
        let text = format!("{text} {language}").to_lowercase();
        let is_among = |list: &[&str], value: &str| {
            list.is_empty() || list.iter().any(|one| one.eq_ignore_ascii_case(value))
        };
        self.words.iter().all(|word| text.contains(word))
            && is_among(&self.repositories, &one.full_name())
            && is_among(&self.users, &one.owner)
            && is_among(&self.languages, one.language.map_or("", |(name, _)| name))
            && self.more_stars_than.is_none_or(|least| one.stars > least)
            && (self.with_forks || !one.is_fork)
            && !(self.only_public && one.is_private)
    }
}

pub(super) async fn repositories(
    State(simulator): State<GithubSimulator>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let text = query.get("q").map(String::as_str).unwrap_or_default();
    let Some(wanted) = Wanted::read(text) else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed");
    };
    let (size, page) = page_of(&query);
    if (page - 1) * size >= MAX_RESULTS {
        let text = "Only the first 1000 search results are available";
        return problem(StatusCode::UNPROCESSABLE_ENTITY, text);
    }
    let mut found: Vec<SimulatedRepository> = simulator.world().repositories.clone();
    let asker = token_of(&headers).and_then(|token| simulator.owner_of(&token));
    found.retain(|one| !one.is_private || asker.as_deref() == Some(one.owner.as_str()));
    let is_there = |name: &&str| {
        found
            .iter()
            .any(|one| one.full_name().eq_ignore_ascii_case(name))
    };
    if !wanted.repositories.is_empty() && !wanted.repositories.iter().any(is_there) {
        let text = "The listed users and repositories cannot be searched either because the resources do not exist or you do not have permission to view them.";
        return problem(StatusCode::UNPROCESSABLE_ENTITY, text);
    }
    found.retain(|one| wanted.takes(one));
    match query.get("sort").map(String::as_str) {
        Some("stars") => found.sort_by_key(|one| Reverse(one.stars)),
        Some("forks") => found.sort_by_key(|one| Reverse(one.forks)),
        Some("updated") => found.sort_by_key(|one| one.id % 9),
        _ => {}
    }
    let now = simulator.0.started_at;
    let items: Vec<Value> = found
        .iter()
        .take(MAX_RESULTS)
        .skip((page - 1) * size)
        .take(size)
        .map(|one| {
            let mut item = one.json(now, false);
            item["score"] = 1.0.into();
            item
        })
        .collect();
    let body = json!({"total_count": found.len(), "incomplete_results": false, "items": items});
    json_of(StatusCode::OK, &body)
}
