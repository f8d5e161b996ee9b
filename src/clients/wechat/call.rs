//! One call to the platform: sending it, reading the answer, and what an errcode means.

use std::time::Duration;

use reqwest::{RequestBuilder, Url};
use serde_json::Value;

use super::{WechatClient, WechatError};
use crate::clients::upstream::CallError;

/// Waits before the second and third try of a call that was answered "busy" (-1).
const BACKOFF_MS: [u64; 2] = [150, 600];

/// What the platform answered.
pub(super) struct Answer {
    /// 0 is success.
    pub(super) errcode: i64,
    pub(super) reply: Value,
}

impl WechatClient {
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.0.base_url.clone();
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        url
    }

    /// Sends a request, up to twice more while the platform is busy.
    pub(super) async fn ask(
        &self,
        path: &'static str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, WechatError> {
        let mut backoff = BACKOFF_MS.into_iter();
        loop {
            let reply = self.send(path, request()).await?;
            let errcode = errcode(&reply).ok_or(WechatError::Unavailable)?;
            match (errcode, backoff.next()) {
                (-1, Some(wait)) => {
                    let wait = wait + rand::random_range(0..=wait / 2);
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                }
                _ => return Ok(Answer { errcode, reply }),
            }
        }
    }
}

impl WechatClient {
    /// Sends a request once. The platform answers with a JSON object, whatever it calls it.
    pub(super) async fn send(
        &self,
        path: &'static str,
        request: RequestBuilder,
    ) -> Result<Value, CallError> {
        let answer = self.0.upstream.call(path, request).await?;
        if !answer.status.is_success() {
            return Err(CallError::Unknown);
        }
        let json = answer
            .body
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&answer.body);
        match serde_json::from_slice(json) {
            Ok(reply @ Value::Object(_)) => Ok(reply),
            _ => {
                tracing::warn!(
                    bytes = answer.body.len(),
                    "WeChat answered with something that is not a JSON object"
                );
                Err(CallError::Unknown)
            }
        }
    }
}

impl From<CallError> for WechatError {
    fn from(_: CallError) -> Self {
        Self::Unavailable
    }
}

/// A number, or a number in quotes; absent or null means success. `None` when it is something else.
pub(super) fn errcode(reply: &Value) -> Option<i64> {
    match reply.get("errcode") {
        None | Some(Value::Null) => Some(0),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    }
}

impl Answer {
    fn errmsg(&self) -> &str {
        let errmsg = self.reply.get("errmsg").and_then(Value::as_str);
        errmsg.unwrap_or_default()
    }

    /// What an `errcode` other than 0 means for the caller.
    pub(super) fn refusal(&self, app_id: &str) -> WechatError {
        let (errcode, errmsg) = (self.errcode, self.errmsg());
        let rid = rid(errmsg);
        match errcode {
            40029 => WechatError::CodeInvalid,
            40163 => WechatError::CodeUsed,
            40226 => WechatError::UserBlocked,
            45011 => WechatError::RateLimited {
                retry_after_seconds: Some(60),
            },
            45009 => {
                tracing::error!(
                    app.id = app_id,
                    errcode,
                    rid,
                    "The daily WeChat quota is spent"
                );
                WechatError::RateLimited {
                    retry_after_seconds: None,
                }
            }
            -1 => {
                tracing::warn!(errcode, rid, "WeChat is busy");
                WechatError::Unavailable
            }
            40001 | 40002 | 40013 | 40125 | 40164 | 40243 | 41002 | 41004 | 41008 | 48001
            | 50002 | 50004 | 50007 | 89501 | 89503 | 89506 | 89507 => {
                let problem = match errcode {
                    40013 | 41002 => "the AppID is wrong",
                    40001 | 40125 | 41004 => "the AppSecret is wrong",
                    40164 => "this server's address is not on the app's IP whitelist",
                    40243 => "the AppSecret is frozen",
                    _ => "WeChat refuses this app",
                };
                let address = (errcode == 40164).then(|| address(errmsg)).flatten();
                tracing::error!(errcode, rid, address, "WeChat does not work: {problem}");
                WechatError::NotConfigured
            }
            _ => {
                tracing::error!(errcode, rid, "WeChat answered with an unknown error");
                WechatError::Unavailable
            }
        }
    }
}

/// The id in `… rid: 8hex-8hex-8hex` that WeChat's support asks for. The rest of the text changes and may repeat input.
pub(super) fn rid(errmsg: &str) -> Option<&str> {
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
    fn keeps_only_the_rid_and_the_address_of_a_message() {
        let message = "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 61725984-6126f6f9-040f19c4";
        assert_eq!(rid(message), Some("61725984-6126f6f9-040f19c4"));
        assert_eq!(address(message).as_deref(), Some("203.0.113.7"));
        assert_eq!(rid("invalid code, rid: my-secret"), None);
    }
}
