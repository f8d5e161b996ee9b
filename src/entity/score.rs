//! One submission by one person about one account.

use sea_orm::entity::prelude::*;

use crate::platform::clock::Timestamp;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "scores")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub rubric_id: Uuid,
    pub user_id: Option<Uuid>,
    pub account_number: String,
    pub total: f64,
    pub once_key: Option<String>,
    pub revision: i32,
    pub content_digest: String,
    pub submitted_at: Timestamp,
    pub updated_at: Timestamp,
    #[sea_orm(belongs_to, from = "rubric_id", to = "id")]
    pub rubric: HasOne<super::rubric::Entity>,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: HasOne<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
