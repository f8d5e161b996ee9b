//! A message of WeChat that goes with a notification.

use sea_orm::entity::prelude::*;

use crate::platform::clock::Timestamp;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::N(16))",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
pub enum MessageState {
    /// It waits for `due_at`.
    Queued,
    /// An instance is sending it, or died while it did.
    Sending,
    Sent,
    /// `reason` says why, or that nobody knows whether it was sent.
    Failed,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox_messages")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub notification_id: Uuid,
    pub user_id: Uuid,
    pub app_id: String,
    pub template_id: String,
    pub page: Option<String>,
    /// JSON as WeChat takes it.
    pub data: String,
    pub state: MessageState,
    /// How often it was tried.
    pub attempts: i32,
    /// When to try next; of one that is being sent, when whoever does so must have died.
    pub due_at: Timestamp,
    /// Who sends it.
    pub claim_id: Option<Uuid>,
    /// The user while it is being sent: there is one message at a time.
    pub sending_user_id: Option<Uuid>,
    /// Why it failed.
    pub reason: Option<String>,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
