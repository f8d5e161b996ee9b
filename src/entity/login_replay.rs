//! A sign-in by WeChat code that the same client may ask for again: the hash of its `Idempotency-Key` and code.

use sea_orm::entity::prelude::*;

use crate::platform::clock::Timestamp;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "login_replays")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_hash: String,
    pub session_id: Uuid,
    pub is_new_user: bool,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
