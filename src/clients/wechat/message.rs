//! Subscribe messages: `POST /cgi-bin/message/subscribe/send`.
//!
//! The platform cannot tell a repetition from a second message, and each costs the person's consent. So the outcome says whether
//! nothing was sent for sure, and nothing is repeated here but what the platform refused for its token.

use reqwest::RequestBuilder;
use serde_json::json;

use super::call::errcode;
use super::token::{Token, is_token_fault};
use super::{WechatClient, WechatError, rid};
use crate::clients::upstream::CallError;

const PATH: &str = "/cgi-bin/message/subscribe/send";

/// A message to one person.
pub struct SubscribeMessage {
    /// Who, as the mini-program knows them.
    pub openid: String,
    /// The template.
    pub template_id: String,
    /// The page that opens.
    pub page: Option<String>,
    /// An object of `{"value": text}` by the template's keys.
    pub data: serde_json::Value,
}

/// Why a message was not sent, as far as we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The platform answered with this errcode: nothing was sent.
    #[error("WeChat refused the message with {0}")]
    Refused(i64),
    /// The platform's refusal of this server or its app; nothing was sent.
    #[error("WeChat is not configured")]
    NotConfigured,
    /// The request never reached the platform.
    #[error("WeChat cannot be reached")]
    NotSent,
    /// No answer, or one that makes no sense: it may have been sent.
    #[error("nobody knows whether the message was sent")]
    Unknown,
}

impl WechatClient {
    /// Sends a message of the mini-program, once.
    ///
    /// # Errors
    /// See [`SendError`]. Faults that only the operator can mend are logged as errors.
    pub async fn send_message(
        &self,
        app_id: &str,
        message: &SubscribeMessage,
    ) -> Result<(), SendError> {
        let app = self.app(app_id).map_err(|_| SendError::NotConfigured)?;
        let mut body = json!({
            "touser": message.openid,
            "template_id": message.template_id,
            "data": message.data,
            "miniprogram_state": self.0.message_state,
            "lang": self.0.message_language,
        });
        if let Some(page) = &message.page {
            body["page"] = page.as_str().into();
        }
        let request = |token: &Token| -> RequestBuilder { self.with_token(PATH, token, &body) };
        let mut failed: Option<Token> = None;
        loop {
            let token = self
                .in_time("stable_token", self.token(app, failed.as_ref()))
                .await
                .map_err(|error| match error {
                    WechatError::NotConfigured => SendError::NotConfigured,
                    WechatError::RateLimited {
                        retry_after_seconds: None,
                    } => SendError::Refused(45009),
                    _ => SendError::NotSent,
                })?;
            let reply = self.send(PATH, request(&token)).await;
            let reply = reply.map_err(|error| match error {
                CallError::NotSent | CallError::Paused => SendError::NotSent,
                CallError::Unknown => SendError::Unknown,
            })?;
            match errcode(&reply).ok_or(SendError::Unknown)? {
                0 => return Ok(()),
                code if is_token_fault(code) && failed.is_none() => {
                    tracing::info!(errcode = code, "WeChat asks for a new token");
                    failed = Some(token);
                }
                code => {
                    let errmsg = reply.get("errmsg").and_then(|text| text.as_str());
                    log(app_id, message, code, errmsg.and_then(rid));
                    return Err(SendError::Refused(code));
                }
            }
        }
    }
}

fn log(app_id: &str, message: &SubscribeMessage, errcode: i64, rid: Option<&str>) {
    let template = &message.template_id;
    let problem = match errcode {
        // The person's doing, or none at all.
        -1 | 40003 | 43101 | 43108 => {
            tracing::info!(errcode, rid, "WeChat did not send a message");
            return;
        }
        40037 => "the template is not the app's",
        41030 | 40165 => "the page is not in the mini-program",
        43107 => "messages of this template are banned",
        45009 | 45011 => "the quota is spent",
        45168 => "the text has forbidden words",
        47003 => "a field of the template does not take its value",
        48001 => "the app may not send messages",
        _ => "WeChat refuses it",
    };
    tracing::error!(
        app.id = app_id,
        template,
        errcode,
        rid,
        "A message cannot be sent: {problem}"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::platform::clock::SystemClock;
    use crate::platform::config::{Purpose, Settings, Sources};
    use crate::platform::http_client;

    #[tokio::test]
    async fn knows_what_was_never_sent() {
        let environment = [
            ("WEGRAPH_WECHAT__APP_ID", "wx1"),
            ("WEGRAPH_WECHAT__APP_SECRET", "one"),
            // Nobody listens there.
            ("WEGRAPH_WECHAT__BASE_URL", "http://127.0.0.1:1"),
        ];
        let sources = Sources {
            environment: environment
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .to_vec(),
            ..Sources::default()
        };
        let config = Settings::load(&sources, Purpose::Tool).check(Purpose::Tool);
        let config = config.unwrap().wechat;
        let http = http_client::build(config.timeout).unwrap();
        let client = WechatClient::new(http, &config, Arc::new(SystemClock));
        let message = SubscribeMessage {
            openid: "o1".to_owned(),
            template_id: "t1".to_owned(),
            page: None,
            data: json!({}),
        };
        let to = async |app: &str| client.send_message(app, &message).await;
        assert_eq!(to("wx1").await, Err(SendError::NotSent));
        assert_eq!(to("wx2").await, Err(SendError::NotConfigured));
    }
}
