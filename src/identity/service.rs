//! Rules of accounts: one method a use case.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::TimeDelta;
use uuid::Uuid;

use crate::clients::wechat::WechatClient;
use crate::entity::user::Role;
use crate::entity::{session, user};
use crate::identity::account::{
    NewAccount, check_email, check_username, find_or_create_wechat_user, key_of,
};
use crate::identity::error::IdentityError;
use crate::identity::password::{PasswordHasher, check_policy};
use crate::identity::repository;
use crate::identity::rotation::{Refresh, rotate};
use crate::identity::throttle::SignInThrottle;
use crate::identity::token::{TokenSigner, hash_refresh_token, new_refresh_token};
use crate::identity::watch::{SessionWatch, SessionWatches};
use crate::platform::clock::{Clock, Timestamp};
use crate::platform::config::{AuthConfig, RateLimitConfig};
use crate::platform::db::{Database, is_unique_violation};
use crate::platform::fault::{Faults, Rule};
use crate::platform::id::new_id;
use crate::platform::viewer::Viewer;

const MAX_USER_AGENT: usize = 255;

/// A sign-in that succeeded.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// Who signed in.
    pub user: user::Model,
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

/// Who an access token speaks for, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// The caller.
    pub viewer: Viewer,
    /// When the token's time is over.
    pub expires_at: Timestamp,
}

/// Where a sign-in comes from.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// The `User-Agent` header, as sent.
    pub user_agent: Option<&'a str>,
    /// The address.
    pub address: IpAddr,
}

/// Accounts and sessions.
pub struct IdentityService {
    db: Arc<Database>,
    clock: Arc<dyn Clock>,
    wechat: WechatClient,
    passwords: PasswordHasher,
    tokens: TokenSigner,
    throttle: Option<SignInThrottle>,
    watches: SessionWatches,
    access_ttl: TimeDelta,
    refresh_idle: TimeDelta,
    refresh_absolute: TimeDelta,
}

/// A session that is about to be stored, and the token that only the client will know.
#[derive(Clone)]
struct Draft {
    row: session::Model,
    refresh_token: String,
}

impl IdentityService {
    /// The service for one server.
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub fn new(
        db: Arc<Database>,
        clock: Arc<dyn Clock>,
        wechat: WechatClient,
        config: &AuthConfig,
        limits: &RateLimitConfig,
    ) -> Result<Self, IdentityError> {
        // Half of the cores: a flood of sign-ins leaves the others to everybody else.
        let parallel = std::thread::available_parallelism().map_or(1, usize::from) / 2;
        Ok(Self {
            db,
            clock,
            wechat,
            passwords: PasswordHasher::new(parallel)?,
            tokens: TokenSigner::new(config),
            throttle: SignInThrottle::new(limits),
            watches: SessionWatches::default(),
            access_ttl: to_delta(config.access_token_ttl),
            refresh_idle: to_delta(config.refresh_idle),
            refresh_absolute: to_delta(config.refresh_absolute),
        })
    }

    /// Who an access token speaks for.
    ///
    /// # Errors
    /// `TokenInvalid`, `TokenExpired` when only its time is over, `TokenRevoked` when its session has ended.
    pub async fn authenticate(&self, token: &str) -> Result<Access, IdentityError> {
        let now = self.clock.now();
        let token = self.tokens.verify(token, now)?;
        let session = repository::find_session_state(self.db.read(), token.session_id)
            .await?
            .ok_or(IdentityError::TokenRevoked)?;
        if session.user_id != token.user_id {
            return Err(IdentityError::TokenInvalid);
        }
        if session.ended_at.is_some() || session.is_disabled {
            return Err(IdentityError::TokenRevoked);
        }
        let expires_at = token.expires_at.min(session.expires_at);
        if expires_at <= now {
            return Err(IdentityError::TokenExpired);
        }
        let viewer = Viewer {
            user_id: token.user_id,
            session_id: token.session_id,
            role: session.role,
        };
        Ok(Access { viewer, expires_at })
    }

    /// Tells when the session of `viewer` ends. Look at the session once more after this call: it may have ended just before.
    pub fn watch_session(&self, viewer: &Viewer) -> SessionWatch {
        self.watches.watch(viewer.user_id, viewer.session_id)
    }

