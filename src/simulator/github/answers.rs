//! What is answered to whom.

use std::collections::HashMap;

use axum::extract::{Path, Query, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LINK};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::world::{self, SimulatedRepository};
use super::{GithubSimulator, pages};
use crate::platform::digest::sha256_hex;

/// Entries of a page when the client does not say, and at most.
const PAGE_SIZE: (usize, usize) = (30, 100);
/// READMEs from this size on come raw only.
const MAX_JSON_README: usize = 1 << 20;

pub(super) fn json_of(status: StatusCode, body: &Value) -> Response {
    let content = (CONTENT_TYPE, "application/json; charset=utf-8");
    (status, [content], body.to_string()).into_response()
}

pub(super) fn problem(status: StatusCode, message: &str) -> Response {
    let body = json!({
        "message": message,
        "documentation_url": "https://docs.github.com/rest",
        "status": status.as_u16().to_string(),
    });
    json_of(status, &body)
}

pub(super) fn missing() -> Response {
    problem(StatusCode::NOT_FOUND, "Not Found")
}

pub(super) fn token_of(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (_, token) = value.split_once(' ')?;
    Some(token.to_owned())
}

/// The repository of a name, or where it is now.
enum Named {
    Here(Box<SimulatedRepository>),
    Moved(u64),
    Nowhere,
}

impl GithubSimulator {
    fn named(&self, owner: &str, name: &str, headers: &HeaderMap) -> Named {
        let full_name = format!("{owner}/{name}");
        let asker = token_of(headers).and_then(|token| self.owner_of(&token));
        let world = self.world();
        match world.find(&full_name) {
            Some(one) if !one.is_private || asker.as_deref() == Some(one.owner.as_str()) => {
                Named::Here(Box::new(one.clone()))
            }
            Some(_) => Named::Nowhere,
            None => world
                .renamed
                .get(&full_name.to_lowercase())
                .map_or(Named::Nowhere, |id| Named::Moved(*id)),
        }
    }

    fn by_id(&self, id: u64) -> Option<SimulatedRepository> {
        let world = self.world();
        let mut found = world
            .repositories
            .iter()
            .filter(|one| one.id == id && !one.is_private);
        found.next().cloned()
    }
}

/// As the API answers: the address in the body, the header not always there.
fn moved(path: &str) -> Response {
    let url = format!("https://api.github.com/repositories/{path}");
    let body = json!({
        "message": "Moved Permanently",
        "url": url,
        "documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects",
    });
    json_of(StatusCode::MOVED_PERMANENTLY, &body)
}

pub(super) async fn repository(
    State(simulator): State<GithubSimulator>,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    match simulator.named(&owner, &name, &headers) {
        Named::Here(one) => json_of(StatusCode::OK, &one.json(simulator.0.started_at, true)),
        Named::Moved(id) => moved(&id.to_string()),
        Named::Nowhere => missing(),
    }
}

pub(super) async fn repository_by_id(
    State(simulator): State<GithubSimulator>,
    Path(id): Path<u64>,
) -> Response {
    match simulator.by_id(id) {
        Some(one) => json_of(StatusCode::OK, &one.json(simulator.0.started_at, true)),
        None => missing(),
    }
}

pub(super) async fn readme(
    State(simulator): State<GithubSimulator>,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    match simulator.named(&owner, &name, &headers) {
        Named::Here(one) => readme_of(&one, &headers),
        Named::Moved(id) => moved(&format!("{id}/readme")),
        Named::Nowhere => missing(),
    }
}

