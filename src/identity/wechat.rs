//! Signing in by WeChat, and what else a WeChat code is good for.
//!
//! A code works once, and the phone may lose our reply. So an exchange goes on when its client is gone, requests with the same
//! code at the same time share one exchange, and a client that names its request by an `Idempotency-Key` gets the same session
//! again for a minute. Without that name a used code is used: whoever found one must not get a session for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use sea_orm::DatabaseTransaction;
use tracing::Instrument;

use crate::clients::wechat::{WechatError, WechatUser};
use crate::entity::audit_event::AuditAction;
use crate::entity::{login_replay, user, wechat_identity};
use crate::identity::account::{can_use_password, find_or_create_wechat_user};
use crate::identity::audit::{self, Act};
use crate::identity::error::IdentityError;
use crate::identity::refresh_token::RefreshToken;
use crate::identity::repository;
use crate::identity::service::{Client, IdentityService, touched};
use crate::identity::sign_in::{Draft, SignIn, insert_session};
use crate::platform::db::is_unique_violation;
use crate::platform::digest::sha256_hex;
use crate::platform::fault::{Faults, Rule};
use crate::platform::id::new_id;
use crate::platform::telemetry::count_panic;
use crate::platform::viewer::Viewer;

/// How long a sign-in may be asked for again.
const REPLAY: TimeDelta = TimeDelta::seconds(60);
/// How often, and after which time, to look for a sign-in that another instance is about to finish.
const LOOKS: u32 = 3;
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Sign-ins under way, by the hash of app and code.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<String, Flight>>>);

#[derive(Clone)]
struct Flight {
    /// Of the request that began it.
    request: Option<Repeatable>,
    outcome: Shared<BoxFuture<'static, Result<SignIn, IdentityError>>>,
}

/// A request that its client can name again.
#[derive(Clone, PartialEq, Eq)]
struct Repeatable {
    /// What is stored.
    hash: String,
    /// What only the client knows.
    secret: String,
}

impl Repeatable {
    fn new(app_id: &str, code: &str, key: &str) -> Self {
        let secret = format!("{app_id}\n{code}\n{key}");
        Self {
            hash: sha256_hex(secret.as_bytes()),
            secret,
        }
    }
}

impl Flights {
    /// The flight of `code`, begun by this call when there is none; whether it was.
    fn join(&self, code: &str, begin: impl FnOnce() -> Flight) -> (Flight, bool) {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(code) {
            return (flight.clone(), false);
        }
        let flight = begin();
        flights.insert(code.to_owned(), flight.clone());
        (flight, true)
    }

    fn end(&self, code: &str) {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        flights.remove(code);
    }
}

/// Ends a flight however its task ends.
struct Landing {
    flights: Flights,
    code: String,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights.end(&self.code);
    }
}

