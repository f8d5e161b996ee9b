//! The token of the application, which some calls need: `POST /cgi-bin/stable_token`.
//!
//! In normal mode the platform gives every instance the same token until its last five minutes, so each keeps its own copy and
//! none ends another's.

use chrono::TimeDelta;
use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::call::Answer;
use super::{App, WechatClient, WechatError, rid};
use crate::platform::clock::Timestamp;
use crate::platform::request;

const PATH: &str = "/cgi-bin/stable_token";
/// How long before its end a token is replaced, in seconds.
const EARLY: i64 = 300;

/// The token that is used now. Whoever needs a new one fetches it under the lock; the others wait for that one.
#[derive(Default)]
pub(super) struct AppToken(Mutex<Option<Token>>);

#[derive(Clone)]
pub(super) struct Token {
    text: SecretString,
    replace_at: Timestamp,
}

impl Token {
    fn is(&self, other: &Self) -> bool {
        self.text.expose_secret() == other.text.expose_secret()
    }
}

impl WechatClient {
    /// Calls `path` with the app's token. When the platform does not take the token, once more with a new one.
    pub(super) async fn ask_with_token(
        &self,
        app: &App,
        path: &'static str,
        body: &Value,
    ) -> Result<Answer, WechatError> {
        let request = |token: &Token| self.with_token(path, token, body);
        let token = self.token(app, None).await?;
        let answer = self.ask(path, || request(&token)).await?;
        if !is_token_fault(answer.errcode) {
            return Ok(answer);
        }
        tracing::info!(
            errcode = answer.errcode,
            rid = answer.rid(),
            "WeChat asks for a new token"
        );
        let token = self.token(app, Some(&token)).await?;
        let answer = self.ask(path, || request(&token)).await?;
        if is_token_fault(answer.errcode) {
            tracing::error!(
                errcode = answer.errcode,
                rid = answer.rid(),
                "WeChat does not take its own token"
            );
            return Err(WechatError::Unavailable);
        }
        Ok(answer)
    }

    pub(super) fn with_token(&self, path: &str, token: &Token, body: &Value) -> RequestBuilder {
        let query = [("access_token", token.text.expose_secret())];
        self.0.http.post(self.url(path)).query(&query).json(body)
    }

    /// The token, which is not to be `failed`.
    pub(super) async fn token(
        &self,
        app: &App,
        failed: Option<&Token>,
    ) -> Result<Token, WechatError> {
        let now = self.0.clock.now();
        // Whoever holds it waits for WeChat.
        let mut current = request::waiting(app.token.0.lock()).await;
        if let Some(token) = &*current
            && token.replace_at > now
            && !failed.is_some_and(|failed| failed.is(token))
        {
            return Ok(token.clone());
        }
        let body = json!({
            "grant_type": "client_credential",
            "appid": app.config.id,
            "secret": app.config.secret.expose_secret(),
        });
        let answer = self
            .ask(PATH, || self.0.http.post(self.url(PATH)).json(&body))
            .await?;
        if answer.errcode != 0 {
            return Err(answer.refusal(&app.config.id));
        }
        let text = answer.reply.get("access_token").and_then(Value::as_str);
        let seconds = answer.reply.get("expires_in").and_then(Value::as_i64);
        let (Some(text), Some(seconds @ 1..=86_400)) = (text, seconds) else {
            tracing::warn!("WeChat answered without an access token");
            return Err(WechatError::Unavailable);
        };
        let token = Token {
            text: text.into(),
            replace_at: now + TimeDelta::seconds(seconds - EARLY.min(seconds / 2)),
        };
        *current = Some(token.clone());
        Ok(token)
    }
}

impl Answer {
    fn rid(&self) -> Option<&str> {
        let errmsg = self.reply.get("errmsg").and_then(Value::as_str)?;
        rid(errmsg)
    }
}

/// Invalid or not the newest, malformed, expired.
pub(super) fn is_token_fault(errcode: i64) -> bool {
    matches!(errcode, 40001 | 40014 | 42001)
}
