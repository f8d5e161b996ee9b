//! A grade of a score before a correction.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "grade_history")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub score_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i32,
    #[sea_orm(primary_key, auto_increment = false)]
    pub criterion_id: Uuid,
    pub grade: i32,
    pub comment: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