impl IdentityService {
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
        let (app_id, code) = self.check_code(&["input", "wechat"], code, app_id, client)?;
        let request = client
            .idempotency_key
            .map(|key| Repeatable::new(&app_id, &code, key));
        let name = sha256_hex(format!("{app_id}\n{code}").as_bytes());
        let (flight, is_ours) = self.flights.join(&name, || {
            let (this, act, request) = (self.clone(), self.act(client), request.clone());
            let landing = Landing {
                flights: self.flights.clone(),
                code: name.clone(),
            };
            Flight {
                request: request.clone(),
                outcome: go_on(async move {
                    let _landing = landing;
                    this.sign_in_by_code(app_id, code, request, act).await
                })
                .boxed()
                .shared(),
            }
        });
        let outcome = flight.outcome.await;
        let is_repeated = request.is_some() && request == flight.request;
        match outcome {
            Ok(_) if !is_ours && !is_repeated => Err(WechatError::CodeUsed.into()),
            outcome => outcome,
        }
    }

    async fn sign_in_by_code(
        self,
        app_id: String,
        code: String,
        request: Option<Repeatable>,
        act: Act,
    ) -> Result<SignIn, IdentityError> {
        if let Some(request) = &request
            && let Some(sign_in) = self.replay(request).await?
        {
            return Ok(sign_in);
        }
        match (self.wechat.exchange_code(&app_id, &code).await, &request) {
            (Ok(person), _) => self.sign_in_person(person, request, &act).await,
            (Err(WechatError::CodeUsed), Some(request)) => {
                // Perhaps by this very request at another instance, which has not stored it yet.
                for _ in 0..LOOKS {
                    tokio::time::sleep(LOOK_AGAIN).await;
                    if let Some(sign_in) = self.replay(request).await? {
                        return Ok(sign_in);
                    }
                }
                self.refuse_code(WechatError::CodeUsed, &act).await
            }
            (Err(error), _) => self.refuse_code(error, &act).await,
        }
    }

    async fn refuse_code(&self, error: WechatError, act: &Act) -> Result<SignIn, IdentityError> {
        let error = IdentityError::from(error);
        self.record_failure(&error, None, None, act).await?;
        Err(error)
    }

    async fn sign_in_person(
        &self,
        person: WechatUser,
        request: Option<Repeatable>,
        act: &Act,
    ) -> Result<SignIn, IdentityError> {
        let secret = request.as_ref().map(|request| request.secret.as_str());
        // Whose session it will be is known in the transaction only.
        let draft = self.draft_session(uuid::Uuid::nil(), act, secret)?;
        let hash = request.map(|request| request.hash);
        let mut tries = 0;
        let (user, draft, is_new_user) = loop {
            let opening = (person.clone(), draft.clone(), hash.clone(), act.clone());
            let opened = self.db.write(move |tx| {
                let (person, mut draft, hash, act) = opening.clone();
                Box::pin(async move {
                    let (user, is_new) = find_or_create_wechat_user(tx, person, &act).await?;
                    if user.is_disabled {
                        return Ok(Err(user.id));
                    }
                    draft.row.user_id = user.id;
                    insert_session(tx, draft.row.clone(), &act).await?;
                    if let Some(key_hash) = hash {
                        let row = login_replay::Model {
                            key_hash,
                            session_id: draft.row.id,
                            is_new_user: is_new,
                            created_at: act.at,
                        };
                        repository::insert_replay(tx, row).await?;
                    }
                    Ok::<_, IdentityError>(Ok((user, draft, is_new)))
                })
            });
            match opened.await {
                // The same person signed in for the first time twice at once, and the other request was first.
                Err(IdentityError::Database(error))
                    if is_unique_violation(&error) && tries == 0 =>
                {
                    tries += 1;
                }
                Ok(Err(user_id)) => {
                    let error = IdentityError::AccountDisabled;
                    self.record_failure(&error, None, Some(user_id), act)
                        .await?;
                    return Err(error);
                }
                Ok(Ok(opened)) => break opened,
                Err(error) => return Err(error),
            }
        };
        self.signed_in(user, &draft, is_new_user)
    }

    /// The sign-in that this request already made, while the client has not used its refresh token.
    async fn replay(&self, request: &Repeatable) -> Result<Option<SignIn>, IdentityError> {
        let db = self.db.read();
        let since = self.clock.now() - REPLAY;
        let Some(replay) = repository::find_replay(db, &request.hash, since).await? else {
            return Ok(None);
        };
        let Some(row) = repository::find_session(db, replay.session_id)
            .await?
            .filter(|session| session.ended_at.is_none())
        else {
            return Ok(None);
        };
        let Some(user) = repository::find_user(db, row.user_id).await? else {
            return Ok(None);
        };
        for key in self.tokens.keys().iter() {
            let token = RefreshToken::repeatable(key, row.id, &request.secret)?;
            if token.hash() == row.refresh_hash {
                let draft = Draft { row, token };
                return self.signed_in(user, &draft, replay.is_new_user).map(Some);
            }
        }
        Ok(None)
    }

    /// Lets the caller sign in by the WeChat account behind `code`, too.
    ///
    /// # Errors
    /// As [`IdentityService::login_with_wechat`]; `WechatTaken` when that account is somebody else's, or the caller has another
    /// one of the same mini-program.
    pub async fn link_wechat(
        &self,
        viewer: &Viewer,
        code: &str,
        app_id: Option<&str>,
        client: Client<'_>,
    ) -> Result<user::Model, IdentityError> {
        let (app_id, code) = self.check_code(&["input"], code, app_id, client)?;
        let (this, viewer, act) = (self.clone(), *viewer, self.act(client));
        go_on(async move {
            let person = this.wechat.exchange_code(&app_id, &code).await?;
            let linked = this
                .db
                .write(move |tx| {
                    let (person, act) = (person.clone(), act.clone());
                    Box::pin(async move { link(tx, &viewer, person, &act).await })
                })
                .await;
            match linked {
                // Somebody signed in with it just now.
                Err(IdentityError::Database(error)) if is_unique_violation(&error) => {
                    Err(IdentityError::WechatTaken)
                }
                other => other,
            }
        })
        .await
    }

    /// Takes away every WeChat account that the caller signs in with. Having none is no error.
    ///
    /// # Errors
    /// `LastLoginMethod` when nothing else would be left to sign in with.
    pub async fn unlink_wechat(
        &self,
        viewer: &Viewer,
        client: Client<'_>,
    ) -> Result<user::Model, IdentityError> {
        let (viewer, act) = (*viewer, self.act(client));
        self.db
            .write(move |tx| {
                let act = act.clone();
                Box::pin(async move {
                    let id = viewer.user_id;
                    let user = repository::find_user_for_update(tx, id)
                        .await?
                        .ok_or(IdentityError::TokenRevoked)?;
                    if repository::delete_wechat_identities(tx, id).await? == 0 {
                        return Ok(user);
                    }
                    if !can_use_password(&user) {
                        return Err(IdentityError::LastLoginMethod);
                    }
                    let action = AuditAction::WechatUnlinked;
                    audit::record(tx, &act, action, Some(id), Some(id)).await?;
                    Ok(user)
                })
            })
            .await
    }

    /// Stores the phone number behind the code of a getPhoneNumber button.
    ///
    /// # Errors
    /// `Invalid` for an empty code, what WeChat refuses.
    pub async fn bind_phone_number(
        &self,
        viewer: &Viewer,
        code: &str,
        client: Client<'_>,
    ) -> Result<user::Model, IdentityError> {
        let identities = repository::list_wechat_identities(self.db.read(), viewer.user_id).await?;
        // A button of the mini-program that the request comes from, or else of one that the caller signs in with.
        let seems = client
            .app_id
            .filter(|id| self.wechat.choose(Some(id), None).is_ok())
            .or(identities.first().map(|identity| identity.app_id.as_str()));
        let client_of_app = Client {
            app_id: seems,
            ..client
        };
        let (app_id, code) = self.check_code(&["input"], code, None, client_of_app)?;
        let openid = identities
            .into_iter()
            .find(|identity| identity.app_id == app_id)
            .map(|identity| identity.openid);
        let (this, id, act) = (self.clone(), viewer.user_id, self.act(client));
        go_on(async move {
            let number = this
                .wechat
                .phone_number(&app_id, &code, openid.as_deref())
                .await?;
            this.db
                .write(move |tx| {
                    let (number, act) = (number.clone(), act.clone());
                    Box::pin(async move {
                        let mut user = repository::find_user_for_update(tx, id)
                            .await?
                            .ok_or(IdentityError::TokenRevoked)?;
                        user.phone_number = Some(number);
                        let user = touched(user, act.at);
                        repository::update_user(tx, user.clone()).await?;
                        let action = AuditAction::PhoneBound;
                        audit::record(tx, &act, action, Some(id), Some(id)).await?;
                        Ok(user)
                    })
                })
                .await
        })
        .await
    }

    /// The mini-program that a code is for, and the code without blanks around it.
    fn check_code(
        &self,
        base: &[&str],
        code: &str,
        app_id: Option<&str>,
        client: Client<'_>,
    ) -> Result<(String, String), IdentityError> {
        let mut faults = Faults::under(base);
        let code = faults.line(&["code"], code, 1, 256);
        let app = self.wechat.choose(app_id, client.app_id);
        if app.is_err() {
            faults.add(&["appId"], Rule::Unknown);
        }
        let code = faults.check(code)?;
        match app {
            Ok(Some(app_id)) => Ok((app_id.to_owned(), code)),
            _ => {
                tracing::warn!("A WeChat code was sent, and no mini-program is configured");
                Err(WechatError::NotConfigured.into())
            }
        }
    }
}

