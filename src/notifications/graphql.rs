//! Notifications in the schema. What `Notification` shows of its task stands with tasks.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use uuid::Uuid;

use crate::entity::notification;
use crate::graphql::context::{service, viewer};
use crate::graphql::error::{ApiError, ErrorCode};
use crate::graphql::fields::{FieldFacts, field};
use crate::graphql::keyset::TimeCursor;
use crate::graphql::pagination::{Page, PageArgs, Slice, encode, relay_connection};
use crate::graphql::scalars::DateTime;
use crate::notifications::consent::{ConsentAnswer, Credit};
use crate::notifications::error::NotificationError;
use crate::notifications::service::NotificationService;

/// What the gateway has to know of the fields of inboxes. A server sends a handful of templates.
pub const FIELDS: &[FieldFacts] = &[
    field("User", "notifications").costs(1),
    field("NotificationConnection", "totalCount").costs(5),
    field("User", "subscribeCredits").entries(10).costs(1),
    field("RecordSubscribeConsentPayload", "credits").entries(10),
];

/// What a notification is about.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "notification::NotificationKind")]
pub enum NotificationKind {
    /// The time of `Task.remindAt` has come.
    TaskReminder,
}

/// What has become of the WeChat message that goes with a notification.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "notification::DeliveryState")]
pub enum DeliveryState {
    /// There is none: the notification stands in the inbox alone.
    InboxOnly,
    /// It waits to be sent, or is on its way. One whose sender died becomes FAILED within a minute or two: nobody knows whether it was
    /// sent.
    Queued,
    /// WeChat has taken it.
    Sent,
    /// It could not be sent, or nobody knows whether it was.
    Failed,
}

/// Something that a person was told. Only they see it.
#[derive(SimpleObject, Debug, Clone)]
#[graphql(complex)]
pub struct Notification {
    #[graphql(skip)]
    pub(crate) row_id: Uuid,
    /// What it is about.
    kind: NotificationKind,
    /// One line, at most 200 characters: of a reminder the title that the task had then.
    title: String,
    /// The beginning of the notes that the task had then, at most 200 characters. Null when there were none.
    body: Option<String>,
    /// When it came, by the server's clock.
    created_at: DateTime,
    /// When it was read. Null until then.
    read_at: Option<DateTime>,
    /// Of the WeChat message that goes with it.
    delivery: DeliveryState,
    /// For `task`.
    #[graphql(skip)]
    pub(crate) task_id: Option<Uuid>,
}

impl From<notification::Model> for Notification {
    fn from(row: notification::Model) -> Self {
        Self {
            row_id: row.id,
            kind: row.kind.into(),
            title: row.title,
            body: row.body,
            created_at: row.created_at.into(),
            read_at: row.read_at.map(Into::into),
            delivery: row.delivery.into(),
            task_id: row.task_id,
        }
    }
}

relay_connection!(
    NotificationConnection,
    NotificationEdge,
    Notification(notification::Model),
    "notifications"
);

impl NotificationConnection {
    /// The notifications of the caller for `User.notifications`.
    pub(crate) async fn load(
        ctx: &Context<'_>,
        is_read: Option<bool>,
        args: PageArgs,
    ) -> Result<Self, ApiError> {
        let page: Page<TimeCursor> = args.check(*service(ctx)?, TimeCursor::is_valid)?;
        let (viewer, notifications): (_, &NotificationService) = (viewer(ctx)?, service(ctx)?);
        let slice = notifications.list(viewer, is_read, &page).await?;
        let total_count = match ctx.look_ahead().field("totalCount").exists() {
            true => notifications.count(viewer, is_read).await?,
            false => 0,
        };
        Ok(Self::of(slice, total_count))
    }

    /// No notifications, for those who may not see any.
    pub(crate) fn empty() -> Self {
        let slice = Slice {
            rows: Vec::new(),
            has_next: false,
            has_previous: false,
        };
        Self::of(slice, 0)
    }

    fn of(slice: Slice<notification::Model>, total_count: u64) -> Self {
        Self {
            slice,
            total_count,
            cursor: Box::new(|row| encode(&TimeCursor::of(row.created_at, row.id))),
        }
    }
}

/// Which notifications were read.
#[derive(InputObject)]
pub(super) struct MarkNotificationsReadInput {
    /// At most 100 ids; those of others are passed over. Absent: all.
    ids: Option<Vec<ID>>,
}

