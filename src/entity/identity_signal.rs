//! What one instance has to tell the others that share the database: with a session, that it has ended; without one, that the
//! failed sign-ins of the user are forgiven. Kept for an hour.

use sea_orm::entity::prelude::*;

use crate::platform::clock::Timestamp;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "identity_signals")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    pub session_id: Option<Uuid>,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
