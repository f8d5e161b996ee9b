//! One thing that a rubric grades.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "criteria")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub rubric_id: Uuid,
    pub key: String,
    pub position: i32,
    pub title: String,
    pub description: Option<String>,
    pub min_grade: i32,
    pub max_grade: i32,
    pub weight: f64,
    pub is_comment_required: bool,
    pub max_comment_length: i32,
    #[sea_orm(belongs_to, from = "rubric_id", to = "id")]
    pub rubric: HasOne<super::rubric::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
