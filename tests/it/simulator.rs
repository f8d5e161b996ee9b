//! The simulated platform keeps to the contract of the real one.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};
use wegraph::platform::clock::{Clock, ShiftedClock};
use wegraph::simulator::wechat::WechatSimulator;

use crate::harness::once;

struct Platform {
    clock: Arc<ShiftedClock>,
    wechat: WechatSimulator,
    http: reqwest::Client,
}

impl Platform {
    async fn start() -> Self {
        let clock = Arc::new(ShiftedClock::default());
        let wechat = WechatSimulator::start(&[("wx1", "s1")], clock.clone() as Arc<dyn Clock>)
            .await
            .expect("it starts");
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        Self {
            clock,
            wechat,
            http,
        }
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Value {
        let response = request.send().await.expect("an answer");
        assert_eq!(
            (
                response.status().as_u16(),
                &response.headers()["content-type"]
            ),
            (200, &"text/plain".parse().expect("a header"))
        );
        response.json().await.expect("JSON")
    }

    async fn session(&self, query: &[(&str, &str)]) -> Value {
        let url = format!("{}/sns/jscode2session", self.wechat.base_url());
        self.answer(self.http.get(url).query(query)).await
    }

    async fn token(&self, force: Value) -> (String, i64) {
        let url = format!("{}/cgi-bin/stable_token", self.wechat.base_url());
        let body = json!({"grant_type": "client_credential", "appid": "wx1", "secret": "s1", "force_refresh": force});
        let reply = self.answer(self.http.post(url).json(&body)).await;
        (
            reply["access_token"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            reply["expires_in"]
                .as_i64()
                .or(reply["errcode"].as_i64())
                .expect("a number"),
        )
    }

    async fn phone(&self, token: &str, code: &str) -> Value {
        let url = format!("{}/wxa/business/getuserphonenumber", self.wechat.base_url());
        self.answer(
            self.http
                .post(url)
                .query(&[("access_token", token)])
                .json(&json!({"code": code})),
        )
        .await
    }
}

once! {
    async fn answers_code2session_as_the_platform_does(){
        let platform = Platform::start().await;
        let good = [("appid", "wx1"), ("secret", "s1"), ("js_code", "sim-mei-1"), ("grant_type", "authorization_code")];
        let session = platform.session(&good).await;
        assert_eq!(session["openid"].as_str().map(str::len), Some(28));
        assert!(session.get("errcode").is_none() && session["session_key"].is_string());
        let used = platform.session(&good).await;
        assert_eq!(used["errcode"], 40163);
        assert!(used["errmsg"].as_str().is_some_and(|text| text.contains("rid: ")));
        for (name, value, errcode) in [
            ("appid", "wx2", 40013), ("appid", "", 41002), ("secret", "x", 40125), ("secret", "", 41004), ("js_code", "", 41008),
            ("js_code", "unknown", 40029), ("grant_type", "x", 40002), ("js_code", "sim-error-45011", 45011), ("js_code", "sim-error--1", -1),
            ("js_code", "sim-phone13800138000-1", 40029),
        ] {
            let query = good.map(|(n, v)| if n == name { (n, value) } else { (n, v) });
            assert_eq!(platform.session(&query).await["errcode"], errcode, "{name}={value}");
        }
    }

    async fn keeps_a_stable_token_until_its_last_minutes(){
        let platform = Platform::start().await;
        let (first, seconds) = platform.token(json!(false)).await;
        assert_eq!(seconds, 7200);
        assert_eq!(platform.token(json!(true)).await.0, first, "a forced one within 30 s is the same");
        platform.clock.advance(TimeDelta::seconds(6800));
        let (same, left) = platform.token(json!(false)).await;
        assert_eq!(same, first);
        assert!((380..=400).contains(&left), "{left}");
        platform.clock.advance(TimeDelta::seconds(150));
        let (second, _) = platform.token(json!(false)).await;
        assert_ne!(second, first);
        assert_eq!(platform.phone(&first, "sim-phone13800138000-1").await["errcode"], 0, "the old one still works");
        platform.clock.advance(TimeDelta::seconds(250));
        assert_eq!(platform.phone(&first, "sim-phone13800138000-2").await["errcode"], 42001);
        let (third, _) = platform.token(json!(true)).await;
        assert_ne!(third, second);
        assert_eq!(platform.phone(&second, "sim-phone13800138000-3").await["errcode"], 40001, "forced: the old one ends at once");
        assert_eq!(platform.token(json!("true")).await.1, 47001, "a boolean must be one");
    }

    async fn gives_a_phone_number_once_for_its_own_kind_of_code(){
        let platform = Platform::start().await;
        let (token, _) = platform.token(json!(false)).await;
        let reply = platform.phone(&token, "sim-phone13800138000-1").await;
        assert_eq!((&reply["phone_info"]["phoneNumber"], &reply["phone_info"]["watermark"]["appid"]), (&json!("13800138000"), &json!("wx1")));
        for code in ["sim-phone13800138000-1", "sim-mei-1", "unknown"] {
            assert_eq!(platform.phone(&token, code).await["errcode"], 40029, "{code}");
        }
        assert_eq!(platform.phone("nonsense", "sim-phone1-1").await["errcode"], 40001);
        let login = [("appid", "wx1"), ("secret", "s1"), ("js_code", "sim-mei-1"), ("grant_type", "authorization_code")];
        assert!(platform.session(&login).await["openid"].is_string(), "the wrong call did not use the code up");
    }
}