pub(super) async fn readme_by_id(
    State(simulator): State<GithubSimulator>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Response {
    match simulator.by_id(id) {
        Some(one) => readme_of(&one, &headers),
        None => missing(),
    }
}

fn readme_of(one: &SimulatedRepository, headers: &HeaderMap) -> Response {
    let Some((path, text)) = &one.readme else {
        return missing();
    };
    let accept = headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or("*/*");
    if accept.contains("raw") {
        return (
            [(
                CONTENT_TYPE,
                "application/vnd.github.raw+json; charset=utf-8",
            )],
            text.clone(),
        )
            .into_response();
    }
    let is_large = text.len() >= MAX_JSON_README;
    let mut lines = String::new();
    for (index, character) in BASE64_STANDARD.encode(text).chars().enumerate() {
        if index > 0 && index % 60 == 0 {
            lines.push('\n');
        }
        lines.push(character);
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    let body = json!({
        "type": "file",
        "encoding": if is_large { "none" } else { "base64" },
        "size": text.len(),
        "name": name,
        "path": path,
        "sha": sha256_hex(text)[..40],
        "content": if is_large { String::new() } else { lines },
        "url": format!("https://api.github.com/repos/{}/contents/{path}", one.full_name()),
        "html_url": format!("https://github.com/{}/blob/{}/{path}", one.full_name(), one.default_branch),
        "download_url": format!("https://raw.githubusercontent.com/{}/{}/{path}", one.full_name(), one.default_branch),
    });
    json_of(StatusCode::OK, &body)
}

pub(super) async fn person(
    State(simulator): State<GithubSimulator>,
    Path(login): Path<String>,
) -> Response {
    match world::person(&login, simulator.0.started_at) {
        Some(person) => json_of(StatusCode::OK, &person),
        None => missing(),
    }
}

pub(super) async fn account(
    State(simulator): State<GithubSimulator>,
    headers: HeaderMap,
) -> Response {
    let owner = token_of(&headers).and_then(|token| simulator.owner_of(&token));
    let person = owner.and_then(|owner| world::person(&owner, simulator.0.started_at));
    match person {
        Some(mut person) => {
            person["private_gists"] = 4.into();
            person["two_factor_authentication"] = true.into();
            json_of(StatusCode::OK, &person)
        }
        None => problem(StatusCode::UNAUTHORIZED, "Requires authentication"),
    }
}

/// Size and number of a page.
pub(super) fn page_of(query: &HashMap<String, String>) -> (usize, usize) {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let size = number("per_page")
        .filter(|size| *size > 0)
        .unwrap_or(PAGE_SIZE.0);
    (
        size.min(PAGE_SIZE.1),
        number("page").filter(|page| *page > 0).unwrap_or(1),
    )
}

pub(super) async fn received_events(
    State(simulator): State<GithubSimulator>,
    Path(login): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let asker = token_of(&headers).and_then(|token| simulator.owner_of(&token));
    let (size, page) = page_of(&query);
    if (page - 1) * size >= 300 {
        let text = "In order to keep the API fast for everyone, pagination is limited for this resource. Check the rel=last link relation in the Link response header to see how far back you can traverse.";
        return problem(StatusCode::UNPROCESSABLE_ENTITY, text);
    }
    if world::person(&login, simulator.0.started_at).is_none() {
        return missing();
    }
    let mut events = simulator
        .world()
        .events
        .get(&login)
        .cloned()
        .unwrap_or_default();
    if asker.as_deref() != Some(login.as_str()) {
        events.retain(|event| event["public"] != json!(false));
    }
    events.extend(world::events(simulator.0.started_at));
    events.truncate(300);
    let last = events.len().div_ceil(size).max(1);
    let shown: Vec<Value> = events
        .into_iter()
        .skip((page - 1) * size)
        .take(size)
        .collect();
    let mut response = json_of(StatusCode::OK, &shown.into());
    let link = |page: usize, rel: &str| {
        format!(
            "<https://api.github.com/user/{}/received_events?page={page}&per_page={size}>; rel=\"{rel}\"",
            world::id_of(&login)
        )
    };
    let mut links = Vec::new();
    if page < last {
        links.extend([link(page + 1, "next"), link(last, "last")]);
    }
    if page > 1 {
        links.extend([link(1, "first"), link(page - 1, "prev")]);
    }
    if let Ok(links) = HeaderValue::from_str(&links.join(", ")) {
        response.headers_mut().insert(LINK, links);
    }
    response.headers_mut().insert(
        HeaderName::from_static("x-poll-interval"),
        HeaderValue::from_static("60"),
    );
    response
}

pub(super) async fn rate_limit(
    State(simulator): State<GithubSimulator>,
    headers: HeaderMap,
) -> Response {
    let token = token_of(&headers);
    let of = |resource: &'static str| {
        let (told, _) = simulator.take(token.as_deref(), resource, false);
        let number = |index: usize| {
            told.get(index)
                .and_then(|(_, value)| value.to_str().ok()?.parse::<i64>().ok())
        };
        json!({"limit": number(0), "remaining": number(1), "used": number(2), "reset": number(3)})
    };
    let body = json!({"resources": {"core": of("core"), "search": of("search")}});
    json_of(StatusCode::OK, &body)
}

pub(super) async fn trending(
    State(simulator): State<GithubSimulator>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    simulator.trending_page(None, &query)
}

pub(super) async fn trending_of(
    State(simulator): State<GithubSimulator>,
    Path(language): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    simulator.trending_page(Some(&language), &query)
}

pub(super) async fn developers(State(simulator): State<GithubSimulator>) -> Response {
    simulator.developers_page(None)
}

pub(super) async fn developers_of(
    State(simulator): State<GithubSimulator>,
    Path(language): Path<String>,
) -> Response {
    simulator.developers_page(Some(&language))
}

impl GithubSimulator {
    fn trending_page(&self, language: Option<&str>, query: &HashMap<String, String>) -> Response {
        let path = language.map_or_else(
            || "/trending".to_owned(),
            |language| format!("/trending/{language}"),
        );
        if let Some(page) = self.world().pages.get(&path) {
            return Html(page.clone()).into_response();
        }
        let words = match query.get("since").map(String::as_str) {
            Some("weekly") => "this week",
            Some("monthly") => "this month",
            _ => "today",
        };
        let mut all = self.world().repositories.clone();
        if let Some(spoken) = query.get("spoken_language_code") {
            let is_chinese =
                |text: &String| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
            all.retain(|one| {
                one.description
                    .as_ref()
                    .is_some_and(|text| is_chinese(text) == (spoken == "zh"))
            });
        }
        Html(pages::repositories(&all, language, words)).into_response()
    }

    fn developers_page(&self, language: Option<&str>) -> Response {
        let path = language.map_or_else(
            || "/trending/developers".to_owned(),
            |language| format!("/trending/developers/{language}"),
        );
        let world = self.world();
        match world.pages.get(&path) {
            Some(page) => Html(page.clone()).into_response(),
            None => Html(pages::developers(&world.repositories, language)).into_response(),
        }
    }
}
