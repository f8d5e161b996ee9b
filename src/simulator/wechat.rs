//! The WeChat platform as far as this server uses it: code2Session, stable_token, getuserphonenumber, subscribe messages.
//!
//! Answers as the real one does: failures with HTTP 200, JSON labelled text/plain, no `errcode` on success, messages that
//! end in a changing rid. Codes work once and for five minutes.
//!
//! Codes that need not be issued: `sim-<name>-<nonce>` signs `<name>` in, once. `sim-error-<errcode>[-<nonce>]` is
//! refused with that errcode; `sim-error-timeout`, `-html`, `-500`, `-empty` and `-close` are faults of the transport;
//! `sim-busy<n>-<name>-<nonce>` is busy (-1) n times and then signs in. `sim-phone<number>-<nonce>` is a phone code.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use super::message::{self, Messages};
use crate::platform::clock::{Clock, Timestamp};

/// How long a code can be exchanged.
const CODE_LIFE: TimeDelta = TimeDelta::minutes(5);
/// How long an access token works.
const TOKEN_LIFE: TimeDelta = TimeDelta::seconds(7200);
/// In normal mode a token is replaced in its last minutes only.
const TOKEN_OVERLAP: TimeDelta = TimeDelta::minutes(5);
/// Forced replacements of a token lie at least so far apart.
const FORCE_INTERVAL: TimeDelta = TimeDelta::seconds(30);
/// Longer than any client waits.
const SILENCE: Duration = Duration::from_secs(120);

/// A running simulator. It stops with the runtime it was started on.
#[derive(Clone)]
pub struct WechatSimulator(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    clock: Arc<dyn Clock>,
    apps: Vec<App>,
    state: Mutex<Book>,
    messages: Mutex<Messages>,
}

/// A mini-program that the platform knows.
struct App {
    id: String,
    secret: String,
}

/// What the platform remembers.
#[derive(Default)]
struct Book {
    codes: HashMap<String, IssuedCode>,
    used: HashSet<String>,
    busy: HashMap<String, u32>,
    /// By AppID.
    tokens: HashMap<String, Tokens>,
    tokens_made: u64,
    exchanges: u64,
    /// People who signed in, by AppID and openid.
    people: HashSet<(String, String)>,
    has_unionids: bool,
    /// The fault that every call meets.
    outage: Option<String>,
    outages_met: u64,
    /// The AppID that phone numbers are marked with, when it is not the app's own.
    watermark: Option<String>,
}

/// The access tokens of one app.
#[derive(Default)]
struct Tokens {
    current: Option<AccessToken>,
    previous: Option<AccessToken>,
}

struct IssuedCode {
    app_id: String,
    person: String,
    issued_at: Timestamp,
}

#[derive(Clone)]
struct AccessToken {
    text: String,
    made_at: Timestamp,
    ends_at: Timestamp,
}

/// What a code was given for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CodeKind {
    /// By `wx.login`.
    Login,
    /// By a getPhoneNumber button.
    Phone,
}

impl CodeKind {
    /// The person of a phone code is `phone` and the number.
    fn of(person: &str) -> Self {
        match person.strip_prefix("phone") {
            Some(number) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
                Self::Phone
            }
            _ => Self::Login,
        }
    }
}

