//! Anything by its id.

use async_graphql::{Context, ID, Interface, Object};

use crate::entity::find_table;
use crate::graphql::context::{service, viewer_opt};
use crate::graphql::error::ApiError;
use crate::identity::{AuditEvent, IdentityService, Session, User};
use crate::notifications::{Notification, NotificationService};
use crate::platform::db::Database;
use crate::platform::id::parse_id;
use crate::scores::{Rubric, Score, ScoreService};
use crate::tasks::{Task, TaskService};

/// A stored thing with a globally unique id, so that caches and Relay clients can fetch it again.
#[derive(Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "Opaque id, unique among all types, the same for the life of the thing."
))]
pub(crate) enum Node {
    /// A user.
    User(User),
    /// A rubric.
    Rubric(Rubric),
    /// A score.
    Score(Score),
    /// A task.
    Task(Task),
    /// A session.
    Session(Session),
    /// A security event.
    AuditEvent(AuditEvent),
    /// A notification.
    Notification(Notification),
}

/// Refetching.
#[derive(Debug, Default)]
pub(crate) struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Anything of ours by its id. Null when there is none that the caller may see: users are visible to themselves and to
    /// administrators, sessions and notifications to their user, security events to administrators, the rest by the rules of its own lookup. Takes two SQL statements, whatever the type.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of any object.")] id: ID,
    ) -> Option<Result<Node, ApiError>> {
        find(ctx, &id).await.transpose()
    }
}

async fn find(ctx: &Context<'_>, id: &str) -> Result<Option<Node>, ApiError> {
    let Some(id) = parse_id(id) else {
        return Ok(None);
    };
    let viewer = viewer_opt(ctx)?;
    let db: &Database = service(ctx)?;
    let scores: &ScoreService = service(ctx)?;
    let tasks: &TaskService = service(ctx)?;
    let identity: &IdentityService = service(ctx)?;
    Ok(
        match (find_table(db.read(), id).await?.as_deref(), viewer) {
            (Some("rubrics"), _) => scores
                .find_rubric_by_id(viewer, id)
                .await?
                .map(|row| Node::Rubric(row.into())),
            (Some("users"), Some(viewer)) if viewer.user_id == id || viewer.is_admin() => {
                User::load(ctx, id).await?.map(Node::User)
            }
            (Some("scores"), Some(viewer)) => scores
                .find(viewer, id)
                .await?
                .map(|row| Node::Score(Score(row))),
            (Some("tasks"), Some(viewer)) => tasks
                .find(viewer, id)
                .await?
                .map(|row| Node::Task(row.into())),
            (Some("notifications"), Some(viewer)) => {
                let notifications: &NotificationService = service(ctx)?;
                notifications
                    .find(viewer, id)
                    .await?
                    .map(|row| Node::Notification(row.into()))
            }
            (Some("sessions"), Some(viewer)) => identity
                .find_session(viewer, id)
                .await?
                .map(|row| Node::Session(Session::new(row, viewer.session_id))),
            (Some("audit_events"), Some(viewer)) if viewer.is_admin() => identity
                .find_audit_event(id)
                .await?
                .map(|row| Node::AuditEvent(AuditEvent(row))),
            _ => None,
        },
    )
}
