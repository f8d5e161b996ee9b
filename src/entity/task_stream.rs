//! How many changes the tasks of one person have seen.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "task_streams")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub owner_id: Uuid,
    /// The number of the newest change.
    pub seq: i64,
}

impl ActiveModelBehavior for ActiveModel {}
