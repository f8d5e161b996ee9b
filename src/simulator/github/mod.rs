//! GitHub as far as this server uses it: repositories, READMEs, people, searches, received events, and the trending pages.
//!
//! Answers as the real one does: a User-Agent is asked for, budgets are counted and told in headers, ETags are compared, names
//! that were changed lead to ids, searches end after 1000 results. Everything in it is made up.
//!
//! Tokens: `ghp_sim_<login>` is one of `<login>`.

mod pages;
mod search;
mod world;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, ETAG, IF_NONE_MATCH, LINK, LOCATION, RETRY_AFTER,
    USER_AGENT,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub use self::world::SimulatedRepository;
use crate::platform::clock::{Clock, Timestamp};
use crate::platform::digest::sha256_hex;

/// What a token begins with; the login follows.
pub const TOKEN_PREFIX: &str = "ghp_sim_";
/// Longer than any client waits.
const SILENCE: Duration = Duration::from_secs(120);
/// Entries of a page when the client does not say, and at most.
const PAGE_SIZE: (usize, usize) = (30, 100);
/// READMEs from this size on come raw only.
const MAX_JSON_README: usize = 1 << 20;

/// A running simulator. It stops with the runtime it was started on.
#[derive(Clone)]
pub struct GithubSimulator(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    clock: Arc<dyn Clock>,
    /// What things are dated by: they are the same whenever they are looked at.
    started_at: Timestamp,
    state: Mutex<World>,
}

struct World {
    repositories: Vec<SimulatedRepository>,
    /// Ids by the full names that repositories had, in lower case.
    renamed: HashMap<String, u64>,
    revoked: HashSet<String>,
    /// Logins by the tokens that `ghp_sim_` does not tell.
    owners: HashMap<String, String>,
    /// Further events by login, newest first.
    events: HashMap<String, Vec<Value>>,
    /// Pages that stand for the rendered ones, by path.
    pages: HashMap<String, String>,
    faults: Vec<(String, GithubFault)>,
    budgets: HashMap<(String, &'static str), Budget>,
    requests: Vec<SimulatedRequest>,
}

#[derive(Default)]
struct Budget {
    used: u64,
    resets_at: i64,
}

/// What somebody asked.
#[derive(Debug, Clone)]
pub struct SimulatedRequest {
    /// Path and query, as sent.
    pub target: String,
    /// The token.
    pub token: Option<String>,
    /// Whether it was answered by "not modified".
    pub is_unchanged: bool,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum GithubFault {
    /// A status with a JSON message.
    Status(u16),
    /// No answer.
    Silence,
    /// A moment, then what would have come.
    Delay(Duration),
    /// The connection breaks in the middle of the body.
    Break,
    /// The body ends early, as if that was all.
    Cut,
    /// A sign-in page with status 200.
    SignIn,
    /// The budget is spent for so many seconds; 403 or 429.
    Spent(u16, i64),
    /// A secondary limit with status 403 or 429, perhaps with the seconds to wait.
    Secondary(u16, Option<u32>),
    /// Taken down.
    TakenDown,
    /// Moved to this address.
    Moved(String),
}

impl GithubSimulator {
    /// Starts listening on a free port of loopback.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let this = Self(Arc::new(Inner {
            address: listener.local_addr()?,
            started_at: clock.now(),
            clock,
            state: Mutex::new(World {
                repositories: world::repositories(),
                renamed: HashMap::new(),
                revoked: HashSet::new(),
                owners: HashMap::new(),
                events: HashMap::new(),
                pages: HashMap::new(),
                faults: Vec::new(),
                budgets: HashMap::new(),
                requests: Vec::new(),
            }),
        }));
        let router = Router::new()
            .route("/repos/{owner}/{name}", get(repository))
            .route("/repos/{owner}/{name}/readme", get(readme))
            .route("/repositories/{id}", get(repository_by_id))
            .route("/repositories/{id}/readme", get(readme_by_id))
            .route("/users/{login}", get(person))
            .route("/users/{login}/received_events", get(received_events))
            .route("/user", get(account))
            .route("/search/repositories", get(search::repositories))
            .route("/rate_limit", get(rate_limit))
            .route("/trending", get(trending))
            .route("/trending/{language}", get(trending_of))
            .route("/trending/developers", get(developers))
            .route("/trending/developers/{language}", get(developers_of))
            .fallback(async || missing())
            .layer(from_fn_with_state(this.clone(), at_the_door))
            .with_state(this.clone());
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "The GitHub simulator stopped");
            }
        });
        Ok(this)
    }

    /// Where it listens, for the API and the pages alike.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// A token of `login` that looks like no simulated one.
    pub fn issue_token(&self, login: &str) -> String {
        let random: [u8; 18] = rand::random();
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let token = format!("github_pat_{digits}");
        self.world().owners.insert(token.clone(), login.to_owned());
        token
    }

    /// Accepts a token no more.
    pub fn revoke(&self, token: &str) {
        self.world().revoked.insert(token.to_owned());
    }

    /// Adds a repository, or replaces the one of this id.
    pub fn put(&self, repository: SimulatedRepository) {
        let mut world = self.world();
        world.repositories.retain(|known| known.id != repository.id);
        world.repositories.push(repository);
    }

    /// The repository of this full name.
    pub fn repository(&self, full_name: &str) -> Option<SimulatedRepository> {
        self.world().find(full_name).cloned()
    }

    /// Gives a repository another name; the old one leads to it.
    pub fn rename(&self, full_name: &str, owner: &str, name: &str) {
        let mut world = self.world();
        let mut id = None;
        for repository in &mut world.repositories {
            if repository.full_name() == full_name {
                (repository.owner, repository.name) = (owner.to_owned(), name.to_owned());
                id = Some(repository.id);
            }
        }
        if let Some(id) = id {
            world.renamed.insert(full_name.to_lowercase(), id);
        }
    }

    /// Lets somebody receive an event, before all others.
    pub fn happen(&self, login: &str, event: Value) {
        let mut world = self.world();
        let events = world.events.entry(login.to_owned()).or_default();
        events.insert(0, event);
    }

    /// Shows this page at a path of the trending pages instead of the rendered one.
    pub fn show(&self, path: &str, page: &str) {
        self.world().pages.insert(path.to_owned(), page.to_owned());
    }

    /// Lets every request whose path begins so meet a fault, from now on.
    pub fn fail(&self, path: &str, fault: GithubFault) {
        self.world().faults.push((path.to_owned(), fault));
    }

    /// Ends all faults.
    pub fn recover(&self) {
        self.world().faults.clear();
    }

    /// The requests whose path begins so.
    pub fn requests(&self, path: &str) -> Vec<SimulatedRequest> {
        let world = self.world();
        let requests = world.requests.iter();
        let wanted = requests.filter(|request| request.target.starts_with(path));
        wanted.cloned().collect()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A test that panicked while holding it left it as good as it was.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Whose a token is.
    fn owner_of(&self, token: &str) -> Option<String> {
        let world = self.world();
        if world.revoked.contains(token) {
            return None;
        }
        let simulated = token.strip_prefix(TOKEN_PREFIX).map(str::to_owned);
        let owner = world.owners.get(token).cloned().or(simulated)?;
        world::person(&owner, self.0.started_at).map(|_| owner)
    }
}

