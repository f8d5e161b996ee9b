//! Using and ending sessions.

use std::sync::Arc;

use uuid::Uuid;

use crate::entity::audit_event::AuditAction;
use crate::entity::session;
use crate::identity::audit;
use crate::identity::error::IdentityError;
use crate::identity::refresh_token::RefreshToken;
use crate::identity::repository::{self, Ended, Which};
use crate::identity::rotation::{Refresh, rotate};
use crate::identity::service::{Client, IdentityService, check_session, go_on};
use crate::identity::sign_in::{Draft, SignIn};
use crate::identity::signal::end_sessions;
use crate::platform::id::parse_id;
use crate::platform::task::to_end;
use crate::platform::viewer::Viewer;

impl IdentityService {
    /// Exchanges a refresh token for new tokens. The one that was replaced last is answered with the same next one for a while;
    /// after that its return, and that of any older one, ends the session.
    ///
    /// # Errors
    /// `TokenInvalid`, `TokenExpired`, `TokenRevoked`, `AccountDisabled`.
    pub async fn refresh(&self, token: &str, client: Client<'_>) -> Result<SignIn, IdentityError> {
        let token = RefreshToken::parse(token).ok_or(IdentityError::TokenInvalid)?;
        let (tokens, act, lifetimes) = (Arc::clone(&self.tokens), self.act(client), self.lifetimes);
        let outcome = self
            .db
            .write(move |tx| {
                let (token, tokens, act) = (token.clone(), Arc::clone(&tokens), act.clone());
                Box::pin(async move { rotate(tx, &token, tokens.keys(), &act, lifetimes).await })
            })
            .await?;
        match outcome {
            Refresh::Done(done) => {
                let (user, row, token) = *done;
                self.signed_in(user, &Draft { row, token }, false)
            }
            Refresh::Refused { error, ended } => {
                self.sessions.end(ended).await;
                Err(error)
            }
        }
    }

    /// Ends the caller's session, or all of the caller's; returns how many ended.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn logout(
        &self,
        viewer: Viewer,
        everywhere: bool,
        client: Client<'_>,
    ) -> Result<usize, IdentityError> {
        let which = match everywhere {
            true => Which::All,
            false => Which::Only(viewer.session_id),
        };
        let ended = self
            .end(
                viewer,
                which,
                AuditAction::SignedOut,
                viewer.session_id,
                client,
            )
            .await?;
        Ok(ended.open)
    }

    /// Ends one session of the caller, perhaps another device's. One that has ended already is no error, so that a repetition
    /// after a lost reply succeeds.
    ///
    /// # Errors
    /// `NoSuchSession` when it is not the caller's.
    pub async fn revoke_session(
        &self,
        viewer: Viewer,
        id: &str,
        client: Client<'_>,
    ) -> Result<Uuid, IdentityError> {
        let id = parse_id(id).ok_or(IdentityError::NoSuchSession)?;
        self.find_session(&viewer, id)
            .await?
            .ok_or(IdentityError::NoSuchSession)?;
        self.end(
            viewer,
            Which::Only(id),
            AuditAction::SessionRevoked,
            id,
            client,
        )
        .await?;
        Ok(id)
    }

    async fn end(
        &self,
        viewer: Viewer,
        which: Which,
        action: AuditAction,
        subject: Uuid,
        client: Client<'_>,
    ) -> Result<Ended, IdentityError> {
        let (this, act) = (self.clone(), self.act(client));
        go_on(async move {
            let ended = this.db.write(move |tx| {
                let act = act.clone();
                Box::pin(async move {
                    check_session(tx, &viewer).await?;
                    let ended = end_sessions(tx, viewer.user_id, which, act.at).await?;
                    if !ended.ids.is_empty() {
                        let (actor, subject) = (Some(viewer.user_id), Some(subject));
                        audit::record(tx, &act, action, actor, subject).await?;
                    }
                    Ok::<_, IdentityError>(ended)
                })
            });
            let ended = ended.await?;
            this.sessions.end(ended.ids.iter().copied()).await;
            Ok(ended)
        })
        .await
    }

    /// A user's sessions that could still be used, the last used first.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn list_sessions(&self, user_id: Uuid) -> Result<Vec<session::Model>, IdentityError> {
        let (db, now, max) = (Arc::clone(&self.db), self.clock.now(), self.max_sessions);
        // An event of a subscription may ask for it, and those are dropped half-way.
        let list =
            async move { repository::list_open_sessions(db.read(), user_id, now, max).await };
        Ok(to_end(list).await?)
    }

    /// A session of the caller, ended or not.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn find_session(
        &self,
        viewer: &Viewer,
        id: Uuid,
    ) -> Result<Option<session::Model>, IdentityError> {
        let session = repository::find_session(self.db.read(), id).await?;
        Ok(session.filter(|session| session.user_id == viewer.user_id))
    }
}
