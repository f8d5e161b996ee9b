//! The schema: the roots of all features merged, and its text.

mod catalog;
mod node;

use std::sync::Arc;

use async_graphql::parser::types::{ExecutableDocument, Selection};
use async_graphql::{
    EmptySubscription, MergedObject, Request, SDLExportOptions, Schema, SchemaBuilder,
};

use crate::graphql::loader::BatchQueue;
use crate::identity::graphql::{IdentityMutation, IdentityQuery};
use crate::identity::{IdentityService, UserLoader};
use crate::platform::db::Database;
use crate::platform::locale::Message;
use crate::schema::catalog::CatalogQuery;
use crate::schema::node::NodeQuery;
use crate::scores::graphql::{ScoresMutation, ScoresQuery, submission_failed};
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
}

/// The schema with its services.
pub fn build(services: Services) -> AppSchema {
    builder()
        .data(services.db)
        .data(services.identity)
        .data(services.scores)
        .data(services.tasks)
        .finish()
}

/// Gives `request` the loaders of every feature, whose batches `queue` runs.
pub fn with_loaders(request: Request, db: &Arc<Database>, queue: &BatchQueue) -> Request {
    request
        .data(Arc::new(queue.loader(UserLoader::new(Arc::clone(db)))))
        .data(Arc::new(queue.loader(ScoreLoader::new(Arc::clone(db)))))
}

/// What stands before the message of an error that keeps `document` from being executed at all: the fields concerned put it
/// before their own.
pub fn failure_prefix(document: &ExecutableDocument) -> Option<Message> {
    let submits = document.operations.iter().any(|(_, operation)| {
        operation.node.selection_set.node.items.iter().any(|selection| {
            matches!(&selection.node, Selection::Field(field) if field.node.name.node == "submitScore")
        })
    });
    submits.then(submission_failed)
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