impl World {
    fn find(&self, full_name: &str) -> Option<&SimulatedRepository> {
        let all = self.repositories.iter();
        let mut named = all.filter(|one| one.full_name().eq_ignore_ascii_case(full_name));
        named.next()
    }
}

fn json_of(status: StatusCode, body: &Value) -> Response {
    let content = (CONTENT_TYPE, "application/json; charset=utf-8");
    (status, [content], body.to_string()).into_response()
}

fn problem(status: StatusCode, message: &str) -> Response {
    let body = json!({
        "message": message,
        "documentation_url": "https://docs.github.com/rest",
        "status": status.as_u16().to_string(),
    });
    json_of(status, &body)
}

fn missing() -> Response {
    problem(StatusCode::NOT_FOUND, "Not Found")
}

fn token_of(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (_, token) = value.split_once(' ')?;
    Some(token.to_owned())
}

/// What holds for every request: the log, faults, who may come in, budgets, ETags.
async fn at_the_door(
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
    fn take(
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

async fn repository(
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

async fn repository_by_id(
    State(simulator): State<GithubSimulator>,
    Path(id): Path<u64>,
) -> Response {
    match simulator.by_id(id) {
        Some(one) => json_of(StatusCode::OK, &one.json(simulator.0.started_at, true)),
        None => missing(),
    }
}

async fn readme(
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

async fn readme_by_id(
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

async fn person(State(simulator): State<GithubSimulator>, Path(login): Path<String>) -> Response {
    match world::person(&login, simulator.0.started_at) {
        Some(person) => json_of(StatusCode::OK, &person),
        None => missing(),
    }
}

async fn account(State(simulator): State<GithubSimulator>, headers: HeaderMap) -> Response {
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
fn page_of(query: &HashMap<String, String>) -> (usize, usize) {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let size = number("per_page")
        .filter(|size| *size > 0)
        .unwrap_or(PAGE_SIZE.0);
    (
        size.min(PAGE_SIZE.1),
        number("page").filter(|page| *page > 0).unwrap_or(1),
    )
}

async fn received_events(
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

async fn rate_limit(State(simulator): State<GithubSimulator>, headers: HeaderMap) -> Response {
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

async fn trending(
    State(simulator): State<GithubSimulator>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    simulator.trending_page(None, &query)
}

async fn trending_of(
    State(simulator): State<GithubSimulator>,
    Path(language): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    simulator.trending_page(Some(&language), &query)
}

async fn developers(State(simulator): State<GithubSimulator>) -> Response {
    simulator.developers_page(None)
}

async fn developers_of(
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
