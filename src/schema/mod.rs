//! The schema: the roots of all features merged, and its text.

mod catalog;
mod node;

use std::sync::Arc;

use async_graphql::{
    MergedObject, MergedSubscription, SDLExportOptions, Schema, SchemaBuilder, ValidationMode,
};

use crate::github::GithubService;
use crate::github::graphql::GithubQuery;
use crate::graphql::estimates::Estimates;
use crate::identity::IdentityService;
use crate::identity::graphql::{IdentityMutation, IdentityQuery};
use crate::notifications::NotificationService;
use crate::notifications::graphql::NotificationsMutation;
use crate::platform::config::PageLimits;
use crate::platform::db::Database;
use crate::platform::locale::Message;
use crate::schema::catalog::CatalogQuery;
use crate::schema::node::NodeQuery;
use crate::scores::ScoreService;
use crate::scores::graphql::{
    ScoresAdminMutation, ScoresMutation, ScoresQuery, ScoresSubscription, submission_failed,
};
use crate::tasks::TaskService;
use crate::tasks::graphql::{TasksMutation, TasksQuery, TasksSubscription};

/// Everything that can be read. Lists are Relay connections; a lookup answers null for what is not there or not the
/// caller's to see.
#[derive(MergedObject, Default)]
pub struct Query(
    IdentityQuery,
    CatalogQuery,
    NodeQuery,
    ScoresQuery,
    TasksQuery,
    GithubQuery,
);

/// Everything that can be changed. Each field takes one input and returns what it changed; it answers after the change is
/// stored for good.
#[derive(MergedObject, Default)]
pub struct Mutation(
    IdentityMutation,
    ScoresMutation,
    ScoresAdminMutation,
    TasksMutation,
    NotificationsMutation,
);

/// Everything that can be watched, over WebSocket. An operation selects one field.
#[derive(MergedSubscription, Default)]
pub struct Subscription(ScoresSubscription, TasksSubscription);

type Roots = Schema<Query, Mutation, Subscription>;
type Builder = SchemaBuilder<Query, Mutation, Subscription>;

/// The schema of this server.
pub struct AppSchema {
    described: Roots,
    /// The same, as a subgraph of a federation: the executor takes it for granted then, instead of
    /// looking through all types for entities at each root field of a query, which cost a small
    /// query 7 % of its time. The introspection would tell of `_service`, and so it is not asked.
    bare: Roots,
}

impl AppSchema {
    /// What executes an operation that may ask for the schema itself, or does not.
    pub fn executor(&self, asks_for_schema: bool) -> &Roots {
        match asks_for_schema {
            true => &self.described,
            false => &self.bare,
        }
    }
}

/// The library's own limit of nesting; documents have been held to the settings before it looks.
const MAX_RECURSION: usize = 256;

/// What documents are charged for. A question to GitHub comes out of a budget that everybody shares: a request asks fifty at most.
pub const ESTIMATES: Estimates = Estimates {
    lists: &[
        ("TrendingRepositories", "items", 25),
        ("TrendingDevelopers", "items", 25),
    ],
    extras: &[
        ("Query", "trendingRepositories", 50),
        ("Query", "trendingDevelopers", 50),
        ("Query", "repository", 100),
        ("Query", "developer", 100),
        ("Query", "searchRepositories", 100),
        ("User", "githubEvents", 100),
        // Mostly one for the whole page.
        ("TrendingRepository", "repository", 50),
        ("Repository", "readme", 100),
        // Of a trending one it takes a question of its own.
        ("Repository", "watchers", 25),
    ],
};

/// What resolvers need.
pub struct Services {
    /// The database, for what belongs to no feature.
    pub db: Arc<Database>,
    /// Accounts.
    pub identity: Arc<IdentityService>,
    /// Scores.
    pub scores: Arc<ScoreService>,
    /// Tasks.
    pub tasks: Arc<TaskService>,
    /// Inboxes.
    pub notifications: Arc<NotificationService>,
    /// GitHub.
    pub github: Arc<GithubService>,
    /// Sizes of pages.
    pub pages: PageLimits,
}

/// The schema with its services.
pub fn build(services: &Services) -> AppSchema {
    AppSchema {
        described: served(builder(), services),
        bare: served(builder().enable_federation(), services),
    }
}

fn served(builder: Builder, services: &Services) -> Roots {
    builder
        .data(Arc::clone(&services.db))
        .data(Arc::clone(&services.identity))
        .data(Arc::clone(&services.scores))
        .data(Arc::clone(&services.tasks))
        .data(Arc::clone(&services.notifications))
        .data(Arc::clone(&services.github))
        .data(Arc::new(services.pages))
        // The gateway has validated what comes here.
        .validation_mode(ValidationMode::Fast)
        .finish()
}

/// What stands before the message of an error that keeps an operation with these root fields from being executed at all: the
/// fields concerned put it before their own.
pub fn failure_prefix(root_fields: &[String]) -> Option<Message> {
    let submits = root_fields.iter().any(|field| field == "submitScore");
    submits.then(submission_failed)
}

fn builder() -> Builder {
    Schema::build(
        Query::default(),
        Mutation::default(),
        Subscription::default(),
    )
    .register_output_type::<node::Node>()
    .limit_recursive_depth(MAX_RECURSION)
    .disable_suggestions()
}

/// The schema in SDL, the same text every time.
pub fn sdl() -> String {
    let options = SDLExportOptions::new()
        .include_specified_by()
        .use_space_ident()
        .indent_width(2);
    let mut sdl = builder().finish().sdl_with_options(options);
    sdl.truncate(sdl.trim_end().len());
    sdl.push('\n');
    sdl
}
