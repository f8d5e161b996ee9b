//! Accounts and sessions: what every use case needs. The use cases are in `sign_in`, `wechat`, `sessions`, `profile` and
//! `administration`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::ConnectionTrait;

use crate::clients::wechat::WechatClient;
use crate::entity::user;
use crate::github::GithubService;
use crate::identity::account::search_text;
use crate::identity::audit::Act;
use crate::identity::error::IdentityError;
use crate::identity::housekeeping;
use crate::identity::keys::KeyRing;
use crate::identity::password::{PasswordHasher, Policy};
use crate::identity::repository;
use crate::identity::rotation::Lifetimes;
use crate::identity::session_cache::{Known, SessionCache};
use crate::identity::signal::Listener;
use crate::identity::throttle::SignInThrottle;
use crate::identity::token::TokenSigner;
use crate::identity::watch::SessionWatch;
use crate::identity::wechat::Flights;
use crate::platform::clock::{Clock, Timestamp};
use crate::platform::config::Config;
use crate::platform::db::{Database, is_unique_violation};
use crate::platform::task::to_end;
use crate::platform::telemetry::{count_panic, in_same_request};
use crate::platform::viewer::Viewer;
use crate::platform::worker::every_hour;

/// Who an access token speaks for, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// The caller.
    pub viewer: Viewer,
    /// When the token's time is over.
    pub expires_at: Timestamp,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Client<'a> {
    /// The `User-Agent` header, as sent.
    pub user_agent: Option<&'a str>,
    /// The address; `None` for the command line.
    pub address: Option<IpAddr>,
    /// The AppID that the `Referer` header claims.
    pub app_id: Option<&'a str>,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<&'a str>,
}

/// Accounts and sessions. A clone is another handle to the same service.
#[derive(Clone)]
pub struct IdentityService {
    pub(super) db: Arc<Database>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) wechat: WechatClient,
    pub(super) github: Arc<GithubService>,
    pub(super) flights: Flights,
    pub(super) passwords: PasswordHasher,
    pub(super) policy: Arc<Policy>,
    pub(super) tokens: Arc<TokenSigner>,
    pub(super) throttle: Option<SignInThrottle>,
    pub(super) sessions: SessionCache,
    pub(super) max_sessions: u64,
    /// Addresses whose refused codes are in the audit trail already.
    pub(super) noted: moka::sync::Cache<IpAddr, ()>,
    pub(super) access_ttl: TimeDelta,
    pub(super) lifetimes: Lifetimes,
    pub(super) retention: TimeDelta,
}

impl IdentityService {
    /// The service for one server, with the tasks that keep it in step with other instances and clean up.
    ///
    /// # Errors
    /// When a key file cannot be used or the machine has no randomness.
    pub fn new(
        db: Arc<Database>,
        clock: Arc<dyn Clock>,
        wechat: WechatClient,
        github: Arc<GithubService>,
        config: &Config,
    ) -> Result<Self, IdentityError> {
        // Half of the cores: a flood of sign-ins leaves the others to everybody else.
        let parallel = std::thread::available_parallelism().map_or(1, usize::from) / 2;
        let auth = &config.auth;
        let service = Self {
            wechat,
            github,
            flights: Flights::default(),
            passwords: PasswordHasher::new(parallel, &config.password)?,
            policy: Arc::new(Policy::new(&config.password)),
            tokens: Arc::new(TokenSigner::new(KeyRing::load(auth)?, auth)),
            throttle: SignInThrottle::new(&config.rate_limit),
            sessions: SessionCache::default(),
            max_sessions: auth.max_sessions_per_user,
            noted: moka::sync::Cache::builder()
                .max_capacity(10_000)
                .time_to_live(Duration::from_secs(60))
                .build(),
            access_ttl: to_delta(auth.access_token_ttl),
            lifetimes: Lifetimes {
                idle: to_delta(auth.refresh_idle),
                absolute: to_delta(auth.refresh_absolute),
                grace: to_delta(auth.refresh_grace),
            },
            retention: to_delta(config.audit.retention),
            db,
            clock,
        };
        let listener = Listener::new(
            &service.db,
            &service.sessions,
            service.throttle.clone(),
            Arc::clone(&service.clock),
        );
        tokio::spawn(listener.run());
        let (cleaner, retention) = (Arc::clone(&service.clock), service.retention);
        every_hour(&service.db, move |db| {
            let clock = Arc::clone(&cleaner);
            async move { housekeeping::clean(&db, clock.as_ref(), retention).await }
        });
        Ok(service)
    }

