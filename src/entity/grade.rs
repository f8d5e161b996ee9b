//! One criterion's grade in a score.

use sea_orm::entity::prelude::*;

use crate::platform::clock::Timestamp;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "grades")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub score_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub criterion_id: Uuid,
    pub grade: i32,
    pub comment: Option<String>,
    /// The score's own, so that an index over grades knows it.
    pub submitted_at: Timestamp,
    #[sea_orm(belongs_to, from = "score_id", to = "id")]
    pub score: HasOne<super::score::Entity>,
    #[sea_orm(belongs_to, from = "criterion_id", to = "id")]
    pub criterion: HasOne<super::criterion::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
