//! Something one person wants to do.

use sea_orm::FromJsonQueryResult;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::platform::clock::Timestamp;

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::N(16))",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
pub enum TaskStatus {
    Todo,
    InProgress,
    Done,
}

/// How much a task matters; stored as a number, so that it sorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum TaskPriority {
    #[sea_orm(num_value = 0)]
    None,
    #[sea_orm(num_value = 1)]
    Low,
    #[sea_orm(num_value = 2)]
    Medium,
    #[sea_orm(num_value = 3)]
    High,
}

/// Tags in the order and case that the person wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Tags(pub Vec<String>);

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub owner_id: Uuid,
    pub title: String,
    pub notes: Option<String>,
    pub status: TaskStatus,
    pub priority: TaskPriority,
    pub tags: Tags,
    pub tags_key: String,
    pub search_text: String,
    pub due_at: Option<Timestamp>,
    pub remind_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    pub version: i32,
    pub creation_digest: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The number of the change that made it.
    pub created_seq: i64,
    /// The number of its newest change.
    pub change_seq: i64,
    #[sea_orm(belongs_to, from = "owner_id", to = "id")]
    pub owner: HasOne<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
