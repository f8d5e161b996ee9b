//! A task that reminds its owner at a time.

use sea_orm::entity::prelude::*;

use crate::platform::clock::Timestamp;

/// What has become of a reminder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::N(16))",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
pub enum ReminderState {
    /// Its time has not come.
    Pending,
    /// The owner was told, unless the task was done by then.
    Fired,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "reminders")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub task_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub remind_at: Timestamp,
    pub state: ReminderState,
    /// The batch in which it was fired.
    pub batch_id: Option<Uuid>,
    #[sea_orm(belongs_to, from = "task_id", to = "id")]
    pub task: HasOne<super::task::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