    /// How long until `time`; zero when it has passed.
    pub fn until(&self, time: Timestamp) -> std::time::Duration {
        (time - self.clock.now()).to_std().unwrap_or_default()
    }

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
        let draft = self.draft_session(user.id, client);
        let (row, session) = (user.clone(), draft.row.clone());
        let stored = self
            .db
            .write(move |tx| {
                let (row, session) = (row.clone(), session.clone());
                Box::pin(async move {
                    repository::insert_user(tx, row).await?;
                    repository::insert_session(tx, session).await?;
                    Ok::<_, IdentityError>(())
                })
            })
            .await;
        self.explain_conflict(stored, &user).await?;
        self.sign_in(user, draft, true)
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
        let row = user.clone();
        let stored = self
            .db
            .write(move |tx| {
                let row = row.clone();
                Box::pin(
                    async move { Ok::<_, IdentityError>(repository::insert_user(tx, row).await?) },
                )
            })
            .await;
        self.explain_conflict(stored, &user).await?;
        Ok(user)
    }

    /// Makes a user an administrator.
    ///
    /// # Errors
    /// `NoSuchUser`.
    pub async fn promote(&self, username: &str) -> Result<(), IdentityError> {
        let (key, now) = (key_of(username), self.clock.now());
        let is_found = self
            .db
            .write(move |tx| {
                let key = key.clone();
                Box::pin(async move {
                    Ok::<_, IdentityError>(
                        repository::update_role(tx, &key, Role::Admin, now).await?,
                    )
                })
            })
            .await?;
        if is_found {
            Ok(())
        } else {
            Err(IdentityError::NoSuchUser)
        }
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
        let attempt = match &self.throttle {
            Some(throttle) => Some(throttle.begin(&key, client.address, self.clock.now())?),
            None => None,
        };
        let outcome = self.check_password(&key, password).await;
        if let Some(attempt) = attempt {
            match &outcome {
                Ok(_) => attempt.succeeded(self.clock.now()),
                Err(IdentityError::InvalidCredentials) => drop(attempt),
                Err(_) => attempt.was_not_made(self.clock.now()),
            }
        }
        self.open_session(outcome?, client).await
    }

    async fn check_password(
        &self,
        key: &str,
        password: String,
    ) -> Result<user::Model, IdentityError> {
        let user = if key.contains('@') {
            repository::find_user_by_email_key(self.db.read(), key).await?
        } else {
            repository::find_user_by_username_key(self.db.read(), key).await?
        };
        let hash = user.as_ref().and_then(|user| user.password_hash.clone());
        let is_right = self.passwords.verify(password, hash).await?;
        match user {
            Some(user) if is_right => Ok(user),
            _ => Err(IdentityError::InvalidCredentials),
        }
    }

    /// Signs in by the code of `wx.login`; the first time, that makes an account.
    ///
    /// # Errors
    /// `Invalid` for an empty code or an `app_id` that is not this server's, what WeChat refuses, `AccountDisabled`.
    pub async fn login_with_wechat(
        &self,
        code: &str,
        app_id: Option<&str>,
        client: Client<'_>,
    ) -> Result<SignIn, IdentityError> {
        let mut faults = Faults::under(&["input", "wechat"]);
        let code = faults.line(&["code"], code, 1, 256);
        if self.wechat.is_configured() && app_id.is_some_and(|app_id| !self.wechat.serves(app_id)) {
            faults.add(&["appId"], Rule::Unknown);
        }
        let code = faults.check(code)?;
        let wechat = self.wechat.exchange_code(&code).await?;
        let now = self.clock.now();
        let mut tries = 0;
        let (user, is_new) = loop {
            let wechat = wechat.clone();
            let result = self
                .db
                .write(move |tx| {
                    let wechat = wechat.clone();
                    Box::pin(async move { find_or_create_wechat_user(tx, wechat, now).await })
                })
                .await;
            match result {
                // The same person signed in for the first time twice at once, and the other request was first.
                Err(IdentityError::Database(error))
                    if is_unique_violation(&error) && tries == 0 =>
                {
                    tries += 1
                }
                other => break other?,
            }
        };
        let mut signed_in = self.open_session(user, client).await?;
        signed_in.is_new_user = is_new;
        Ok(signed_in)
    }

    /// Exchanges a refresh token for a new pair.
    ///
    /// # Errors
    /// `TokenInvalid` for one that is not known (any more), `TokenExpired`, `TokenRevoked` for the one that was replaced last
    /// and for an ended session, `AccountDisabled`.
    pub async fn refresh(&self, token: &str) -> Result<SignIn, IdentityError> {
        let now = self.clock.now();
        let refresh_token = new_refresh_token();
        let (old, new) = (
            hash_refresh_token(token),
            hash_refresh_token(&refresh_token),
        );
        let (idle, absolute) = (self.refresh_idle, self.refresh_absolute);
        let outcome = self
            .db
            .write(move |tx| {
                let (old, new) = (old.clone(), new.clone());
                Box::pin(async move { rotate(tx, &old, new, now, idle, absolute).await })
            })
            .await?;
        match outcome {
            Refresh::Done(done) => {
                let (user, row) = *done;
                self.sign_in(user, Draft { row, refresh_token }, false)
            }
            Refresh::Refused { error, ended } => {
                if let Some(session) = ended {
                    self.watches.end(session.user_id, Some(session.id));
                }
                Err(error)
            }
        }
    }

    /// Ends the caller's session, or all of the caller's; returns how many ended.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn logout(&self, viewer: Viewer, everywhere: bool) -> Result<u64, IdentityError> {
        let now = self.clock.now();
        let only = (!everywhere).then_some(viewer.session_id);
        let ended = self
            .db
            .write(move |tx| {
                Box::pin(async move {
                    Ok::<_, IdentityError>(
                        repository::end_sessions(tx, viewer.user_id, only, now).await?,
                    )
                })
            })
            .await?;
        self.watches.end(viewer.user_id, only);
        Ok(ended)
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
        let mut faults = Faults::under(&[base]);
        check_policy(&["password"], &account.password, &mut faults);
        if !faults.is_empty() {
            return Err(IdentityError::WeakPassword(faults.into_list()));
        }
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
            created_at: now,
            updated_at: now,
        };
        self.check_free(&user).await?;
        user.password_hash = Some(self.passwords.hash(account.password).await?);
        Ok(user)
    }

    async fn check_free(&self, user: &user::Model) -> Result<(), IdentityError> {
        if let Some(key) = &user.username_key
            && repository::find_user_by_username_key(self.db.read(), key)
                .await?
                .is_some()
        {
            return Err(IdentityError::UsernameTaken);
        }
        if let Some(key) = &user.email_key
            && repository::find_user_by_email_key(self.db.read(), key)
                .await?
                .is_some()
        {
            return Err(IdentityError::EmailTaken);
        }
        Ok(())
    }

    /// A unique constraint failed: somebody took the name or the address since it was checked.
    async fn explain_conflict(
        &self,
        stored: Result<(), IdentityError>,
        user: &user::Model,
    ) -> Result<(), IdentityError> {
        match stored {
            Err(IdentityError::Database(error)) if is_unique_violation(&error) => {
                self.check_free(user).await?;
                Err(error.into())
            }
            other => other,
        }
    }

    fn draft_session(&self, user_id: Uuid, client: Client<'_>) -> Draft {
        let now = self.clock.now();
        let refresh_token = new_refresh_token();
        let row = session::Model {
            id: new_id(),
            user_id,
            refresh_hash: hash_refresh_token(&refresh_token),
            previous_refresh_hash: None,
            user_agent: client
                .user_agent
                .map(|text| text.chars().take(MAX_USER_AGENT).collect()),
            created_at: now,
            last_used_at: now,
            expires_at: now + self.refresh_idle.min(self.refresh_absolute),
            ended_at: None,
        };
        Draft { row, refresh_token }
    }

    async fn open_session(
        &self,
        user: user::Model,
        client: Client<'_>,
    ) -> Result<SignIn, IdentityError> {
        if user.is_disabled {
            return Err(IdentityError::AccountDisabled);
        }
        let draft = self.draft_session(user.id, client);
        let row = draft.row.clone();
        self.db
            .write(move |tx| {
                let row = row.clone();
                Box::pin(async move {
                    Ok::<_, IdentityError>(repository::insert_session(tx, row).await?)
                })
            })
            .await?;
        self.sign_in(user, draft, false)
    }

    fn sign_in(
        &self,
        user: user::Model,
        draft: Draft,
        is_new_user: bool,
    ) -> Result<SignIn, IdentityError> {
        let now = self.clock.now();
        let expires_at = (now + self.access_ttl).min(draft.row.expires_at);
        // The token counts in whole seconds; what we tell the client must not be later than that.
        let expires_at = Timestamp::from_millis(expires_at.seconds() * 1000).unwrap_or(expires_at);
        Ok(SignIn {
            access_token: self.tokens.sign(user.id, draft.row.id, now, expires_at)?,
            access_token_expires_at: expires_at,
            refresh_token: draft.refresh_token,
            refresh_token_expires_at: draft.row.expires_at,
            user,
            is_new_user,
        })
    }
}

fn to_delta(duration: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
