use chrono::TimeDelta;
use serde_json::json;

use crate::harness::{
    APP_ID, Client, OTHER_APP_ID, OTHER_APP_SECRET, Reply, TestApp, on_each_database,
};

const BIND: &str =
    "mutation($code: String!) { bindPhoneNumber(input: {code: $code}) { user { phoneNumber } } }";

async fn bind(client: &Client, code: &str) -> Reply {
    client.run(BIND, json!({"code": code})).await
}

on_each_database! {
    async fn is_stored_and_shown_to_its_user_and_administrators(app) {
        let (mei, admin) = (app.user("mei").await, app.admin("boss").await);
        let reply = bind(&mei, "sim-phone13800138000-1").await;
        assert_eq!(reply.data()["bindPhoneNumber"]["user"]["phoneNumber"], "13800138000");
        let seen = admin.run("query($id: ID!) { user(id: $id) { phoneNumber } }", json!({"id": mei.user_id})).await;
        assert_eq!(seen.data()["user"]["phoneNumber"], "13800138000");
        bind(&mei, "sim-phone13900139000-1").await.data();
        assert_eq!(mei.ask("{ viewer { phoneNumber } }").await.data()["viewer"]["phoneNumber"], "13900139000");
    }

    async fn each_refusal_of_wechat_has_its_code(app) {
        let mei = app.user("mei").await;
        bind(&mei, "sim-phone13800138000-1").await.data();
        for (code, expected) in [
            ("sim-phone13800138000-1", "WECHAT_CODE_INVALID"),
            ("sim-mei-99", "WECHAT_CODE_INVALID"),
            ("sim-error-40013", "WECHAT_CODE_INVALID"),
            ("sim-error-45011", "UPSTREAM_RATE_LIMITED"),
            ("sim-error-40001", "UPSTREAM_UNAVAILABLE"),
            ("sim-error-html", "UPSTREAM_UNAVAILABLE"),
            ("sim-error-timeout", "UPSTREAM_UNAVAILABLE"),
        ] {
            assert_eq!(bind(&mei, code).await.code(), expected, "{code}");
        }
        assert_eq!(bind(&mei, "").await.faults(), ["input.code REQUIRED"]);
        assert_eq!(bind(&app.anonymous(), "sim-phone13800138000-2").await.code(), "UNAUTHENTICATED");
        bind(&mei, "sim-busy2-phone13700137000-1").await.data();
    }

    async fn a_number_of_another_app_is_refused(app) {
        let mei = app.user("mei").await;
        app.wechat.mark_numbers_as_of("wx0000000000000009");
        assert_eq!(bind(&mei, "sim-phone13800138000-1").await.code(), "WECHAT_CODE_INVALID");
        assert_eq!(mei.ask("{ viewer { phoneNumber } }").await.data()["viewer"]["phoneNumber"], json!(null));
    }

    async fn one_token_serves_many_and_is_replaced_early(app) {
        let mei = app.user("mei").await;
        let codes: Vec<String> = (0..10).map(|n| format!("sim-phone13800138000-{n}")).collect();
        for reply in futures_util::future::join_all(codes.iter().map(|code| bind(&mei, code))).await {
            reply.data();
        }
        assert_eq!(app.wechat.tokens_made(), 1, "ten at once wait for one");
        app.advance(TimeDelta::seconds(6000));
        let mei = app.user("mei").await;
        bind(&mei, "sim-phone13800138000-x").await.data();
        assert_eq!(app.wechat.tokens_made(), 1);
        app.advance(TimeDelta::seconds(900));
        let mei = app.user("mei").await;
        bind(&mei, "sim-phone13800138000-y").await.data();
        assert_eq!(app.wechat.tokens_made(), 2, "in its last five minutes it is replaced");
    }

    async fn a_token_that_was_ended_elsewhere_is_replaced_once(app) {
        let mei = app.user("mei").await;
        bind(&mei, "sim-phone13800138000-1").await.data();
        app.wechat.end_tokens();
        bind(&mei, "sim-phone13800138000-2").await.data();
        assert_eq!(app.wechat.tokens_made(), 2);
        let before = app.wechat.exchanges();
        assert_eq!(bind(&mei, "sim-error-42001").await.code(), "UPSTREAM_UNAVAILABLE");
        assert_eq!(app.wechat.exchanges(), before + 2, "never more than one retry");
    }

    async fn is_asked_of_the_mini_program_that_the_request_comes_from(app) {
        let settings = [("WECHAT__APP__0__ID", OTHER_APP_ID), ("WECHAT__APP__0__SECRET", OTHER_APP_SECRET)];
        let app = TestApp::start_with(app.engine, &settings).await;
        let mei = app.user("mei").await;
        let referer = |id: &str| format!("https://servicewechat.com/{id}/12/page-frame.html");
        for (from, code_of, is_right) in [(OTHER_APP_ID, OTHER_APP_ID, true), (APP_ID, OTHER_APP_ID, false), (APP_ID, APP_ID, true)] {
            let code = app.wechat.issue_code_of(code_of, "phone13800138000");
            let reply = mei.run_with(("Referer", &referer(from)), BIND, json!({"code": code})).await;
            assert_eq!(reply.body.get("errors").is_none(), is_right, "{from} {code_of}");
        }
        app.stop().await;
    }
}
