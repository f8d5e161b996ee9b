//! A submission that became a correction, by the id that the client gave it: to recognise its repetition.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "score_corrections")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub score_id: Uuid,
    pub content_digest: String,
}

impl ActiveModelBehavior for ActiveModel {}
