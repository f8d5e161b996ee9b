//! What is left of a deleted task, so that other devices learn of it.

use sea_orm::entity::prelude::*;

use crate::platform::clock::Timestamp;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "task_tombstones")]
pub struct Model {
    /// The task's.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub owner_id: Uuid,
    /// The number of the change that deleted it.
    pub change_seq: i64,
    pub deleted_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
