//! Exchanging a refresh token for the next one (RFC 9700, section 4.14.2).

use chrono::TimeDelta;
use sea_orm::DatabaseTransaction;

use crate::entity::audit_event::AuditAction;
use crate::entity::{session, user};
use crate::identity::audit::{self, Act};
use crate::identity::error::IdentityError;
use crate::identity::keys::KeyRing;
use crate::identity::refresh_token::RefreshToken;
use crate::identity::repository::{self, Which};
use crate::identity::signal::end_sessions;

/// How long sessions live.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetimes {
    /// Without use.
    pub(super) idle: TimeDelta,
    /// In all.
    pub(super) absolute: TimeDelta,
    /// In which a token that was just replaced is answered with the same next one.
    pub(super) grace: TimeDelta,
}

/// What became of a refresh token.
pub(super) enum Refresh {
    Done(Box<(user::Model, session::Model, RefreshToken)>),
    Refused {
        error: IdentityError,
        /// The session that was ended because of it.
        ended: Option<uuid::Uuid>,
    },
}

impl From<IdentityError> for Refresh {
    fn from(error: IdentityError) -> Self {
        Self::Refused { error, ended: None }
    }
}

/// A refused token is an outcome and no error, because ending its session has to be committed.
pub(super) async fn rotate(
    tx: &DatabaseTransaction,
    token: &RefreshToken,
    keys: &KeyRing,
    act: &Act,
    lifetimes: Lifetimes,
) -> Result<Refresh, IdentityError> {
    let now = act.at;
    let found = repository::find_session_for_update(tx, token.session_id()).await?;
    let Some(mut session) = found else {
        // A token of ours without a session: the account is deleted.
        return Ok(match token.is_ours(keys) {
            true => IdentityError::TokenRevoked.into(),
            false => IdentityError::TokenInvalid.into(),
        });
    };
    let hash = token.hash();
    let is_current = session.refresh_hash == hash;
    let is_previous = session.previous_refresh_hash.as_ref() == Some(&hash);
    if !is_current && !is_previous && !token.is_ours(keys) {
        return Ok(IdentityError::TokenInvalid.into());
    }
    if session.ended_at.is_some() {
        return Ok(IdentityError::TokenRevoked.into());
    }
    let is_repeated = is_previous && now - session.last_used_at <= lifetimes.grace;
    if !is_current && !is_repeated {
        return reused(tx, session, act).await;
    }
    if session.expires_at <= now {
        return Ok(IdentityError::TokenExpired.into());
    }
    let Some(user) = repository::find_user(tx, session.user_id).await? else {
        return Ok(IdentityError::TokenRevoked.into());
    };
    if user.is_disabled {
        return Ok(IdentityError::AccountDisabled.into());
    }
    if is_repeated {
        for key in keys.iter() {
            let next = token.next(key)?;
            if next.hash() == session.refresh_hash {
                return Ok(Refresh::Done(Box::new((user, session, next))));
            }
        }
        // The key that made the next token is gone.
        return Ok(IdentityError::TokenRevoked.into());
    }
    let next = token.next(keys.signing())?;
    session.expires_at = (now + lifetimes.idle).min(session.created_at + lifetimes.absolute);
    session.refresh_hash = next.hash();
    session.last_used_at = now;
    let hashes = (hash, session.refresh_hash.clone());
    repository::update_refresh_hash(tx, session.id, hashes, now, session.expires_at).await?;
    Ok(Refresh::Done(Box::new((user, session, next))))
}

/// A token that was replaced before came again: two parties have it, and nobody can tell which is the thief.
async fn reused(
    tx: &DatabaseTransaction,
    session: session::Model,
    act: &Act,
) -> Result<Refresh, IdentityError> {
    end_sessions(tx, session.user_id, Which::Only(session.id), act.at).await?;
    audit::record(
        tx,
        act,
        AuditAction::RefreshReused,
        Some(session.user_id),
        Some(session.id),
    )
    .await?;
    tracing::warn!(session.id = %session.id, user.id = %session.user_id, "A used refresh token came again; the session was ended");
    Ok(Refresh::Refused {
        error: IdentityError::TokenRevoked,
        ended: Some(session.id),
    })
}
