//! Making accounts and opening sessions, by password here and by WeChat in [`super::wechat`].

use sea_orm::DatabaseTransaction;
use uuid::Uuid;

use crate::entity::audit_event::AuditAction;
use crate::entity::user::Role;
use crate::entity::{session, user};
use crate::identity::account::{NewAccount, check_email, check_username, key_of, search_text};
use crate::identity::audit::{self, Act};
use crate::identity::error::IdentityError;
use crate::identity::password::Verdict;
use crate::identity::refresh_token::RefreshToken;
use crate::identity::repository::{self, Ended, Which};
use crate::identity::service::{Client, IdentityService};
use crate::identity::signal::end_sessions;
use crate::identity::throttle::Attempt;
use crate::platform::clock::Timestamp;
use crate::platform::fault::Faults;
use crate::platform::id::new_id;

/// A sign-in that succeeded.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// Who signed in.
    pub user: user::Model,
    /// The session that it opened.
    pub session_id: Uuid,
    /// JWT for the `Authorization` header.
    pub access_token: String,
    /// When it ends.
    pub access_token_expires_at: Timestamp,
    /// Opaque; good for one refresh.
    pub refresh_token: String,
    /// When it ends unless it is used before.
    pub refresh_token_expires_at: Timestamp,
    /// Whether the account was made by this request.
    pub is_new_user: bool,
}

/// A session that is about to be stored, and the token that only the client will know.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) row: session::Model,
    pub(super) token: RefreshToken,
}

/// A password that was right.
#[derive(Clone)]
pub(super) struct Proof {
    /// What it was compared with: when that is no longer the user's, it proves nothing.
    pub(super) hash: String,
    /// A hash of today's strength, when that one has less.
    pub(super) renewed: Option<String>,
}

impl IdentityService {
    /// Makes an account and signs it in.
    ///
    /// # Errors
    /// `Invalid`, `WeakPassword`, `UsernameTaken`, `EmailTaken`.
    pub async fn register(
        &self,
        account: NewAccount,
        client: Client<'_>,
    ) -> Result<SignIn, IdentityError> {
        let user = self.prepare_account(account, Role::User, "input").await?;
        let act = self.act(client);
        let draft = self.draft_session(user.id, &act, None)?;
        let (row, session, max) = (user.clone(), draft.row.clone(), self.max_sessions);
        let stored = self
            .db
            .write(move |tx| {
                let (row, session, act) = (row.clone(), session.clone(), act.clone());
                Box::pin(async move {
                    insert_account(tx, row, &act).await?;
                    insert_session(tx, session, max, &act).await
                })
            })
            .await;
        self.explain_conflict(stored, &user).await?;
        self.signed_in(user, &draft, true)
    }

    /// Makes an account without signing in: for the command line.
    ///
    /// # Errors
    /// As [`IdentityService::register`].
    pub async fn create_account(
        &self,
        account: NewAccount,
        role: Role,
    ) -> Result<user::Model, IdentityError> {
        let user = self.prepare_account(account, role, "user").await?;
        let (row, act) = (user.clone(), self.act(Client::default()));
        let stored = self
            .db
            .write(move |tx| {
                let (row, act) = (row.clone(), act.clone());
                Box::pin(async move { insert_account(tx, row, &act).await })
            })
            .await;
        self.explain_conflict(stored, &user).await?;
        Ok(user)
    }

    /// Signs in by user name or e-mail address.
    ///
    /// # Errors
    /// `InvalidCredentials` whichever of the two is wrong, after the same work; `AccountDisabled` only with the right
    /// password; `TooManyFailures`, even with the right one.
    pub async fn login_with_password(
        &self,
        username: &str,
        password: String,
        client: Client<'_>,
    ) -> Result<SignIn, IdentityError> {
        let key = key_of(username);
        let user = if key.contains('@') {
            repository::find_user_by_email_key(self.db.read(), &key).await?
        } else {
            repository::find_user_by_username_key(self.db.read(), &key).await?
        };
        // One count for an account, by whichever of its names it is tried.
        let account = user.as_ref().map_or(key, |user| user.id.to_string());
        let attempt = self.begin_attempt(&account, client)?;
        let mut outcome = self
            .sign_in_by_password(user, password.clone(), client)
            .await;
        if let Err(Refused {
            error: IdentityError::PasswordChanged,
            user_id: Some(id),
        }) = outcome
        {
            // Perhaps only its hash was renewed, by another sign-in at the same time.
            let user = repository::find_user(self.db.read(), id).await?;
            outcome = self.sign_in_by_password(user, password, client).await;
        }
        match self.end_attempt(attempt, outcome) {
            Err(Refused { error, user_id }) => {
                self.record_failure(&error, None, user_id, &self.act(client))
                    .await?;
                Err(error)
            }
            Ok(sign_in) => Ok(sign_in),
        }
    }

