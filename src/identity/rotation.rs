//! Exchanging a refresh token for the next one.

use chrono::TimeDelta;
use sea_orm::DatabaseTransaction;

use crate::entity::{session, user};
use crate::identity::error::IdentityError;
use crate::identity::repository;
use crate::platform::clock::Timestamp;

/// A refresh token that was just replaced may come again from a phone that lost the reply. Within this time that is
/// refused without ending the session; later it means that somebody else has the token.
const REUSE_TOLERANCE: TimeDelta = TimeDelta::seconds(10);

/// What became of a refresh token.
pub(super) enum Refresh {
    Done(Box<(user::Model, session::Model)>),
    Refused {
        error: IdentityError,
        /// The session that was ended because of it.
        ended: Option<session::Model>,
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
    old: &str,
    new: String,
    now: Timestamp,
    idle: TimeDelta,
    absolute: TimeDelta,
) -> Result<Refresh, IdentityError> {
    let Some(mut session) = repository::find_session_by_refresh_hash(tx, old).await? else {
        let Some(session) = repository::find_session_by_previous_refresh_hash(tx, old).await?
        else {
            return Ok(IdentityError::TokenInvalid.into());
        };
        if session.ended_at.is_none() && now - session.last_used_at > REUSE_TOLERANCE {
            repository::end_sessions(tx, session.user_id, Some(session.id), now).await?;
            tracing::warn!(session.id = %session.id, user.id = %session.user_id, "A used refresh token came again; the session was ended");
            return Ok(Refresh::Refused {
                error: IdentityError::TokenRevoked,
                ended: Some(session),
            });
        }
        return Ok(IdentityError::TokenRevoked.into());
    };
    if session.ended_at.is_some() {
        return Ok(IdentityError::TokenRevoked.into());
    }
    if session.expires_at <= now {
        return Ok(IdentityError::TokenExpired.into());
    }
    let user = repository::find_user(tx, session.user_id)
        .await?
        .ok_or(IdentityError::NoSuchUser)?;
    if user.is_disabled {
        return Ok(IdentityError::AccountDisabled.into());
    }
    let expires_at = (now + idle).min(session.created_at + absolute);
    if !repository::update_refresh_hash(tx, session.id, old, new.clone(), now, expires_at).await? {
        return Ok(IdentityError::TokenRevoked.into());
    }
    session.refresh_hash = new;
    session.last_used_at = now;
    session.expires_at = expires_at;
    Ok(Refresh::Done(Box::new((user, session))))
}