async fn link(
    tx: &DatabaseTransaction,
    viewer: &Viewer,
    person: WechatUser,
    act: &Act,
) -> Result<user::Model, IdentityError> {
    let id = viewer.user_id;
    let user = repository::find_user_for_update(tx, id)
        .await?
        .ok_or(IdentityError::TokenRevoked)?;
    let known = repository::find_wechat_identity(tx, &person.app_id, &person.openid).await?;
    if let Some(identity) = known {
        return match identity.user_id == id {
            true => Ok(user),
            false => Err(IdentityError::WechatTaken),
        };
    }
    let others = repository::list_wechat_identities(tx, id).await?;
    if others.iter().any(|other| other.app_id == person.app_id) {
        return Err(IdentityError::WechatTaken);
    }
    let row = wechat_identity::Model {
        id: new_id(),
        user_id: id,
        app_id: person.app_id,
        openid: person.openid,
        unionid: person.unionid,
        created_at: act.at,
    };
    repository::insert_wechat_identity(tx, row).await?;
    audit::record(tx, act, AuditAction::WechatLinked, Some(id), Some(id)).await?;
    Ok(user)
}

/// Runs `work` to its end even when nobody waits for it any more.
async fn go_on<T: Send + 'static>(
    work: impl Future<Output = Result<T, IdentityError>> + Send + 'static,
) -> Result<T, IdentityError> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(outcome) => outcome,
        Err(error) => {
            let panics = count_panic();
            tracing::error!(panics, %error, "The use of a WeChat code panicked");
            Err(IdentityError::Crypto(
                "the use of a code panicked".to_owned(),
            ))
        }
    }
}
