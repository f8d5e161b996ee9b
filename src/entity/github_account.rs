//! The GitHub account that a user linked.

use sea_orm::entity::prelude::*;

use crate::platform::clock::Timestamp;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "github_accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    pub github_id: i64,
    pub login: String,
    #[sea_orm(column_type = "Text")]
    pub sealed_token: String,
    pub linked_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
