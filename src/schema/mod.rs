//! The schema: the roots of all features merged, and its text.

mod catalog;
mod node;

use std::sync::Arc;

use async_graphql::dataloader::DataLoader;
use async_graphql::{EmptySubscription, MergedObject, SDLExportOptions, Schema, SchemaBuilder};

use crate::identity::graphql::{IdentityMutation, IdentityQuery};
use crate::identity::{IdentityService, UserLoader};
use crate::platform::db::Database;
use crate::schema::catalog::CatalogQuery;
use crate::schema::node::NodeQuery;
use crate::scores::graphql::{ScoresMutation, ScoresQuery};
use crate::scores::{ScoreLoader, ScoreService};
use crate::tasks::TaskService;
use crate::tasks::graphql::{TasksMutation, TasksQuery};

/// Everything that can be read. Lists are Relay connections; a lookup answers null for what is not there or not the
/// caller's to see.
#[derive(MergedObject, Default)]
pub struct Query(
    IdentityQuery,
    CatalogQuery,
    NodeQuery,
    ScoresQuery,
    TasksQuery,
);

/// Everything that can be changed. Each field takes one input and returns what it changed; it answers after the change is
/// stored for good.
#[derive(MergedObject, Default)]
pub struct Mutation(IdentityMutation, ScoresMutation, TasksMutation);

/// The schema of this server.
pub type AppSchema = Schema<Query, Mutation, EmptySubscription>;

/// Depth of fields beyond which a query is refused: the standard introspection query has 15 levels.
const MAX_DEPTH: usize = 20;
/// Selected fields beyond which a query is refused.
const MAX_FIELDS: usize = 1000;
const MAX_DIRECTIVES: usize = 50;

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
    /// Batched users.
    pub users: Arc<DataLoader<UserLoader>>,
    /// Batched parts of scores.
    pub score_parts: Arc<DataLoader<ScoreLoader>>,
}

/// The schema with its services.
pub fn build(services: Services) -> AppSchema {
    builder()
        .data(services.db)
        .data(services.identity)
        .data(services.scores)
        .data(services.tasks)
        .data(services.users)
        .data(services.score_parts)
        .finish()
}

fn builder() -> SchemaBuilder<Query, Mutation, EmptySubscription> {
    Schema::build(Query::default(), Mutation::default(), EmptySubscription)
        .register_output_type::<node::Node>()
        .limit_depth(MAX_DEPTH)
        .limit_complexity(MAX_FIELDS)
        .limit_directives(MAX_DIRECTIVES)
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