/// What a code that was not issued asks for.
enum Wish<'a> {
    SignIn(&'a str),
    Error(i64),
    Fault(&'a str),
    Busy(u32, &'a str),
}

impl WechatSimulator {
    /// Starts listening on a free port of loopback, for mini-programs of these AppIDs and AppSecrets.
    ///
    /// # Errors
    /// When there is no port, or no mini-program.
    pub async fn start(apps: &[(&str, &str)], clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        if apps.is_empty() {
            return Err(std::io::Error::from(std::io::ErrorKind::InvalidInput));
        }
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let this = Self(Arc::new(Inner {
            address: listener.local_addr()?,
            clock,
            apps: apps
                .iter()
                .map(|(id, secret)| App {
                    id: (*id).to_owned(),
                    secret: (*secret).to_owned(),
                })
                .collect(),
            state: Mutex::default(),
            messages: Mutex::default(),
        }));
        let router = Router::new()
            .route("/sns/jscode2session", get(code_to_session))
            .route("/cgi-bin/stable_token", post(stable_token))
            .route("/wxa/business/getuserphonenumber", post(phone_number))
            .route("/cgi-bin/message/subscribe/send", post(message::send))
            .with_state(this.clone());
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "The WeChat simulator stopped");
            }
        });
        Ok(this)
    }

    /// Where it listens.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// A code as `wx.login` would give it to `person` in the first mini-program.
    pub fn issue_code(&self, person: &str) -> String {
        self.issue_code_of(self.first_app(), person)
    }

    /// A code of a mini-program, which need not be one of ours.
    pub fn issue_code_of(&self, app_id: &str, person: &str) -> String {
        let code = format!(
            "0{}",
            BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 23]>())
        );
        let issued = IssuedCode {
            app_id: app_id.to_owned(),
            person: person.to_owned(),
            issued_at: self.0.clock.now(),
        };
        self.book().codes.insert(code.clone(), issued);
        code
    }

    /// How many exchanges have been asked for.
    pub fn exchanges(&self) -> u64 {
        self.book().exchanges
    }

    /// How many access tokens have been made.
    pub fn tokens_made(&self) -> u64 {
        self.book().tokens_made
    }

    /// The openid of `person` in the first mini-program.
    pub fn openid(&self, person: &str) -> String {
        openid(self.first_app(), person)
    }

    /// The session_key of `person` in the first mini-program.
    pub fn session_key(&self, person: &str) -> String {
        session_key(self.first_app(), person)
    }

    /// Binds the mini-programs to an Open Platform account: people have a unionid from now on.
    pub fn bind_to_open_platform(&self) {
        self.book().has_unionids = true;
    }

    /// Lets every call meet a fault (`timeout`, `500`, `html`, `close`, `empty`), or none any more.
    pub fn fail(&self, fault: Option<&str>) {
        self.book().outage = fault.map(str::to_owned);
    }

    /// Marks phone numbers as another app's from now on.
    pub fn mark_numbers_as_of(&self, app_id: &str) {
        self.book().watermark = Some(app_id.to_owned());
    }

    /// Ends the access tokens, as another program that fetches plain tokens of the same app does.
    pub fn end_tokens(&self) {
        self.book().tokens.clear();
    }

    fn first_app(&self) -> &str {
        self.0.apps.first().map_or("", |app| app.id.as_str())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A test that panicked while holding the book left it as good as it was.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The app of an appid and secret; the errcode when they are not ours.
    fn check_app(&self, app_id: Option<&str>, secret: Option<&str>) -> Result<&str, i64> {
        let (Some(id), Some(secret)) = (
            app_id.filter(|id| !id.is_empty()),
            secret.filter(|secret| !secret.is_empty()),
        ) else {
            return Err(if app_id.is_none_or(str::is_empty) {
                41002
            } else {
                41004
            });
        };
        let app = self.0.apps.iter().find(|app| app.id == id).ok_or(40013)?;
        match app.secret == secret {
            true => Ok(&app.id),
            false => Err(40125),
        }
    }

    /// Who a code belongs to. Uses it up, unless it is of the other kind: the two are not interchangeable.
    fn redeem(&self, app_id: &str, kind: CodeKind, code: &str) -> Result<String, Reply> {
        let wish = wish(code);
        let mut book = self.book();
        book.exchanges += 1;
        if book.used.contains(code) {
            return Err(Reply::Errcode(match kind {
                CodeKind::Login => 40163,
                CodeKind::Phone => 40029,
            }));
        }
        let person = match (book.codes.get(code), wish) {
            (Some(issued), _) => {
                let is_old = self.0.clock.now() - issued.issued_at > CODE_LIFE;
                if issued.app_id != app_id || is_old {
                    return Err(Reply::Errcode(40029));
                }
                issued.person.clone()
            }
            (None, Some(Wish::SignIn(person))) => person.to_owned(),
            (None, Some(Wish::Busy(times, person))) => {
                let seen = book.busy.entry(code.to_owned()).or_default();
                if *seen < times {
                    *seen += 1;
                    return Err(Reply::Errcode(-1));
                }
                person.to_owned()
            }
            (None, Some(Wish::Error(errcode))) => return Err(Reply::Errcode(errcode)),
            (None, Some(Wish::Fault(fault))) => return Err(Reply::Fault(fault.to_owned())),
            (None, None) => return Err(Reply::Errcode(40029)),
        };
        if CodeKind::of(&person) != kind {
            return Err(Reply::Errcode(40029));
        }
        book.used.insert(code.to_owned());
        Ok(person)
    }

    /// The current access token and the seconds it has left.
    ///
    /// A token is replaced in its last minutes and then works for the rest of them; a forced replacement ends it at once,
    /// and is not made more often than every 30 seconds.
    fn access_token(&self, app_id: &str, is_forced: bool) -> (String, i64) {
        let now = self.0.clock.now();
        let mut book = self.book();
        let book = &mut *book;
        let tokens = book.tokens.entry(app_id.to_owned()).or_default();
        if let Some(token) = &tokens.current {
            let is_fresh = token.ends_at - now > TOKEN_OVERLAP;
            let is_too_soon = now - token.made_at < FORCE_INTERVAL;
            if is_fresh && (!is_forced || is_too_soon) {
                return (token.text.clone(), (token.ends_at - now).num_seconds());
            }
        }
        book.tokens_made += 1;
        let random = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 48]>());
        let token = AccessToken {
            text: format!("{}_{random}", book.tokens_made),
            made_at: now,
            ends_at: now + TOKEN_LIFE,
        };
        let old = tokens.current.replace(token.clone());
        tokens.previous = old.filter(|_| !is_forced);
        (token.text, TOKEN_LIFE.num_seconds())
    }

    /// The app of an access token; the errcode for one that does not work.
    pub(super) fn check_token(&self, given: Option<&str>) -> Result<String, i64> {
        let now = self.0.clock.now();
        let book = self.book();
        let given = given.ok_or(41001)?;
        for (app_id, tokens) in &book.tokens {
            let known = [&tokens.current, &tokens.previous];
            let known = known
                .into_iter()
                .flatten()
                .find(|token| token.text == given);
            match known {
                Some(token) if token.ends_at <= now => return Err(42001),
                Some(_) => return Ok(app_id.clone()),
                None => {}
            }
        }
        Err(40001)
    }

    /// Whether the person has signed in to the mini-program.
    pub(super) fn knows(&self, app_id: &str, openid: &str) -> bool {
        let key = (app_id.to_owned(), openid.to_owned());
        self.book().people.contains(&key)
    }

    pub(super) fn messages_lock(&self) -> &Mutex<Messages> {
        &self.0.messages
    }

    /// How many calls have met the fault that every call meets.
    pub fn outages_met(&self) -> u64 {
        self.book().outages_met
    }

    pub(super) fn outage(&self) -> Option<Reply> {
        let mut book = self.book();
        let outage = book.outage.clone();
        book.outages_met += u64::from(outage.is_some());
        outage.map(Reply::Fault)
    }
}

