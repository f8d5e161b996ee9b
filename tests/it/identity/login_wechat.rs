use chrono::TimeDelta;
use sea_orm::ActiveValue::Set;
use serde_json::json;

use crate::harness::{Client, Reply, TestApp, on_each_database};

async fn login(client: &Client, code: &str) -> Reply {
    client
        .run(
            "mutation($code: String!) { login(input: {wechat: {code: $code}}) { accessToken isNewUser
                user { id username hasPassword isWechatLinked } } }",
            json!({"code": code}),
        )
        .await
}

on_each_database! {
    async fn the_first_sign_in_makes_the_account(app) {
        let client = app.anonymous();
        let first = login(&client, &app.wechat.issue_code("mei")).await;
        let again = login(&client, &app.wechat.issue_code("mei")).await;
        let other = login(&client, &app.wechat.issue_code("lin")).await;
        let (first, again, other) = (&first.data()["login"], &again.data()["login"], &other.data()["login"]);
        assert_eq!((&first["isNewUser"], &again["isNewUser"]), (&json!(true), &json!(false)));
        assert_eq!(first["user"], again["user"]);
        assert_ne!(first["user"]["id"], other["user"]["id"]);
        assert_eq!(first["user"]["isWechatLinked"], true);
        assert_eq!((&first["user"]["username"], &first["user"]["hasPassword"]), (&json!(null), &json!(false)));
    }

    async fn one_person_signing_in_many_times_at_once_is_one_user(app) {
        let tries = (0..10).map(|_| {
            let (client, code) = (app.anonymous(), app.wechat.issue_code("mei"));
            tokio::spawn(async move { login(&client, &code).await.data()["login"].clone() })
        });
        let logins: Vec<_> = futures_util::future::join_all(tries).await.into_iter().map(|l| l.expect("an answer")).collect();
        assert!(logins.iter().all(|login| login["user"]["id"] == logins[0]["user"]["id"]));
        assert_eq!(logins.iter().filter(|login| login["isNewUser"] == true).count(), 1);
    }

    async fn each_refusal_of_wechat_has_its_code(app) {
        let client = app.anonymous();
        let used = app.wechat.issue_code("mei");
        login(&client, &used).await.data();
        let expired = app.wechat.issue_code("mei");
        app.advance(TimeDelta::minutes(5) + TimeDelta::seconds(1));
        let foreign = app.wechat.issue_code_of("wx0000000000000009", "mei");
        for (code, expected) in [
            (used.as_str(), "WECHAT_CODE_USED"),
            (&expired, "WECHAT_CODE_INVALID"),
            (&foreign, "WECHAT_CODE_INVALID"),
            ("never-issued", "WECHAT_CODE_INVALID"),
            ("sim-error-40226", "WECHAT_USER_BLOCKED"),
            ("sim-error-45009", "UPSTREAM_RATE_LIMITED"),
            ("sim-error-45011", "UPSTREAM_RATE_LIMITED"),
            ("sim-error-40013", "WECHAT_NOT_CONFIGURED"),
            ("sim-error-40125", "WECHAT_NOT_CONFIGURED"),
            ("sim-error-40164", "WECHAT_NOT_CONFIGURED"),
            ("sim-error-99999", "UPSTREAM_UNAVAILABLE"),
            ("sim-error-html", "UPSTREAM_UNAVAILABLE"),
            ("sim-error-empty", "UPSTREAM_UNAVAILABLE"),
            ("sim-error-500", "UPSTREAM_UNAVAILABLE"),
            ("sim-error-close", "UPSTREAM_UNAVAILABLE"),
            ("sim-error-timeout", "UPSTREAM_UNAVAILABLE"),
        ] {
            assert_eq!(login(&client, code).await.code(), expected, "{code}");
        }
        let limited = login(&client, "sim-error-45011").await;
        assert_eq!(limited.body["errors"][0]["extensions"]["retryAfterSeconds"], 60);
    }

    async fn busy_is_tried_twice_more_and_nothing_else_is(app) {
        let client = app.anonymous();
        login(&client, "sim-busy2-mei-1").await.data();
        assert_eq!(app.wechat.exchanges(), 3);
        assert_eq!(login(&client, "sim-busy3-mei-2").await.code(), "UPSTREAM_UNAVAILABLE");
        assert_eq!(app.wechat.exchanges(), 6);
        for code in ["sim-error-timeout", "sim-error-html", "sim-error-40029"] {
            let before = app.wechat.exchanges();
            login(&client, code).await.code();
            assert_eq!(app.wechat.exchanges(), before + 1, "{code} may have used the code up");
        }
    }

    async fn an_empty_code_or_another_app_never_reaches_wechat(app) {
        let client = app.anonymous();
        assert_eq!(login(&client, " ").await.faults(), ["input.wechat.code REQUIRED"]);
        let query = "mutation($app: String) { login(input: {wechat: {code: \"sim-mei-1\", appId: $app}}) { isNewUser } }";
        let other = client.run(query, json!({"app": "wx0000000000000009"})).await;
        assert_eq!(other.faults(), ["input.wechat.appId UNKNOWN"]);
        assert_eq!(app.wechat.exchanges(), 0);
        client.run(query, json!({"app": "wx1234567890abcdef"})).await.data();
    }

    async fn a_disabled_user_is_refused(app) {
        let mei = app.user("mei").await;
        app.change_user(&mei.user_id, |user| user.is_disabled = Set(true)).await;
        assert_eq!(login(&app.anonymous(), "sim-mei-again").await.code(), "ACCOUNT_DISABLED");
    }

    async fn what_wechat_says_of_a_person_is_in_no_reply(app) {
        let mei = app.user("mei").await;
        let (openid, key) = (app.wechat.openid("mei"), app.wechat.session_key("mei"));
        let seen = mei.ask("{ viewer { id username displayName avatarUrl email phoneNumber isWechatLinked } }").await.body.to_string();
        let login = login(&app.anonymous(), "sim-mei-more").await.body.to_string();
        for text in [seen, login, app.anonymous().get("/schema.graphql").send().await.expect("an answer").text().await.expect("a body")] {
            assert!(!text.contains(&openid) && !text.contains(&key) && !text.contains("openid"), "{text}");
        }
    }

    async fn without_app_id_sign_in_by_code_is_not_configured(app) {
        let other = TestApp::start_with(app.engine, &[("WECHAT__APP_ID", ""), ("WECHAT__APP_SECRET", "")]).await;
        assert_eq!(login(&other.anonymous(), "sim-mei-1").await.code(), "WECHAT_NOT_CONFIGURED");
        let named = other.anonymous().ask("mutation { login(input: {wechat: {code: \"x\", appId: \"wx1\"}}) { isNewUser } }").await;
        assert_eq!(named.code(), "WECHAT_NOT_CONFIGURED");
        other.stop().await;
    }
}
