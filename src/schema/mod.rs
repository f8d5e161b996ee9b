//! The schema: the roots of all features merged, and its text.

mod catalog;
mod node;

use std::sync::Arc;

use async_graphql::{
    MergedObject, MergedSubscription, SDLExportOptions, Schema, SchemaBuilder, ValidationMode,
};

use crate::github::GithubService;
use crate::github::graphql::GithubQuery;
use crate::graphql::fields::{FieldFacts, field};
use crate::identity::IdentityService;
use crate::identity::graphql::{IdentityMutation, IdentityQuery};
use crate::notifications::NotificationService;
use crate::notifications::graphql::NotificationsMutation;
use crate::platform::config::PageLimits;
use crate::platform::db::Database;
use crate::schema::catalog::CatalogQuery;
use crate::schema::node::NodeQuery;
use crate::scores::ScoreService;
use crate::scores::graphql::{
    ScoresAdminMutation, ScoresMutation, ScoresQuery, ScoresSubscription,
};
use crate::tasks::TaskService;
use crate::tasks::graphql::{TasksMutation, TasksQuery, TasksSubscription};
use crate::{github, identity, notifications, scores, tasks};

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

/// What belongs to no feature.
const OWN_FIELDS: &[FieldFacts] = &[
    field("Query", "errorCatalog").public().entries(30),
    field("Query", "node").public().costs(2),
];

/// What the gateway has to know of fields, from all features.
pub const FIELDS: &[&[FieldFacts]] = &[
    OWN_FIELDS,
    identity::graphql::FIELDS,
    scores::graphql::FIELDS,
    tasks::graphql::FIELDS,
    notifications::graphql::FIELDS,
    github::graphql::FIELDS,
];

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