fn wish(code: &str) -> Option<Wish<'_>> {
    let rest = code.strip_prefix("sim-")?;
    if let Some(rest) = rest.strip_prefix("error-") {
        let fault = match rest.strip_prefix('-') {
            Some(_) => "-1",
            None => rest.split('-').next()?,
        };
        return Some(match fault {
            // A status of HTTP and no errcode of the platform's.
            "500" => Wish::Fault(fault),
            _ => fault.parse().map_or(Wish::Fault(fault), Wish::Error),
        });
    }
    let (person, nonce) = rest.rsplit_once('-')?;
    if person.is_empty() || nonce.is_empty() {
        return None;
    }
    if let Some((times, person)) = person
        .strip_prefix("busy")
        .and_then(|rest| rest.split_once('-'))
        .and_then(|(times, person)| Some((times.parse().ok()?, person)))
    {
        return Some(Wish::Busy(times, person));
    }
    Some(Wish::SignIn(person))
}

pub(super) enum Reply {
    Json(Value),
    Errcode(i64),
    Fault(String),
}

impl Reply {
    fn ok() -> Response {
        let body = json!({"errcode": 0, "errmsg": "ok"});
        plain(StatusCode::OK, body.to_string())
    }

    pub(super) async fn send(self) -> Response {
        match self {
            Self::Json(body) => plain(StatusCode::OK, body.to_string()),
            Self::Errcode(0) => Self::ok(),
            Self::Errcode(errcode) => {
                let random: [u8; 12] = rand::random();
                let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
                let rid = format!("{}-{}-{}", &hex[..8], &hex[8..16], &hex[16..]);
                let text = match errcode {
                    -1 => "system error",
                    43101 => "user refuse to accept the msg",
                    47003 => "argument invalid! data is invalid",
                    40013 => "invalid appid",
                    40029 => "invalid code",
                    40125 => "invalid appsecret",
                    40163 => "code been used",
                    40226 => "code blocked",
                    45009 => "reach max api daily quota limit",
                    45011 => "api minute-quota reach limit, must slower, retry next minute",
                    _ => "simulated error",
                };
                let body = json!({"errcode": errcode, "errmsg": format!("{text}, rid: {rid}")});
                plain(StatusCode::OK, body.to_string())
            }
            Self::Fault(fault) => match fault.as_str() {
                "timeout" => {
                    tokio::time::sleep(SILENCE).await;
                    plain(StatusCode::OK, String::new())
                }
                "html" => {
                    let page = "<html><body>502 Bad Gateway</body></html>".to_owned();
                    ([(header::CONTENT_TYPE, "text/html")], page).into_response()
                }
                "500" => plain(StatusCode::INTERNAL_SERVER_ERROR, "{}".to_owned()),
                "close" => {
                    let broken = futures_util::stream::once(async {
                        Err::<String, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
                    });
                    Body::from_stream(broken).into_response()
                }
                _ => plain(StatusCode::OK, String::new()),
            },
        }
    }
}