    /// Who an access token speaks for.
    ///
    /// # Errors
    /// `TokenInvalid`, `TokenExpired` when only its time is over, `TokenRevoked` when its session has ended.
    pub async fn authenticate(&self, token: &str) -> Result<Access, IdentityError> {
        let now = self.clock.now();
        let token = self.tokens.verify(token, now)?;
        match self.look_up(token.session_id).await? {
            Known::Ended => Err(IdentityError::TokenRevoked),
            Known::Open { user_id, .. } if user_id != token.user_id => {
                Err(IdentityError::TokenInvalid)
            }
            Known::Open { .. } if token.expires_at <= now => Err(IdentityError::TokenExpired),
            Known::Open { user_id, role } => Ok(Access {
                viewer: Viewer {
                    user_id,
                    session_id: token.session_id,
                    role,
                },
                expires_at: token.expires_at,
            }),
        }
    }

    /// Whether the session of `viewer` still counts.
    ///
    /// # Errors
    /// `TokenRevoked`.
    pub async fn check(&self, viewer: &Viewer) -> Result<(), IdentityError> {
        match self.look_up(viewer.session_id).await? {
            Known::Open { .. } => Ok(()),
            Known::Ended => Err(IdentityError::TokenRevoked),
        }
    }

    async fn look_up(&self, id: uuid::Uuid) -> Result<Known, sea_orm::DbErr> {
        let look_up = || {
            let db = Arc::clone(&self.db);
            to_end(async move { repository::find_session_state(db.read(), id).await })
        };
        self.sessions.find(id, look_up).await
    }

    /// The public keys of access tokens as a JSON Web Key Set (RFC 7517); none while a secret signs.
    pub fn public_keys(&self) -> jsonwebtoken::jwk::JwkSet {
        self.tokens.keys().public()
    }

    /// Tells when the session of `viewer` ends. Look at the session once more after this call: it may have ended just before.
    pub fn watch_session(&self, viewer: &Viewer) -> SessionWatch {
        self.sessions.watch(viewer.session_id)
    }

    /// How long until `time`; zero when it has passed.
    pub fn until(&self, time: Timestamp) -> std::time::Duration {
        (time - self.clock.now()).to_std().unwrap_or_default()
    }

    /// Deletes sessions that are over, events past their retention and notes between instances, as the server does every hour.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn clean(&self) -> Result<(), IdentityError> {
        Ok(housekeeping::clean(&self.db, self.clock.as_ref(), self.retention).await?)
    }

    /// What is done now by `client`.
    pub(super) fn act(&self, client: Client<'_>) -> Act {
        Act::new(self.clock.now(), client.address, client.user_agent)
    }

    /// Whether somebody else than `user` has its name or address.
    pub(super) async fn check_free(&self, user: &user::Model) -> Result<(), IdentityError> {
        let db = self.db.read();
        if let Some(key) = &user.username_key
            && repository::find_user_by_username_key(db, key)
                .await?
                .is_some_and(|other| other.id != user.id)
        {
            return Err(IdentityError::UsernameTaken);
        }
        if let Some(key) = &user.email_key
            && repository::find_user_by_email_key(db, key)
                .await?
                .is_some_and(|other| other.id != user.id)
        {
            return Err(IdentityError::EmailTaken);
        }
        Ok(())
    }

    /// A unique constraint failed: somebody took the name or the address since it was checked.
    pub(super) async fn explain_conflict<T>(
        &self,
        stored: Result<T, IdentityError>,
        user: &user::Model,
    ) -> Result<T, IdentityError> {
        match stored {
            Err(IdentityError::Database(error)) if is_unique_violation(&error) => {
                self.check_free(user).await?;
                Err(error.into())
            }
            other => other,
        }
    }
}

/// The caller's account, locked. The session is looked at again under the lock: since the token was checked it may have ended,
/// by somebody who wants the caller out.
pub(super) async fn lock_viewer(
    tx: &impl ConnectionTrait,
    viewer: &Viewer,
) -> Result<user::Model, IdentityError> {
    let user = repository::find_user_for_update(tx, viewer.user_id).await?;
    check_session(tx, viewer).await?;
    user.ok_or(IdentityError::TokenRevoked)
}

/// Whether the caller's session counts at this point of a transaction.
pub(super) async fn check_session(
    tx: &impl ConnectionTrait,
    viewer: &Viewer,
) -> Result<(), IdentityError> {
    let state = repository::find_session_state(tx, viewer.session_id).await?;
    match Known::from(state) {
        Known::Open { .. } => Ok(()),
        Known::Ended => Err(IdentityError::TokenRevoked),
    }
}

/// Runs `work` to its end even when nobody waits for it any more.
pub(super) async fn go_on<T: Send + 'static>(
    work: impl Future<Output = Result<T, IdentityError>> + Send + 'static,
) -> Result<T, IdentityError> {
    match tokio::spawn(in_same_request(work)).await {
        Ok(outcome) => outcome,
        Err(error) => {
            let panics = count_panic();
            tracing::error!(panics, %error, "A change of an account panicked");
            Err(IdentityError::Crypto("a change panicked".to_owned()))
        }
    }
}

/// `user` with what is derived from its other columns, changed at `now`.
pub(super) fn touched(mut user: user::Model, now: Timestamp) -> user::Model {
    user.search_text = search_text(&user);
    user.updated_at = now;
    user
}

fn to_delta(duration: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