    async fn sign_in_by_password(
        &self,
        user: Option<user::Model>,
        password: String,
        client: Client<'_>,
    ) -> Result<SignIn, Refused> {
        let (user, proof) = self.check_password(user, password).await?;
        self.open_session(user.id, proof, client).await
    }

    /// Whether `register` would take this name now: well-formed, and nobody's.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn is_username_available(&self, username: &str) -> Result<bool, IdentityError> {
        let mut faults = Faults::under(&[]);
        let name = check_username(&mut faults, username);
        if !faults.is_empty() {
            return Ok(false);
        }
        let taken = repository::find_user_by_username_key(self.db.read(), &key_of(&name)).await?;
        Ok(taken.is_none())
    }

    /// Counts an attempt to show a password for `account`: the id of a user, or a name that nobody has.
    pub(super) fn begin_attempt(
        &self,
        account: &str,
        client: Client<'_>,
    ) -> Result<Option<Attempt>, IdentityError> {
        match (&self.throttle, client.address) {
            (Some(throttle), Some(address)) => {
                throttle.begin(account, address, self.clock.now()).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Tells the throttle how an attempt ended.
    pub(super) fn end_attempt<T>(
        &self,
        attempt: Option<Attempt>,
        outcome: Result<T, Refused>,
    ) -> Result<T, Refused> {
        if let Some(attempt) = attempt {
            match &outcome {
                Ok(_) => attempt.succeeded(self.clock.now()),
                Err(Refused {
                    error: IdentityError::InvalidCredentials | IdentityError::PasswordChanged,
                    ..
                }) => drop(attempt),
                Err(_) => attempt.was_not_made(self.clock.now()),
            }
        }
        outcome
    }

    /// Compares a password with a user's; without a user, or a password, after the same work, with none.
    pub(super) async fn check_password(
        &self,
        user: Option<user::Model>,
        password: String,
    ) -> Result<(user::Model, Proof), Refused> {
        let hash = user.as_ref().and_then(|user| user.password_hash.clone());
        let refused = |error| Refused {
            error,
            user_id: user.as_ref().map(|user| user.id),
        };
        let verdict = self.passwords.verify(password, hash.clone()).await;
        match (verdict.map_err(&refused)?, &user, hash) {
            (Verdict::Right { renewed }, Some(user), Some(hash)) => {
                Ok((user.clone(), Proof { hash, renewed }))
            }
            _ => Err(refused(IdentityError::InvalidCredentials)),
        }
    }

    /// Adds a failed sign-in to the audit trail. What is no failure of the person, as a database that does not answer, is not.
    pub(super) async fn record_failure(
        &self,
        error: &IdentityError,
        actor_id: Option<Uuid>,
        user_id: Option<Uuid>,
        act: &Act,
    ) -> Result<(), IdentityError> {
        if !error.is_failed_sign_in() {
            return Ok(());
        }
        let act = act.clone();
        self.db
            .write(move |tx| {
                let act = act.clone();
                Box::pin(async move {
                    let action = AuditAction::SignInFailed;
                    Ok(audit::record(tx, &act, action, actor_id, user_id).await?)
                })
            })
            .await
    }

    /// Opens a session for somebody who proved to have the user's password.
    async fn open_session(
        &self,
        user_id: Uuid,
        proof: Proof,
        client: Client<'_>,
    ) -> Result<SignIn, Refused> {
        let refused = |error| Refused {
            error,
            user_id: Some(user_id),
        };
        let act = self.act(client);
        let draft = self.draft_session(user_id, &act, None).map_err(refused)?;
        let (session, max) = (draft.row.clone(), self.max_sessions);
        let opened = self.db.write(move |tx| {
            let (session, proof, act) = (session.clone(), proof.clone(), act.clone());
            Box::pin(async move {
                let mut user = repository::find_user_for_update(tx, user_id)
                    .await?
                    .ok_or(IdentityError::InvalidCredentials)?;
                if user.password_hash.as_ref() != Some(&proof.hash) {
                    return Err(IdentityError::PasswordChanged);
                }
                if user.is_disabled {
                    return Err(IdentityError::AccountDisabled);
                }
                if proof.renewed.is_some() {
                    user.password_hash = proof.renewed;
                    repository::update_user(tx, user.clone()).await?;
                }
                let ended = insert_session(tx, session, max, &act).await?;
                Ok((user, ended))
            })
        });
        let (user, ended) = opened.await.map_err(refused)?;
        self.sessions.end(ended.ids).await;
        self.signed_in(user, &draft, false).map_err(refused)
    }

    /// Checks what was typed, then hashes the password: the cheap refusals come first.
    async fn prepare_account(
        &self,
        account: NewAccount,
        role: Role,
        base: &'static str,
    ) -> Result<user::Model, IdentityError> {
        let mut faults = Faults::under(&[base]);
        let username = check_username(&mut faults, &account.username);
        let email = account
            .email
            .filter(|email| !email.trim().is_empty())
            .map(|email| check_email(&mut faults, &email));
        let display_name = match account.display_name.filter(|name| !name.trim().is_empty()) {
            Some(name) => faults.line(&["displayName"], &name, 1, 64),
            None => username.clone(),
        };
        faults.check(())?;
        self.policy.check(&[base, "password"], &account.password)?;
        let now = self.clock.now();
        let mut user = user::Model {
            id: new_id(),
            username_key: Some(key_of(&username)),
            username: Some(username),
            display_name,
            avatar_url: None,
            email_key: email.as_deref().map(key_of),
            email,
            phone_number: None,
            password_hash: None,
            role,
            is_disabled: false,
            search_text: String::new(),
            created_at: now,
            updated_at: now,
        };
        user.search_text = search_text(&user);
        self.check_free(&user).await?;
        user.password_hash = Some(self.passwords.hash(account.password).await?);
        Ok(user)
    }

    /// A session for `user_id`. `client_secret` is what only a client knows that may ask for the same session again.
    pub(super) fn draft_session(
        &self,
        user_id: Uuid,
        act: &Act,
        client_secret: Option<&str>,
    ) -> Result<Draft, IdentityError> {
        let (id, now) = (new_id(), act.at);
        let key = self.tokens.keys().signing();
        let token = match client_secret {
            Some(secret) => RefreshToken::repeatable(key, id, secret)?,
            None => RefreshToken::new(key, id)?,
        };
        let row = session::Model {
            id,
            user_id,
            refresh_hash: token.hash(),
            previous_refresh_hash: None,
            user_agent: act.user_agent.clone(),
            created_at: now,
            last_used_at: now,
            expires_at: now + self.lifetimes.idle.min(self.lifetimes.absolute),
            ended_at: None,
        };
        Ok(Draft { row, token })
    }

    /// The tokens of a session that is stored.
    pub(super) fn signed_in(
        &self,
        user: user::Model,
        draft: &Draft,
        is_new_user: bool,
    ) -> Result<SignIn, IdentityError> {
        let (session, now) = (&draft.row, self.clock.now());
        let expires_at = (now + self.access_ttl).min(session.expires_at);
        // The token counts in whole seconds; what we tell the client must not be later than that.
        let expires_at = Timestamp::from_millis(expires_at.seconds() * 1000).unwrap_or(expires_at);
        Ok(SignIn {
            access_token: self.tokens.sign(user.id, session.id, now, expires_at)?,
            access_token_expires_at: expires_at,
            refresh_token: draft.token.text(),
            refresh_token_expires_at: session.expires_at,
            session_id: session.id,
            user,
            is_new_user,
        })
    }
}

/// A sign-in that failed, and whose it would have been.
pub(super) struct Refused {
    pub(super) error: IdentityError,
    pub(super) user_id: Option<Uuid>,
}

impl From<sea_orm::DbErr> for Refused {
    fn from(error: sea_orm::DbErr) -> Self {
        Self {
            error: error.into(),
            user_id: None,
        }
    }
}

pub(super) async fn insert_account(
    tx: &DatabaseTransaction,
    user: user::Model,
    act: &Act,
) -> Result<(), IdentityError> {
    let id = Some(user.id);
    repository::insert_user(tx, user).await?;
    Ok(audit::record(tx, act, AuditAction::Registered, id, id).await?)
}

/// Stores a session. A user who has more than `max` loses the one that was not used for the longest time.
pub(super) async fn insert_session(
    tx: &DatabaseTransaction,
    session: session::Model,
    max: u64,
    act: &Act,
) -> Result<Ended, IdentityError> {
    let user_id = session.user_id;
    repository::insert_session(tx, session).await?;
    audit::record(tx, act, AuditAction::SignedIn, Some(user_id), Some(user_id)).await?;
    if !repository::has_more_sessions(tx, user_id, max).await? {
        return Ok(Ended::default());
    }
    Ok(end_sessions(tx, user_id, Which::AllButNewest(max), act.at).await?)
}
