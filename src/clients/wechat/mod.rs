//! The WeChat mini-program platform: exchanging the code of `wx.login` for the user's openid.
//!
//! The platform answers failures with HTTP 200 and an `errcode`, often labelled text/plain, so the body is read as JSON
//! whatever it is called. Neither the secret, the code, the openid nor the session_key is ever logged; the session_key is
//! not even read.

use std::time::Duration;

use reqwest::{Client, Url};
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::platform::config::{WechatApp, WechatConfig};

/// The platform's replies are a few hundred bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Waits before the second and third try of a call that was answered "busy" (-1).
const BACKOFF_MS: [u64; 2] = [150, 600];

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

/// Why there is no WeChat user.
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

/// Calls the platform.
#[derive(Debug, Clone)]
pub struct WechatClient {
    http: Client,
    base_url: Url,
    app: Option<WechatApp>,
    timeout: Duration,
}

impl WechatClient {
    /// A client for one mini-program. `http` must have been built by [`crate::platform::http_client`].
    pub fn new(http: Client, config: &WechatConfig) -> Self {
        Self {
            http,
            base_url: config.base_url.clone(),
            app: config.app.clone(),
            timeout: config.timeout,
        }
    }

    /// Whether there is a mini-program at all.
    pub fn is_configured(&self) -> bool {
        self.app.is_some()
    }

    /// Whether codes of the mini-program `app_id` can be exchanged here.
    pub fn serves(&self, app_id: &str) -> bool {
        self.app.as_ref().is_some_and(|app| app.id == app_id)
    }

    /// code2Session: `GET /sns/jscode2session`.
    ///
    /// A code works once, so a call without an answer is not repeated: it may have used the code up. "Busy" (-1) is
    /// repeated twice; when the repetition says that the code was used, it was.
    ///
    /// # Errors
    /// See [`WechatError`]. Faults that only the operator can mend are logged as errors.
    pub async fn exchange_code(&self, code: &str) -> Result<WechatUser, WechatError> {
        let Some(app) = &self.app else {
            tracing::warn!("Sign-in by WeChat code needs wechat.app_id and wechat.app_secret");
            return Err(WechatError::NotConfigured);
        };
        // Three slow "busy" answers must not add up to more than a request here may take.
        let deadline = self.timeout + Duration::from_secs(2);
        tokio::time::timeout(deadline, self.exchange(app, code))
            .await
            .unwrap_or_else(|_| {
                tracing::warn!("WeChat did not finish code2Session in time");
                Err(WechatError::Unavailable)
            })
    }

    async fn exchange(&self, app: &WechatApp, code: &str) -> Result<WechatUser, WechatError> {
        let mut backoff = BACKOFF_MS.into_iter();
        loop {
            let reply = self.call(app, code).await?;
            let errcode = errcode(&reply).ok_or(WechatError::Unavailable)?;
            if errcode == 0 {
                return read_user(app, &reply);
            }
            if errcode == -1
                && let Some(wait) = backoff.next()
            {
                let wait = wait + rand::random_range(0..=wait / 2);
                tokio::time::sleep(Duration::from_millis(wait)).await;
                continue;
            }
            return Err(refusal(errcode, &reply));
        }
    }

    async fn call(&self, app: &WechatApp, code: &str) -> Result<Value, WechatError> {
        let mut url = self.base_url.clone();
        url.set_path(&format!(
            "{}/sns/jscode2session",
            self.base_url.path().trim_end_matches('/')
        ));
        let request = self.http.get(url).query(&[
            ("appid", app.id.as_str()),
            ("secret", app.secret.expose_secret()),
            ("js_code", code),
            ("grant_type", "authorization_code"),
        ]);
        let transport = |error: reqwest::Error| {
            // The URL carries the secret and the code.
            tracing::warn!(error = %error.without_url(), "WeChat cannot be reached");
            WechatError::Unavailable
        };
        let mut response = request.send().await.map_err(transport)?;
        if !response.status().is_success() {
            tracing::warn!(
                status = response.status().as_u16(),
                "WeChat answered with an HTTP error"
            );
            return Err(WechatError::Unavailable);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BODY_BYTES {
                tracing::warn!("WeChat answered with too large a body");
                return Err(WechatError::Unavailable);
            }
        }
        let json = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
        match serde_json::from_slice(json) {
            Ok(reply @ Value::Object(_)) => Ok(reply),
            _ => {
                tracing::warn!(
                    bytes = body.len(),
                    "WeChat answered with something that is not a JSON object"
                );
                Err(WechatError::Unavailable)
            }
        }
    }
}

