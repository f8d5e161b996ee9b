//! Something that a person was told.

use sea_orm::entity::prelude::*;

use crate::platform::clock::Timestamp;

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::N(32))",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
pub enum NotificationKind {
    TaskReminder,
}

/// What has become of the message of another service that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::N(16))",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
pub enum DeliveryState {
    /// There is none.
    InboxOnly,
    Queued,
    Sent,
    Failed,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    pub kind: NotificationKind,
    pub title: String,
    pub body: Option<String>,
    pub task_id: Option<Uuid>,
    /// What it tells of, once for each person.
    pub once_key: String,
    pub delivery: DeliveryState,
    pub created_at: Timestamp,
    pub read_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