fn plain(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain")], body).into_response()
}

/// 28 characters, different for each person and each mini-program.
pub(super) fn openid(app_id: &str, person: &str) -> String {
    let digest = Sha256::digest(format!("openid {app_id} {person}"));
    format!("o{}", &BASE64_URL_SAFE_NO_PAD.encode(digest)[..27])
}

/// 16 bytes in base64.
fn session_key(app_id: &str, person: &str) -> String {
    let digest = Sha256::digest(format!("session_key {app_id} {person}"));
    BASE64_STANDARD.encode(&digest[..16])
}

async fn code_to_session(
    State(simulator): State<WechatSimulator>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    if let Some(fault) = simulator.outage() {
        return fault.send().await;
    }
    let get = |name: &str| query.get(name).map(String::as_str);
    let reply = match (
        simulator.check_app(get("appid"), get("secret")),
        get("js_code"),
        get("grant_type"),
    ) {
        (Err(errcode), ..) => Reply::Errcode(errcode),
        (_, None | Some(""), _) => Reply::Errcode(41008),
        (.., grant) if grant != Some("authorization_code") => Reply::Errcode(40002),
        (Ok(app_id), Some(code), _) => match simulator.redeem(app_id, CodeKind::Login, code) {
            Ok(person) => {
                let known = (app_id.to_owned(), openid(app_id, &person));
                simulator.book().people.insert(known);
                let mut body = json!({
                    "openid": openid(app_id, &person),
                    "session_key": session_key(app_id, &person),
                });
                if simulator.book().has_unionids {
                    // The same in every app of the account.
                    body["unionid"] = openid("open platform", &person).into();
                }
                Reply::Json(body)
            }
            Err(reply) => reply,
        },
    };
    reply.send().await
}

async fn stable_token(State(simulator): State<WechatSimulator>, body: String) -> Response {
    if let Some(fault) = simulator.outage() {
        return fault.send().await;
    }
    let Ok(body) = serde_json::from_str::<Value>(&body) else {
        return Reply::Errcode(47001).send().await;
    };
    let get = |name: &str| body.get(name).and_then(Value::as_str);
    let force = body.get("force_refresh").unwrap_or(&Value::Bool(false));
    let reply = match (
        simulator.check_app(get("appid"), get("secret")),
        force.as_bool(),
    ) {
        (Err(errcode), _) => Reply::Errcode(errcode),
        (_, None) => Reply::Errcode(47001),
        _ if get("grant_type") != Some("client_credential") => Reply::Errcode(40002),
        (Ok(app_id), Some(is_forced)) => {
            let (token, seconds) = simulator.access_token(app_id, is_forced);
            Reply::Json(json!({"access_token": token, "expires_in": seconds}))
        }
    };
    reply.send().await
}

async fn phone_number(
    State(simulator): State<WechatSimulator>,
    Query(query): Query<HashMap<String, String>>,
    body: String,
) -> Response {
    if let Some(fault) = simulator.outage() {
        return fault.send().await;
    }
    let now = simulator.0.clock.now();
    let app_id = match simulator.check_token(query.get("access_token").map(String::as_str)) {
        Ok(app_id) => app_id,
        Err(errcode) => return Reply::Errcode(errcode).send().await,
    };
    let Ok(body) = serde_json::from_str::<Value>(&body) else {
        return Reply::Errcode(47001).send().await;
    };
    let reply = match body.get("code").and_then(Value::as_str) {
        None => Reply::Errcode(41008),
        Some(code) => match simulator.redeem(&app_id, CodeKind::Phone, code) {
            Ok(person) => {
                let number = person.trim_start_matches("phone");
                let appid = simulator.book().watermark.clone().unwrap_or(app_id);
                Reply::Json(json!({
                    "errcode": 0,
                    "errmsg": "ok",
                    "phone_info": {
                        "phoneNumber": number,
                        "purePhoneNumber": number,
                        "countryCode": "86",
                        "watermark": {"timestamp": now.seconds(), "appid": appid},
                    },
                }))
            }
            Err(reply) => reply,
        },
    };
    reply.send().await
}
