//! The audit trail: who did what to whom, when, from where. Never a password, token, code, openid or phone number, and not the
//! name that somebody failed to sign in with, for people type passwords there.

use std::net::IpAddr;

use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::entity::audit_event::{self, AuditAction};
use crate::identity::repository;
use crate::platform::clock::Timestamp;
use crate::platform::id::new_id;

const MAX_USER_AGENT: usize = 255;

/// When and from where something is done.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    pub(crate) at: Timestamp,
    /// `None` for the command line.
    pub(crate) address: Option<IpAddr>,
    pub(crate) user_agent: Option<String>,
}

impl Act {
    pub(crate) fn new(at: Timestamp, address: Option<IpAddr>, user_agent: Option<&str>) -> Self {
        let shown = |text: &str| -> String {
            let text = text.chars().filter(|c| !c.is_control());
            text.take(MAX_USER_AGENT).collect()
        };
        Self {
            at,
            // 203.0.113.7 and not ::ffff:203.0.113.7.
            address: address.map(|address| address.to_canonical()),
            user_agent: user_agent.map(shown),
        }
    }
}

/// Adds an event to the trail, in the transaction of what it tells of.
pub(crate) async fn record(
    tx: &impl ConnectionTrait,
    act: &Act,
    action: AuditAction,
    actor_id: Option<Uuid>,
    subject_id: Option<Uuid>,
) -> Result<(), DbErr> {
    let row = audit_event::Model {
        id: new_id(),
        action,
        actor_id,
        subject_id,
        ip_address: act.address.map(|address| address.to_string()),
        user_agent: act.user_agent.clone(),
        occurred_at: act.at,
    };
    repository::insert_audit_event(tx, row).await
}
