use serde_json::{Value, json};

use crate::harness::{Client, PASSWORD, Reply, TestApp, on_each_database};

const NEW: &str = "Another-Way-2-Go";

async fn change(client: &Client, current: Value, new: &str) -> Reply {
    client
        .run(
            "mutation($input: ChangePasswordInput!) { changePassword(input: $input) { endedSessions user { id hasPassword } } }",
            json!({"input": {"currentPassword": current, "newPassword": new}}),
        )
        .await
}

async fn login(app: &TestApp, name: &str, password: &str) -> Reply {
    app.anonymous()
        .run(
            "mutation($u: String!, $p: String!) { login(input: {password: {username: $u, password: $p}}) {
                accessToken refreshToken user { id } } }",
            json!({"u": name, "p": password}),
        )
        .await
}

async fn sees(client: &Client) -> u16 {
    client.ask("{ viewer { id } }").await.status.as_u16()
}

on_each_database! {
    async fn ends_the_other_sessions(app) {
        let mei = app.registered("mei").await;
        let other = app.anonymous().signed_in(&login(app, "mei", PASSWORD).await.data()["login"]);
        let lin = app.registered("lin").await;
        let reply = change(&mei, json!(PASSWORD), NEW).await;
        assert_eq!(reply.data()["changePassword"]["endedSessions"], 1);
        assert_eq!((sees(&mei).await, sees(&other).await, sees(&lin).await), (200, 401, 200));
        assert_eq!(login(app, "mei", PASSWORD).await.code(), "INVALID_CREDENTIALS");
        login(app, "mei", NEW).await.data();
    }

    async fn needs_the_current_password(app) {
        let mei = app.registered("mei").await;
        assert_eq!(change(&mei, json!("Wrong-Pa5sword"), NEW).await.code(), "INVALID_CREDENTIALS");
        let missing = change(&mei, Value::Null, NEW).await;
        assert_eq!((missing.code(), missing.faults()), ("BAD_USER_INPUT", vec!["input.currentPassword REQUIRED".to_owned()]));
        login(app, "mei", PASSWORD).await.data();
    }

    async fn holds_the_new_one_to_the_policy(app) {
        let mei = app.registered("mei").await;
        for (new, fault) in [("Sh0rt!", "TOO_SHORT"), ("alllowercase1!", "MALFORMED"), ("Passw0rd!", "MALFORMED")] {
            let reply = change(&mei, json!(PASSWORD), new).await;
            assert_eq!((reply.code(), reply.faults()), ("WEAK_PASSWORD", vec![format!("input.newPassword {fault}")]));
        }
        let anonymous = change(&app.anonymous(), json!(PASSWORD), NEW).await;
        assert_eq!(anonymous.code(), "UNAUTHENTICATED");
    }

    async fn gives_a_wechat_account_its_first_password(app) {
        let mei = app.user("mei").await;
        let reply = change(&mei, Value::Null, NEW).await;
        assert_eq!(reply.data()["changePassword"]["user"]["hasPassword"], true);
        assert_eq!(change(&mei, Value::Null, PASSWORD).await.code(), "BAD_USER_INPUT", "now there is one");
    }

    async fn of_two_at_once_one_is_refused(app) {
        let mei = app.registered("mei").await;
        let (a, b) = tokio::join!(change(&mei, json!(PASSWORD), NEW), change(&mei, json!(PASSWORD), "Third-Way-3-Go"));
        let done = [&a, &b].iter().filter(|reply| reply.body.get("errors").is_none()).count();
        assert!(done >= 1);
        let works = [login(app, "mei", NEW).await, login(app, "mei", "Third-Way-3-Go").await];
        assert_eq!(works.iter().filter(|reply| reply.body.get("errors").is_none()).count(), 1);
    }

    async fn guessing_the_current_one_is_slowed_down(app) {
        let app = &TestApp::start_with(app.engine, &[("RATE_LIMIT__ENABLED", "true")]).await;
        let mei = app.registered("mei").await;
        for _ in 0..5 {
            assert_eq!(change(&mei, json!("Wrong-Pa5sword"), NEW).await.code(), "INVALID_CREDENTIALS");
        }
        assert_eq!(change(&mei, json!(PASSWORD), NEW).await.code(), "RATE_LIMITED");
        assert_eq!(login(app, "mei", PASSWORD).await.code(), "RATE_LIMITED", "one count for both ways to guess");
    }
}
