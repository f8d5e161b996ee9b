//! What a score was before a correction.

use sea_orm::entity::prelude::*;

use crate::platform::clock::Timestamp;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "score_revisions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub score_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i32,
    pub account_number: String,
    pub total: f64,
    pub replaced_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
