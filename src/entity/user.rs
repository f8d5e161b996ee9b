//! A person with an account.

use sea_orm::entity::prelude::*;

use crate::platform::clock::Timestamp;

pub use crate::platform::viewer::Role;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub username: Option<String>,
    pub username_key: Option<String>,
    pub display_name: String,
    pub avatar_url: Option<String>,
    pub email: Option<String>,
    pub email_key: Option<String>,
    pub phone_number: Option<String>,
    pub password_hash: Option<String>,
    pub role: Role,
    pub is_disabled: bool,
    pub search_text: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
