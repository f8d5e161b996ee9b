//! The WeChat mini-program platform: exchanging the code of `wx.login` for the user's openid, and the code of a
//! getPhoneNumber button for the number; sending subscribe messages.
//!
//! The platform answers failures with HTTP 200 and an `errcode`, often labelled text/plain, so the body is read as JSON
//! whatever it is called. Neither secrets, codes, openids, phone numbers nor the session_key are ever logged; the session_key
//! is not even read.

mod call;
mod message;
mod token;

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use self::call::{Answer, rid};
pub use self::message::{SendError, SubscribeMessage};
use self::token::AppToken;
use crate::clients::upstream::Upstream;
use crate::platform::clock::Clock;
use crate::platform::config::{WechatApp, WechatConfig};

/// The platform's replies are a few hundred bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Who the code belongs to.
#[derive(Clone)]
pub struct WechatUser {
    /// The mini-program.
    pub app_id: String,
    /// The user within that mini-program.
    pub openid: String,
    /// The user across one company's apps, when the app is bound to an Open Platform account.
    pub unionid: Option<String>,
}

/// Why WeChat did not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WechatError {
    /// AppID or AppSecret are missing or wrong, or the platform refuses this server.
    #[error("WeChat is not configured")]
    NotConfigured,
    /// Unknown, expired, or another app's code.
    #[error("the code is not valid")]
    CodeInvalid,
    /// The code was exchanged before.
    #[error("the code was used before")]
    CodeUsed,
    /// A user the platform takes for a risk.
    #[error("WeChat blocks this user")]
    UserBlocked,
    /// A quota is spent.
    #[error("WeChat limits this app")]
    RateLimited {
        /// When to try again, if it is known.
        retry_after_seconds: Option<u64>,
    },
    /// No answer in time, or one that makes no sense.
    #[error("WeChat is not available")]
    Unavailable,
}

/// A mini-program that this server does not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownApp;

/// Calls the platform.
#[derive(Clone)]
pub struct WechatClient(Arc<Inner>);

struct Inner {
    upstream: Upstream,
    http: Client,
    base_url: Url,
    apps: Vec<App>,
    timeout: Duration,
    message_state: &'static str,
    message_language: &'static str,
    clock: Arc<dyn Clock>,
}

struct App {
    config: WechatApp,
    token: AppToken,
}

impl WechatClient {
    /// A client for the mini-programs of `config`. `http` must have been built by [`crate::platform::http_client`].
    pub fn new(http: Client, config: &WechatConfig, clock: Arc<dyn Clock>) -> Self {
        let app = |config: &WechatApp| App {
            config: config.clone(),
            token: AppToken::default(),
        };
        Self(Arc::new(Inner {
            upstream: Upstream::new("WeChat", MAX_BODY_BYTES, Arc::clone(&clock)),
            http,
            base_url: config.base_url.clone(),
            apps: config.apps.iter().map(app).collect(),
            timeout: config.timeout,
            message_state: config.message_state.name(),
            message_language: config.message_language.name(),
            clock,
        }))
    }

    /// The AppID of the mini-program that a request is about: the one it names; else the one it seems to come from; else the
    /// first. `None` without any mini-program.
    ///
    /// # Errors
    /// When it names one that is not served here.
    pub fn choose(
        &self,
        named: Option<&str>,
        seems: Option<&str>,
    ) -> Result<Option<&str>, UnknownApp> {
        let apps = &self.0.apps;
        let served = |id: &str| apps.iter().find(|app| app.config.id == id);
        let app = match named {
            _ if apps.is_empty() => None,
            Some(id) => Some(served(id).ok_or(UnknownApp)?),
            None => seems.and_then(served).or(apps.first()),
        };
        Ok(app.map(|app| app.config.id.as_str()))
    }

    fn app(&self, app_id: &str) -> Result<&App, WechatError> {
        let app = self.0.apps.iter().find(|app| app.config.id == app_id);
        app.ok_or(WechatError::NotConfigured)
    }