/// What was marked.
#[derive(SimpleObject)]
pub(super) struct MarkNotificationsReadPayload {
    /// How many had been unread.
    read_count: i32,
}

/// How many messages of a template the person may still be sent.
#[derive(SimpleObject, Debug, Clone)]
pub struct SubscribeCredit {
    /// The mini-program whose template it is.
    app_id: String,
    /// The template, as `wx.requestSubscribeMessage` of that mini-program takes it.
    template_id: String,
    /// Messages that they agreed to and that were not sent yet.
    remaining: i32,
}

impl From<Credit> for SubscribeCredit {
    fn from(credit: Credit) -> Self {
        Self {
            app_id: credit.app_id,
            template_id: credit.template_id,
            remaining: credit.remaining,
        }
    }
}

impl SubscribeCredit {
    /// Those of the caller for `User.subscribeCredits`.
    pub(crate) async fn load(ctx: &Context<'_>) -> Result<Vec<Self>, ApiError> {
        let (viewer, notifications): (_, &NotificationService) = (viewer(ctx)?, service(ctx)?);
        let credits = notifications.credits(viewer).await?;
        Ok(credits.into_iter().map(Into::into).collect())
    }
}

/// The answer of `wx.requestSubscribeMessage`.
#[derive(InputObject)]
pub(super) struct RecordSubscribeConsentInput {
    /// A UUID made by the client, so that a retry does not count twice. Upper and lower case are
    /// the same.
    id: ID,
    /// At most 5, one for each template.
    answers: Vec<SubscribeAnswerInput>,
}

/// What the person answered for one template.
#[derive(InputObject)]
pub(super) struct SubscribeAnswerInput {
    /// One of those that `User.subscribeCredits` lists.
    template_id: String,
    /// Whether the answer was `accept`; any other changes nothing.
    accepted: bool,
}

/// What the person may be sent now.
#[derive(SimpleObject)]
pub(super) struct RecordSubscribeConsentPayload {
    /// As `User.subscribeCredits`.
    credits: Vec<SubscribeCredit>,
}

/// Mutations of notifications.
#[derive(Debug, Default)]
pub struct NotificationsMutation;

#[Object]
impl NotificationsMutation {
    /// Marks the caller's notifications as read. Repeating it is no error. Errors: UNAUTHENTICATED, BAD_USER_INPUT.
    async fn mark_notifications_read(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which notifications.")] input: MarkNotificationsReadInput,
    ) -> Result<MarkNotificationsReadPayload, ApiError> {
        let (viewer, notifications): (_, &NotificationService) = (viewer(ctx)?, service(ctx)?);
        let ids = input
            .ids
            .map(|ids| ids.into_iter().map(|id| id.0).collect());
        let count = notifications.mark_read(viewer, ids).await?;
        Ok(MarkNotificationsReadPayload {
            read_count: i32::try_from(count).unwrap_or(i32::MAX),
        })
    }

    /// Counts what the person answered in `wx.requestSubscribeMessage`: each accept allows one message of the template, for as long
    /// as it takes; at most 1,000 are kept. The same id with equal answers counts once. Errors: UNAUTHENTICATED, BAD_USER_INPUT,
    /// CONFLICT when the id was used for other answers.
    async fn record_subscribe_consent(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What was answered.")] input: RecordSubscribeConsentInput,
    ) -> Result<RecordSubscribeConsentPayload, ApiError> {
        let (viewer, notifications): (_, &NotificationService) = (viewer(ctx)?, service(ctx)?);
        let answers = input.answers.into_iter().map(|answer| ConsentAnswer {
            template_id: answer.template_id,
            is_accepted: answer.accepted,
        });
        let credits = notifications
            .record_consent(viewer, &input.id, answers.collect())
            .await?;
        Ok(RecordSubscribeConsentPayload {
            credits: credits.into_iter().map(Into::into).collect(),
        })
    }
}

impl From<NotificationError> for ApiError {
    fn from(error: NotificationError) -> Self {
        match error {
            NotificationError::Invalid(faults) => faults.into(),
            NotificationError::IdConflict => Self::new(ErrorCode::Conflict),
            NotificationError::OwnerGone => Self::new(ErrorCode::TokenRevoked),
            NotificationError::Digest(_) => Self::internal(error),
            NotificationError::Database(error) => error.into(),
        }
    }
}
