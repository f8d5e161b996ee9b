//! Signing in by the code of `wx.login`.
//!
//! Requests with the same code at the same time share one exchange, and a client that names its request by an
//! `Idempotency-Key` gets the same session again for a minute. Without that name a used code is used: whoever found one must not
//! get a session for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use crate::clients::wechat::{WechatError, WechatUser};
use crate::entity::login_replay;
use crate::identity::account::find_or_create_wechat_user;
use crate::identity::audit::Act;
use crate::identity::error::IdentityError;
use crate::identity::refresh_token::RefreshToken;
use crate::identity::repository;
use crate::identity::service::{Client, IdentityService, go_on};
use crate::identity::sign_in::{Draft, SignIn, insert_session};
use crate::platform::address::network_of;
use crate::platform::db::is_unique_violation;
use crate::platform::digest::sha256_hex;

/// How long a sign-in may be asked for again.
const REPLAY: TimeDelta = TimeDelta::seconds(60);
/// How often, and after which time, to look for a sign-in that another instance is about to finish.
const LOOKS: u32 = 3;
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Sign-ins under way, by the hash of app and code.
#[derive(Clone, Default)]
pub(in crate::identity) struct Flights(Arc<Mutex<HashMap<String, Flight>>>);

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
        // Anybody can send invented codes: one event a minute tells of an address as much as hundreds.
        let is_new = act.address.is_none_or(|address| {
            let noted = self.noted.entry(network_of(address)).or_insert(());
            noted.is_fresh()
        });
        if is_new {
            self.record_failure(&error, None, None, act).await?;
        }
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
        let max = self.max_sessions;
        let (user, draft, is_new_user, ended) = loop {
            let opening = (person.clone(), draft.clone(), hash.clone(), act.clone());
            let opened = self.db.write(move |tx| {
                let (person, mut draft, hash, act) = opening.clone();
                Box::pin(async move {
                    let (user, is_new) = find_or_create_wechat_user(tx, person, &act).await?;
                    if user.is_disabled {
                        return Ok(Err(user.id));
                    }
                    draft.row.user_id = user.id;
                    let ended = insert_session(tx, draft.row.clone(), max, &act).await?;
                    if let Some(key_hash) = hash {
                        let row = login_replay::Model {
                            key_hash,
                            session_id: draft.row.id,
                            is_new_user: is_new,
                            created_at: act.at,
                        };
                        repository::insert_replay(tx, row).await?;
                    }
                    Ok::<_, IdentityError>(Ok((user, draft, is_new, ended)))
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
        self.sessions.end(ended.ids).await;
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
}
