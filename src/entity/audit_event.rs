//! One security event: who did what to whom, when, from where. Rows are added, never changed.

use sea_orm::entity::prelude::*;

use crate::platform::clock::Timestamp;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::N(32))",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
pub enum AuditAction {
    Registered,
    SignedIn,
    SignInFailed,
    SignedOut,
    SessionRevoked,
    RefreshReused,
    PasswordChanged,
    WechatLinked,
    WechatUnlinked,
    PhoneBound,
    GithubLinked,
    GithubUnlinked,
    RoleChanged,
    UserDisabled,
    UserEnabled,
    AccountDeleted,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub action: AuditAction,
    pub actor_id: Option<Uuid>,
    pub subject_id: Option<Uuid>,
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
    pub occurred_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
