use chrono::TimeDelta;
use sea_orm::ActiveValue::Set;
use serde_json::{Value, json};

use crate::harness::{Client, Reply, TestApp, on_each_database};

async fn refresh(app: &TestApp, token: &str) -> Reply {
    app.anonymous()
        .run(
            "mutation($t: String!) { refreshSession(input: {refreshToken: $t}) {
                accessToken refreshToken refreshTokenExpiresAt isNewUser user { id email } } }",
            json!({"t": token}),
        )
        .await
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

async fn sees(client: &Client) -> u16 {
    client.ask("{ viewer { id } }").await.status.as_u16()
}

on_each_database! {
    async fn gives_new_tokens_each_time(app) {
        let mei = app.user("mei").await;
        let first = refresh(app, &mei.refresh_token).await;
        let first = &first.data()["refreshSession"];
        assert_eq!((&first["isNewUser"], &first["user"]["id"]), (&json!(false), &json!(mei.user_id)));
        assert_ne!(text(&first["refreshToken"]), mei.refresh_token);
        let second = refresh(app, text(&first["refreshToken"])).await;
        let client = app.anonymous().with_token(text(&second.data()["refreshSession"]["accessToken"]));
        assert_eq!(sees(&client).await, 200);
    }

    async fn a_used_token_is_refused_and_later_ends_the_session(app) {
        let mei = app.user("mei").await;
        let next = refresh(app, &mei.refresh_token).await;
        let next = text(&next.data()["refreshSession"]["refreshToken"]).to_owned();
        assert_eq!(refresh(app, &mei.refresh_token).await.code(), "TOKEN_REVOKED");
        assert_eq!(sees(&mei).await, 200, "a phone that lost the reply does not lose its session");
        app.advance(TimeDelta::seconds(11));
        assert_eq!(refresh(app, &mei.refresh_token).await.code(), "TOKEN_REVOKED");
        assert_eq!(refresh(app, &next).await.code(), "TOKEN_REVOKED");
        assert_eq!(sees(&mei).await, 401);
    }

    async fn of_two_at_once_one_wins(app) {
        let mei = app.user("mei").await;
        let (a, b) = tokio::join!(refresh(app, &mei.refresh_token), refresh(app, &mei.refresh_token));
        let won = [a, b].iter().filter(|reply| reply.body.get("errors").is_none()).count();
        assert_eq!(won, 1);
    }

    async fn ends_after_a_week_without_use_and_after_a_month_in_all(app) {
        let mei = app.user("mei").await;
        let mut token = mei.refresh_token.clone();
        for _ in 0..4 {
            app.advance(TimeDelta::days(7) - TimeDelta::seconds(1));
            let reply = refresh(app, &token).await;
            token = text(&reply.data()["refreshSession"]["refreshToken"]).to_owned();
        }
        app.advance(TimeDelta::days(3));
        assert_eq!(refresh(app, &token).await.code(), "TOKEN_EXPIRED");
        let lin = app.user("lin").await;
        app.advance(TimeDelta::days(7));
        assert_eq!(refresh(app, &lin.refresh_token).await.code(), "TOKEN_EXPIRED");
    }

    async fn refuses_what_it_never_gave(app) {
        let mei = app.user("mei").await;
        for token in ["", "nonsense", "\u{0}", mei.token()] {
            assert_eq!(refresh(app, token).await.code(), "UNAUTHENTICATED");
        }
        app.change_user(&mei.user_id, |user| user.is_disabled = Set(true)).await;
        assert_eq!(refresh(app, &mei.refresh_token).await.code(), "ACCOUNT_DISABLED");
    }

    async fn logout_ends_this_session_or_all(app) {
        let (a, b, c) = (app.user("mei").await, app.user("mei").await, app.user("mei").await);
        let lin = app.user("lin").await;
        let reply = a.ask("mutation { logout { endedSessions } }").await;
        assert_eq!(reply.data()["logout"]["endedSessions"], 1);
        assert_eq!((sees(&a).await, sees(&b).await), (401, 200));
        assert_eq!(refresh(app, &a.refresh_token).await.code(), "TOKEN_REVOKED");
        let reply = b.ask("mutation { logout(input: {everywhere: true}) { endedSessions } }").await;
        assert_eq!(reply.data()["logout"]["endedSessions"], 2);
        assert_eq!((sees(&b).await, sees(&c).await, sees(&lin).await), (401, 401, 200));
        let null = lin.ask("mutation { logout(input: {everywhere: null}) { endedSessions } }").await;
        assert_eq!(null.data()["logout"]["endedSessions"], 1);
    }
}
