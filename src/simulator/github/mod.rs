//! GitHub as far as this server uses it: repositories, READMEs, people, searches, received events, and the trending pages.
//!
//! Answers as the real one does: a User-Agent is asked for, budgets are counted and told in headers, ETags are compared, names
//! that were changed lead to ids, searches end after 1000 results. Everything in it is made up.
//!
//! Tokens: `ghp_sim_<login>` is one of `<login>`.

mod answers;
mod door;
mod pages;
mod search;
mod world;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use serde_json::Value;
use tokio::net::TcpListener;

use self::answers::{
    account, developers, developers_of, missing, person, rate_limit, readme, readme_by_id,
    received_events, repository, repository_by_id, trending, trending_of,
};
use self::door::{Budget, at_the_door};
pub use self::world::SimulatedRepository;
use crate::platform::clock::{Clock, Timestamp};

/// What a token begins with; the login follows.
pub const TOKEN_PREFIX: &str = "ghp_sim_";
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
