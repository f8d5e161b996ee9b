//! What people ask of GitHub, answered from copies where they are good enough.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::clients::github::records::{
    Developer, Event, EventPage, Readme, Repository, SearchPage, TrendingDeveloper,
    TrendingRepository,
};
use crate::clients::github::{Fetched, GithubClient, GithubError, Period, SearchSort};
use crate::github::asker::{Asker, Questions};
use crate::github::cache::{Cache, Lifetimes, Snapshot};
use crate::platform::clock::{Clock, Timestamp};
use crate::platform::config::GithubConfig;
use crate::platform::digest::sha256_hex;

pub use crate::clients::github::records::Account;

/// Wait for what is newer than the copy at hand: hardly noticed.
const PATIENCE: Duration = Duration::from_millis(30);
/// Sooner nobody's events are asked for again.
const EVENTS_FRESH: TimeDelta = TimeDelta::seconds(60);
/// Pages of events; GitHub has no more.
const MAX_EVENT_PAGES: u32 = 3;
/// Results of a search; GitHub has no more.
pub(crate) const MAX_RESULTS: u32 = 1000;

/// A repository as it was when it was fetched.
pub(crate) type RepositoryCopy = Snapshot<Option<Repository>>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct TrendingKey {
    language: Option<String>,
    spoken_language: Option<String>,
    since: Period,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SearchKey {
    query: String,
    sort: SearchSort,
    per_page: u32,
    page: u32,
}

/// Owner and name in lower case: GitHub does not tell them apart.
type NameKey = (String, String);

/// Whose events: a digest of the token, so that nobody else's copy is ever found, and the login.
type EventKey = (String, String, u32);

/// What is found of a list.
pub(crate) struct Found {
    /// The entries that were asked for, each with the number of those before it in the whole list.
    pub(crate) repositories: Vec<(u32, Repository)>,
    /// Found in all.
    pub(crate) total: u64,
    pub(crate) is_incomplete: bool,
    /// Whether entries follow that GitHub gives out.
    pub(crate) has_next: bool,
    /// Entries that were passed, private ones included.
    pub(crate) passed: u32,
    pub(crate) fetched_at: Timestamp,
    pub(crate) is_stale: bool,
}

/// What GitHub shows of itself. A clone is another handle to the same service.
#[derive(Clone)]
pub struct GithubService {
    client: GithubClient,
    clock: Arc<dyn Clock>,
    questions: Option<Questions>,
    timeout: Duration,
    trending_repositories: Cache<TrendingKey, Vec<TrendingRepository>>,
    trending_developers: Cache<TrendingKey, Vec<TrendingDeveloper>>,
    /// Full records.
    repositories: Cache<NameKey, Option<Repository>>,
    /// As searches show them, without what only the full record has.
    briefs: Cache<NameKey, Option<Repository>>,
    /// Repositories asked for together.
    batches: Cache<Vec<NameKey>, Vec<Repository>>,
    readmes: Cache<NameKey, Option<Readme>>,
    developers: Cache<String, Option<Developer>>,
    searches: Cache<SearchKey, SearchPage>,
    events: Cache<EventKey, EventPage>,
    /// By a digest of the token.
    accounts: Cache<String, Account>,
}

impl GithubService {
    /// The service for one server. An address may ask so many questions a minute that no copy answers.
    pub fn new(
        client: GithubClient,
        config: &GithubConfig,
        questions_per_minute: Option<u32>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let delta = |time: Duration| TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
        let trending = Lifetimes {
            fresh: delta(config.trending_fresh),
            stale: delta(config.trending_stale),
            patience: PATIENCE,
        };
        let usual = Lifetimes {
            fresh: delta(config.fresh),
            stale: delta(config.stale),
            patience: PATIENCE,
        };
        let personal = Lifetimes {
            fresh: EVENTS_FRESH,
            stale: usual.stale.max(EVENTS_FRESH),
            patience: PATIENCE,
        };
        // In sixteenths: READMEs and searches are large.
        let part = |parts: u64| config.cache_bytes / 16 * parts;
        let clock = || Arc::clone(clock);
        Self {
            client,
            clock: clock(),
            questions: questions_per_minute.map(Questions::new),
            timeout: config.timeout,
            trending_repositories: Cache::new(part(1), trending, clock()),
            trending_developers: Cache::new(part(1), trending, clock()),
            repositories: Cache::new(part(2), usual, clock()),
            briefs: Cache::new(part(1), usual, clock()),
            batches: Cache::new(part(1), usual, clock()),
            readmes: Cache::new(part(4), usual, clock()),
            developers: Cache::new(part(1), usual, clock()),
            searches: Cache::new(part(3), usual, clock()),
            events: Cache::new(part(1), personal, clock()),
            accounts: Cache::new(part(1), personal, clock()),
        }
    }

    /// Who asks in a request that has to be answered at `deadline`.
    pub fn asker(&self, address: IpAddr, deadline: Option<Instant>) -> Asker {
        // What is left is for the answer itself.
        let until = deadline.map(|deadline| {
            let now = Instant::now();
            now + deadline.saturating_duration_since(now).mul_f32(0.85)
        });
        Asker::new(address, self.questions.clone(), until, self.timeout)
    }

    /// The current time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The repositories that get most stars, of a language by its slug, or of all.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub(crate) async fn trending_repositories(
        &self,
        asker: &Asker,
        language: Option<String>,
        spoken_language: Option<String>,
        since: Period,
    ) -> Result<Snapshot<Vec<TrendingRepository>>, GithubError> {
        let has_language = language.is_some();
        let key = TrendingKey {
            language,
            spoken_language,
            since,
        };
        let (client, asked) = (self.client.clone(), key.clone());
        let fetch = |etag: Option<String>| async move {
            let (language, spoken) = (asked.language.as_deref(), asked.spoken_language.as_deref());
            client
                .trending_repositories(language, spoken, asked.since, etag.as_deref())
                .await
        };
        self.of_language(
            has_language,
            self.trending_repositories.get(asker, key, fetch).await,
        )
    }

    /// The developers whose work gets most stars, of a language by its slug, or of all.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub(crate) async fn trending_developers(
        &self,
        asker: &Asker,
        language: Option<String>,
        since: Period,
    ) -> Result<Snapshot<Vec<TrendingDeveloper>>, GithubError> {
        let has_language = language.is_some();
        let key = TrendingKey {
            language,
            spoken_language: None,
            since,
        };
        let (client, asked) = (self.client.clone(), key.clone());
        let fetch = |etag: Option<String>| async move {
            let language = asked.language.as_deref();
            client
                .trending_developers(language, asked.since, etag.as_deref())
                .await
        };
        self.of_language(
            has_language,
            self.trending_developers.get(asker, key, fetch).await,
        )
    }

    /// The full record of a repository, also under a name that it had before; while GitHub does not answer, what a list showed of it.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub(crate) async fn repository(
        &self,
        asker: &Asker,
        owner: &str,
        name: &str,
    ) -> Result<RepositoryCopy, GithubError> {
        let key = name_key(owner, name);
        let (this, asked) = (self.clone(), key.clone());
        let fetch = |etag: Option<String>| async move {
            let (owner, name) = &asked;
            let fetched = present(this.client.repository(owner, name, etag.as_deref()).await)?;
            if let Fetched::New {
                value: Some(repository),
                ..
            } = &fetched
            {
                let now_called = key_of(repository);
                if now_called != asked {
                    this.repositories
                        .put(now_called, Arc::new(Some(repository.clone())));
                }
            }
            Ok(fetched)
        };
        let copy = self.repositories.get(asker, key.clone(), fetch).await;
        match self.or_hidden(copy) {
            // As a list showed it lately, which is better than nothing.
            Err(error) => self.briefs.usable(&key).ok_or(error),
            copy => copy,
        }
    }

    /// Repositories by owner and name with as few questions as can be: what only the full record has is missing from some.
    pub(crate) async fn repositories(
        &self,
        asker: &Asker,
        keys: &[NameKey],
    ) -> HashMap<NameKey, Result<RepositoryCopy, GithubError>> {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        for key in keys {
            match self
                .repositories
                .fresh(key)
                .or_else(|| self.briefs.fresh(key))
            {
                Some(copy) => {
                    found.insert(key.clone(), Ok(copy));
                }
                None => missing.push(key.clone()),
            }
        }
        missing.sort_unstable();
        missing.dedup();
        let batches = missing.chunks(self.client.max_named());
        let batches = batches.map(|batch| self.load_batch(asker, batch));
        for batch in join_all(batches).await {
            found.extend(batch);
        }
        found
    }

    async fn load_batch(
        &self,
        asker: &Asker,
        batch: &[NameKey],
    ) -> HashMap<NameKey, Result<RepositoryCopy, GithubError>> {
        let mut found = HashMap::new();
        // One alone costs as much by its own name, and gets the full record.
        let mut unknown = batch.to_vec();
        if batch.len() > 1 {
            let (client, asked) = (self.client.clone(), batch.to_vec());
            let fetch = |_| async move {
                let repositories = match client.repositories_named(&asked).await {
                    // GitHub says so when it knows none of them.
                    Err(GithubError::Invalid) => Vec::new(),
                    other => other?,
                };
                Ok(Fetched::New {
                    value: repositories,
                    etag: None,
                    poll: None,
                })
            };
            let usable = |key: &NameKey| {
                let full = self.repositories.usable(key);
                full.or_else(|| self.briefs.usable(key))
            };
            let has_all = batch.iter().all(|key| usable(key).is_some());
            let copies = self
                .batches
                .get_unless(asker, has_all, batch.to_vec(), fetch)
                .await;
            match copies {
                Ok(copies) => {
                    for repository in copies.value.iter() {
                        let copy = Snapshot {
                            value: Arc::new(Some(repository.clone())),
                            fetched_at: copies.fetched_at,
                            is_stale: copies.is_stale,
                        };
                        let key = key_of(repository);
                        if !copy.is_stale {
                            self.briefs.put(key.clone(), Arc::clone(&copy.value));
                        }
                        found.insert(key, Ok(copy));
                    }
                    // What the search does not know was renamed or is too new, or there is none.
                    unknown.retain(|key| !found.contains_key(key));
                }
                Err(error) => {
                    // Searches are few, and their budget is one of its own; without a token the other one is small, too.
                    let has_other_way =
                        matches!(error, GithubError::RateLimited { .. }) && self.client.has_token();
                    unknown.clear();
                    for key in batch {
                        match usable(key) {
                            Some(old) => drop(found.insert(key.clone(), Ok(old))),
                            None if has_other_way => unknown.push(key.clone()),
                            None => drop(found.insert(key.clone(), Err(error))),
                        }
                    }
                }
            }
        }
        let lookups = unknown.into_iter().map(|key| async move {
            let copy = self.repository(asker, &key.0, &key.1).await;
            (key, copy)
        });
        found.extend(join_all(lookups).await);
        found
    }

    /// The README of a repository; `None` when it has none.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub(crate) async fn readme(
        &self,
        asker: &Asker,
        repository: &Repository,
    ) -> Result<Snapshot<Option<Readme>>, GithubError> {
        let key = key_of(repository);
        let (client, asked) = (self.client.clone(), key.clone());
        let fetch = |etag: Option<String>| async move {
            let (owner, name) = &asked;
            match present(client.readme(owner, name, etag.as_deref()).await) {
                // No branch has been pushed yet.
                Err(GithubError::Invalid) => Ok(absent()),
                other => other,
            }
        };
        self.or_hidden(self.readmes.get(asker, key, fetch).await)
    }

    /// A person or an organisation.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub(crate) async fn developer(
        &self,
        asker: &Asker,
        login: &str,
    ) -> Result<Snapshot<Option<Developer>>, GithubError> {
        let key = login.to_lowercase();
        let (client, asked) = (self.client.clone(), key.clone());
        let fetch = |etag: Option<String>| async move {
            present(client.developer(&asked, etag.as_deref()).await)
        };
        self.or_hidden(self.developers.get(asker, key, fetch).await)
    }

    /// `limit` results of a search from `offset` on.
    ///
    /// # Errors
    /// See [`GithubError`]; `Invalid` for what GitHub cannot read.
    pub(crate) async fn search(
        &self,
        asker: &Asker,
        query: &str,
        sort: SearchSort,
        offset: u32,
        limit: u32,
    ) -> Result<Found, GithubError> {
        // Nothing is asked for but the number.
        let per_page = limit.max(1);
        let end = offset.saturating_add(limit).min(MAX_RESULTS);
        let from = offset.min(MAX_RESULTS - 1);
        let to = end.saturating_sub(1).max(from);
        let mut found: Option<Found> = None;
        // The client that changes its page size midway gets parts of two pages.
        for index in from / per_page..=to / per_page {
            let page = self
                .search_page(asker, query, sort, per_page, index + 1)
                .await?;
            let start = index * per_page;
            let into = found.get_or_insert_with(|| Found {
                repositories: Vec::new(),
                total: page.value.total,
                is_incomplete: false,
                has_next: false,
                passed: offset,
                fetched_at: page.fetched_at,
                is_stale: false,
            });
            into.is_incomplete |= page.value.is_incomplete;
            into.is_stale |= page.is_stale;
            into.fetched_at = into.fetched_at.min(page.fetched_at);
            let entries = page.value.repositories.iter();
            let entries = entries.map(|(place, repository)| (start + place, repository.clone()));
            into.repositories
                .extend(entries.filter(|(place, _)| (offset..end).contains(place)));
            let reached = start + page.value.entries as u32;
            into.passed = into.passed.max(reached.min(end));
            let is_last = page.value.entries < per_page as usize
                || u64::from(start + per_page) >= into.total.min(MAX_RESULTS.into());
            into.has_next = match is_last {
                // The page may reach further than what was asked for.
                true => end < reached,
                false => end < MAX_RESULTS,
            };
            if is_last {
                break;
            }
        }
        found.ok_or(GithubError::Unavailable)
    }

    async fn search_page(
        &self,
        asker: &Asker,
        query: &str,
        sort: SearchSort,
        per_page: u32,
        page: u32,
    ) -> Result<Snapshot<SearchPage>, GithubError> {
        let key = SearchKey {
            query: query.to_owned(),
            sort,
            per_page,
            page,
        };
        let (client, asked) = (self.client.clone(), key.clone());
        let fetch = |_| async move {
            let SearchKey {
                query,
                sort,
                per_page,
                page,
            } = asked;
            client.search(&query, sort, per_page, page).await
        };
        self.searches.get(asker, key, fetch).await
    }

    /// Whose a token is.
    ///
    /// # Errors
    /// See [`GithubError`]; `Unauthorized` for a token that GitHub does not accept.
    pub async fn account(&self, token: &SecretString) -> Result<Account, GithubError> {
        self.client.account(token).await
    }

    /// Whose a token was within the last minute.
    ///
    /// # Errors
    /// As [`GithubService::account`].
    pub async fn known_account(
        &self,
        asker: &Asker,
        token: &SecretString,
    ) -> Result<Account, GithubError> {
        let (client, asked) = (self.client.clone(), token.clone());
        let fetch = |_| async move {
            Ok(Fetched::New {
                value: client.account(&asked).await?,
                etag: None,
                poll: None,
            })
        };
        let key = sha256_hex(token.expose_secret().as_bytes());
        let copy = self.accounts.get(asker, key, fetch).await?;
        Ok(Account::clone(&copy.value))
    }

    /// A page of a language that GitHub does not know is an empty one.
    fn of_language<T>(
        &self,
        has_language: bool,
        copy: Result<Snapshot<Vec<T>>, GithubError>,
    ) -> Result<Snapshot<Vec<T>>, GithubError> {
        match copy {
            Err(GithubError::NotFound) if has_language => Ok(self.now_is(Vec::new())),
            Err(GithubError::NotFound | GithubError::Forbidden | GithubError::Invalid) => {
                Err(GithubError::Unavailable)
            }
            other => other,
        }
    }

    /// What we may not see is not there, as far as callers are concerned; an earlier copy stays.
    fn or_hidden<T>(
        &self,
        copy: Result<Snapshot<Option<T>>, GithubError>,
    ) -> Result<Snapshot<Option<T>>, GithubError> {
        match copy {
            Err(GithubError::Forbidden) => Ok(self.now_is(None)),
            other => other,
        }
    }

    fn now_is<V>(&self, value: V) -> Snapshot<V> {
        Snapshot {
            value: Arc::new(value),
            fetched_at: self.now(),
            is_stale: false,
        }
    }

    /// What the people and repositories that `login` follows did, newest first: at least `enough` entries after those that `skip`
    /// passes over, if there are so many. Private events are among them: the copies are the token's own.
    ///
    /// # Errors
    /// See [`GithubError`]; `Unauthorized` for a token that GitHub does not accept any more.
    pub(crate) async fn events(
        &self,
        asker: &Asker,
        token: &SecretString,
        login: &str,
        is_enough: impl Fn(&[Event]) -> bool,
    ) -> Result<Snapshot<Vec<Event>>, GithubError> {
        let digest = sha256_hex(token.expose_secret().as_bytes());
        let mut all: Option<Snapshot<Vec<Event>>> = None;
        let mut events: Vec<Event> = Vec::new();
        for number in 1..=MAX_EVENT_PAGES {
            let key = (digest.clone(), login.to_owned(), number);
            let (client, token, login) = (self.client.clone(), token.clone(), login.to_owned());
            let fetch = |etag: Option<String>| async move {
                let etag = etag.as_deref();
                match client.received_events(&token, &login, number, etag).await {
                    // There are fewer pages than there were.
                    Err(GithubError::Invalid) if number > 1 => Ok(Fetched::New {
                        value: EventPage {
                            events: Vec::new(),
                            has_next: false,
                        },
                        etag: None,
                        poll: None,
                    }),
                    other => other,
                }
            };
            let page = self.events.get(asker, key, fetch).await?;
            // Events have moved on from one page to the next between two questions.
            for event in &page.value.events {
                if events.iter().all(|known| known.id != event.id) {
                    events.push(event.clone());
                }
            }
            let so_far = all.get_or_insert_with(|| Snapshot {
                value: Arc::default(),
                fetched_at: page.fetched_at,
                is_stale: false,
            });
            so_far.is_stale |= page.is_stale;
            so_far.fetched_at = so_far.fetched_at.min(page.fetched_at);
            if !page.value.has_next || is_enough(&events) {
                break;
            }
        }
        let all = all.ok_or(GithubError::Unavailable)?;
        Ok(Snapshot {
            value: Arc::new(events),
            ..all
        })
    }
}

/// Owner and name as copies are found by.
pub(crate) fn name_key(owner: &str, name: &str) -> NameKey {
    (owner.to_lowercase(), name.to_lowercase())
}

fn key_of(repository: &Repository) -> NameKey {
    let owner = repository.full_name.split('/').next().unwrap_or_default();
    name_key(owner, &repository.name)
}

/// What is not at GitHub is an answer too.
fn present<T>(outcome: Result<Fetched<T>, GithubError>) -> Result<Fetched<Option<T>>, GithubError> {
    match outcome {
        Ok(Fetched::New { value, etag, poll }) => Ok(Fetched::New {
            value: Some(value),
            etag,
            poll,
        }),
        Ok(Fetched::Unchanged) => Ok(Fetched::Unchanged),
        Err(GithubError::NotFound) => Ok(absent()),
        Err(error) => Err(error),
    }
}

fn absent<T>() -> Fetched<Option<T>> {
    Fetched::New {
        value: None,
        etag: None,
        poll: None,
    }
}
