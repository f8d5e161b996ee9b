//! How many scores give a criterion a grade: the sum over all shards.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "grade_counts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub criterion_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub grade: i32,
    #[sea_orm(primary_key, auto_increment = false)]
    pub shard: i16,
    pub count: i64,
}

impl ActiveModelBehavior for ActiveModel {}
