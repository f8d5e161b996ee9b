//! What the friends of a linked account do, in the schema.

use async_graphql::{Context, ID, SimpleObject};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::types::GithubActor;
use crate::clients::github::GithubError;
use crate::clients::github::records::Event;
use crate::github::sentence::sentence;
use crate::github::{Asker, GithubService};
use crate::graphql::context::{locale, service};
use crate::graphql::error::ApiError;
use crate::graphql::pagination::{Page, PageArgs, PageInfo, encode};
use crate::graphql::scalars::DateTime;
use crate::platform::clock::Timestamp;
use crate::platform::config::PageLimits;

/// The last event that was seen; if GitHub has dropped it, the ones before it in time follow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EventCursor {
    id: String,
    at: Option<i64>,
}

impl EventCursor {
    fn of(event: &Event) -> Self {
        Self {
            id: event.id.clone(),
            at: event.occurred_at.map(Timestamp::millis),
        }
    }

    /// How many events are passed.
    fn passes(&self, events: &[Event]) -> usize {
        let by_id = events.iter().position(|event| event.id == self.id);
        by_id.map(|at| at + 1).unwrap_or_else(|| {
            let is_older = |event: &Event| {
                let at = event.occurred_at.map(Timestamp::millis);
                at.zip(self.at).is_some_and(|(at, seen)| at < seen)
            };
            events.iter().position(is_older).unwrap_or(events.len())
        })
    }
}

/// Something that happened at GitHub.
#[derive(SimpleObject, Debug, Clone)]
pub(crate) struct GithubEvent {
    /// GitHub's own, opaque.
    id: ID,
    /// GitHub's own name for its kind, for example `WatchEvent` for a star. Null when GitHub gives none; new ones appear over time.
    r#type: Option<String>,
    /// What was done, in the caller's language, to stand between the actor and the repository: `starred`, `opened pull request #5`.
    action: String,
    /// Who did it.
    actor: GithubActor,
    /// Login of the repository's owner, as it was then.
    repository_owner: String,
    /// Name of the repository without its owner, as it was then.
    repository_name: String,
    /// When it happened; GitHub tells of it up to some hours later.
    occurred_at: Option<DateTime>,
}

/// One page of events.
#[derive(SimpleObject)]
pub(crate) struct GithubEventConnection {
    /// The entries of this page, each with its cursor.
    edges: Vec<GithubEventEdge>,
    /// The entries of this page without their cursors.
    nodes: Vec<GithubEvent>,
    /// Where the page lies in the list.
    page_info: PageInfo,
    /// When this server had them from GitHub, or GitHub confirmed them; it is asked once a minute at most.
    fetched_at: DateTime,
    /// Whether they should have been fetched again by now: GitHub does not answer, limits the token, or is just being asked.
    is_stale: bool,
}

/// One entry of a page of events.
#[derive(SimpleObject)]
pub(crate) struct GithubEventEdge {
    /// Opaque position of the entry, for `after`.
    cursor: String,
    /// The entry itself.
    node: GithubEvent,
}

impl GithubEventConnection {
    /// Checks the arguments, before anything is looked up.
    ///
    /// # Errors
    /// BAD_USER_INPUT.
    pub(crate) fn check(ctx: &Context<'_>, args: PageArgs) -> Result<Page<EventCursor>, ApiError> {
        let limits: PageLimits = *service(ctx)?;
        Ok(args.check(limits, |cursor: &EventCursor| !cursor.id.is_empty())?)
    }

    /// The events that `login` receives, who owns `token`.
    ///
    /// # Errors
    /// See [`GithubError`]; `Unauthorized` when the token does not work any more, `NotFound` for a login that it is not.
    pub(crate) async fn load(
        github: &GithubService,
        asker: &Asker,
        ctx: &Context<'_>,
        token: &SecretString,
        login: &str,
        page: &Page<EventCursor>,
    ) -> Result<Self, GithubError> {
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let start = |events: &[Event]| page.after.as_ref().map_or(0, |after| after.passes(events));
        let copy = github
            .events(asker, token, login, |events| {
                events.len() > start(events) + limit
            })
            .await?;
        let passed = start(&copy.value);
        let rest = copy.value.get(passed..).unwrap_or_default();
        let shown = &rest[..limit.min(rest.len())];
        let locale = locale(ctx);
        let node = |event: &Event| GithubEvent {
            id: event.id.clone().into(),
            r#type: event.kind.clone(),
            action: sentence(event, locale),
            actor: (&event.actor).into(),
            repository_owner: event.repository_owner.clone(),
            repository_name: event.repository_name.clone(),
            occurred_at: event.occurred_at.map(Into::into),
        };
        let cursor = |event: &Event| encode(&EventCursor::of(event));
        Ok(Self {
            edges: shown
                .iter()
                .map(|event| GithubEventEdge {
                    cursor: cursor(event),
                    node: node(event),
                })
                .collect(),
            nodes: shown.iter().map(node).collect(),
            page_info: PageInfo {
                has_next_page: rest.len() > shown.len(),
                has_previous_page: passed > 0,
                start_cursor: shown.first().map(cursor),
                end_cursor: shown.last().map(cursor),
            },
            fetched_at: copy.fetched_at.into(),
            is_stale: copy.is_stale,
        })
    }
}
