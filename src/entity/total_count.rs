//! How many scores of a rubric have a total: the sum over all shards.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "total_counts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub rubric_id: Uuid,
    // The total is part of the key, too; as a floating-point number it cannot be one for the library, and nothing looks a row
    // up by its key.
    pub total: f64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub shard: i16,
    pub count: i64,
}

impl ActiveModelBehavior for ActiveModel {}