/// A number, or a number in quotes; absent or null means success. `None` when it is something else.
fn errcode(reply: &Value) -> Option<i64> {
    match reply.get("errcode") {
        None | Some(Value::Null) => Some(0),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    }
}

fn read_user(app: &WechatApp, reply: &Value) -> Result<WechatUser, WechatError> {
    let text = |name: &str| {
        let text = reply.get(name).and_then(Value::as_str)?;
        let is_sound = (1..=128).contains(&text.len()) && !text.contains(char::is_control);
        is_sound.then(|| text.to_owned())
    };
    let Some(openid) = text("openid") else {
        tracing::warn!("WeChat answered without an openid");
        return Err(WechatError::Unavailable);
    };
    Ok(WechatUser {
        app_id: app.id.clone(),
        openid,
        unionid: text("unionid"),
    })
}

/// What an `errcode` of code2Session means for the caller.
fn refusal(errcode: i64, reply: &Value) -> WechatError {
    let errmsg = reply
        .get("errmsg")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let rid = rid(errmsg);
    match errcode {
        40029 => WechatError::CodeInvalid,
        40163 => WechatError::CodeUsed,
        40226 => WechatError::UserBlocked,
        45011 => WechatError::RateLimited {
            retry_after_seconds: Some(60),
        },
        45009 => {
            tracing::error!(errcode, rid, "The daily WeChat quota is spent");
            WechatError::RateLimited {
                retry_after_seconds: None,
            }
        }
        -1 => {
            tracing::warn!(errcode, rid, "WeChat is busy");
            WechatError::Unavailable
        }
        40001 | 40002 | 40013 | 40125 | 40164 | 40243 | 41002 | 41004 | 41008 | 48001 | 50002
        | 50004 | 50007 | 89501 | 89503 | 89506 | 89507 => {
            let problem = match errcode {
                40013 | 41002 => "wechat.app_id is wrong",
                40001 | 40125 | 41004 => "wechat.app_secret is wrong",
                40164 => "this server's address is not on the app's IP whitelist",
                40243 => "the AppSecret is frozen",
                _ => "WeChat refuses this app",
            };
            let address = (errcode == 40164).then(|| address(errmsg)).flatten();
            tracing::error!(
                errcode,
                rid,
                address,
                "WeChat sign-in does not work: {problem}"
            );
            WechatError::NotConfigured
        }
        _ => {
            tracing::error!(errcode, rid, "WeChat answered with an unknown error");
            WechatError::Unavailable
        }
    }
}

/// The id in `… rid: 8hex-8hex-8hex` that WeChat's support asks for. The rest of the text changes and may repeat input.
fn rid(errmsg: &str) -> Option<&str> {
    let (_, rid) = errmsg.rsplit_once("rid: ")?;
    let rid = rid.trim();
    (rid.len() == 26 && rid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')).then_some(rid)
}

/// The address that is missing on the whitelist.
fn address(errmsg: &str) -> Option<String> {
    errmsg
        .split([' ', ','])
        .find_map(|word| word.parse::<std::net::IpAddr>().ok())
        .map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_errcodes_in_all_their_forms() {
        assert_eq!(errcode(&json!({})), Some(0));
        assert_eq!(errcode(&json!({"errcode": 0})), Some(0));
        assert_eq!(errcode(&json!({"errcode": "40029"})), Some(40029));
        assert_eq!(errcode(&json!({"errcode": -1})), Some(-1));
        assert_eq!(errcode(&json!({"errcode": [1]})), None);
    }

    #[test]
    fn takes_no_openid_that_could_not_be_stored() {
        let app = WechatApp {
            id: "wx1".to_owned(),
            secret: "s".into(),
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
    fn keeps_only_the_rid_and_the_address_of_a_message() {
        let message = "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 61725984-6126f6f9-040f19c4";
        assert_eq!(rid(message), Some("61725984-6126f6f9-040f19c4"));
        assert_eq!(address(message).as_deref(), Some("203.0.113.7"));
        assert_eq!(rid("invalid code, rid: my-secret"), None);
    }
}
