//! Who is calling.

use sea_orm::entity::prelude::*;

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::N(16))",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
pub enum Role {
    /// Own data only.
    User,
    /// Everything.
    Admin,
}

/// The signed-in caller, as proved by the access token and its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// The user.
    pub user_id: Uuid,
    /// The sign-in that the token belongs to.
    pub session_id: Uuid,
    /// What the user may do.
    pub role: Role,
}

impl Viewer {
    /// Whether the caller is an administrator.
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }
}