    /// Everything that one request of a client makes of the platform, retries included, within the time that is set.
    async fn in_time<T>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, WechatError>>,
    ) -> Result<T, WechatError> {
        tokio::time::timeout(self.0.timeout, work)
            .await
            .unwrap_or_else(|_| {
                tracing::warn!("WeChat did not finish {what} in time");
                Err(WechatError::Unavailable)
            })
    }

    /// code2Session: `GET /sns/jscode2session`.
    ///
    /// A code works once, so a call without an answer is not repeated: it may have used the code up. "Busy" (-1) is
    /// repeated twice; when the repetition says that the code was used, it was.
    ///
    /// # Errors
    /// See [`WechatError`]. Faults that only the operator can mend are logged as errors.
    pub async fn exchange_code(&self, app_id: &str, code: &str) -> Result<WechatUser, WechatError> {
        let app = &self.app(app_id)?.config;
        let path = "/sns/jscode2session";
        let exchange = self.ask(path, || {
            self.0.http.get(self.url(path)).query(&[
                ("appid", app.id.as_str()),
                ("secret", app.secret.expose_secret()),
                ("js_code", code),
                ("grant_type", "authorization_code"),
            ])
        });
        match self.in_time("code2Session", exchange).await? {
            Answer { errcode: 0, reply } => read_user(app, &reply),
            refused => Err(refused.refusal(app_id)),
        }
    }

    /// The phone number behind the code of a getPhoneNumber button, as WeChat writes it: with country code unless it is
    /// Chinese. `POST /wxa/business/getuserphonenumber`. `openid` lets WeChat check that the code is that user's.
    ///
    /// # Errors
    /// See [`WechatError`]; `CodeInvalid` for a used code too.
    pub async fn phone_number(
        &self,
        app_id: &str,
        code: &str,
        openid: Option<&str>,
    ) -> Result<String, WechatError> {
        let app = self.app(app_id)?;
        let mut body = json!({"code": code});
        if let Some(openid) = openid {
            body["openid"] = openid.into();
        }
        let answer = self
            .in_time(
                "getuserphonenumber",
                self.ask_with_token(app, "/wxa/business/getuserphonenumber", &body),
            )
            .await?;
        match answer {
            Answer { errcode: 0, reply } => read_phone_number(&app.config, &reply),
            // The code was made in another mini-program.
            Answer { errcode: 40013, .. } => Err(WechatError::CodeInvalid),
            refused => Err(refused.refusal(app_id)),
        }
    }
}

/// A text that could be stored.
fn sound<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    let text = object.get(name)?.as_str()?;
    let is_sound = (1..=128).contains(&text.len()) && !text.contains(char::is_control);
    is_sound.then_some(text)
}

fn read_user(app: &WechatApp, reply: &Value) -> Result<WechatUser, WechatError> {
    let Some(openid) = sound(reply, "openid") else {
        tracing::warn!("WeChat answered without an openid");
        return Err(WechatError::Unavailable);
    };
    Ok(WechatUser {
        app_id: app.id.clone(),
        openid: openid.to_owned(),
        unionid: sound(reply, "unionid").map(str::to_owned),
    })
}

fn read_phone_number(app: &WechatApp, reply: &Value) -> Result<String, WechatError> {
    let info = reply.get("phone_info").unwrap_or(&Value::Null);
    let appid = info.pointer("/watermark/appid").and_then(Value::as_str);
    if appid != Some(app.id.as_str()) {
        tracing::error!("WeChat answered with a phone number of another app");
        return Err(WechatError::CodeInvalid);
    }
    match sound(info, "phoneNumber").map(str::trim) {
        Some(number) if is_phone_number(number) => Ok(number.to_owned()),
        _ => {
            tracing::warn!("WeChat answered without a phone number");
            Err(WechatError::Unavailable)
        }
    }
}

/// Digits with a country code before them, perhaps; the column holds 32 characters.
fn is_phone_number(text: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b' ');
    (5..=32).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_no_openid_that_could_not_be_stored() {
        let app = WechatApp {
            id: "wx1".to_owned(),
            secret: "s".into(),
            reminder: None,
        };
        for openid in [
            json!("a\u{0}b"),
            json!(""),
            json!(7),
            json!("o".repeat(129)),
        ] {
            let user = read_user(&app, &json!({"openid": openid}));
            assert_eq!(user.err(), Some(WechatError::Unavailable));
        }
        assert!(read_user(&app, &json!({"openid": "o1"})).is_ok());
    }

    #[test]
    fn takes_a_phone_number_of_its_own_app_only() {
        let app = WechatApp {
            id: "wx1".to_owned(),
            secret: "s".into(),
            reminder: None,
        };
        let read = |number: Value, appid: &str| {
            let info = json!({"phoneNumber": number, "watermark": {"appid": appid}});
            read_phone_number(&app, &json!({"phone_info": info}))
        };
        assert_eq!(
            read(json!("13800138000"), "wx1").as_deref(),
            Ok("13800138000")
        );
        assert_eq!(
            read(json!("+44 7700900123"), "wx1").as_deref(),
            Ok("+44 7700900123")
        );
        assert_eq!(
            read(json!("13800138000"), "wx2"),
            Err(WechatError::CodeInvalid)
        );
        for number in [
            json!(13800138000_i64),
            json!("1380013<b>"),
            json!("1".repeat(33)),
        ] {
            assert_eq!(read(number, "wx1"), Err(WechatError::Unavailable));
        }
    }
}
