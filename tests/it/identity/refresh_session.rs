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

/// The refresh token that comes next.
async fn next(app: &TestApp, token: &str) -> String {
    let reply = refresh(app, token).await;
    text(&reply.data()["refreshSession"]["refreshToken"]).to_owned()
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

    async fn a_phone_that_lost_the_reply_gets_the_same_next_token(app) {
        let mei = app.user("mei").await;
        let first = next(app, &mei.refresh_token).await;
        app.advance(TimeDelta::seconds(9));
        assert_eq!(next(app, &mei.refresh_token).await, first);
        assert_eq!(sees(&mei).await, 200);
        app.advance(TimeDelta::seconds(100));
        assert_ne!(next(app, &first).await, first, "the token that it was given twice works");
    }

    async fn the_token_before_ends_the_session_once_its_time_is_over(app) {
        let mei = app.user("mei").await;
        let first = next(app, &mei.refresh_token).await;
        app.advance(TimeDelta::seconds(11));
        assert_eq!(refresh(app, &mei.refresh_token).await.code(), "TOKEN_REVOKED");
        assert_eq!(sees(&mei).await, 401, "its access token stops working at once");
        assert_eq!(refresh(app, &first).await.code(), "TOKEN_REVOKED", "and so does the newest refresh token");
    }

    async fn an_older_token_ends_the_session_at_once(app) {
        let mei = app.user("mei").await;
        let first = next(app, &mei.refresh_token).await;
        let second = next(app, &first).await;
        assert_eq!(refresh(app, &mei.refresh_token).await.code(), "TOKEN_REVOKED");
        assert_eq!(sees(&mei).await, 401);
        assert_eq!(refresh(app, &second).await.code(), "TOKEN_REVOKED");
    }

    async fn ten_at_once_get_the_same_next_token(app) {
        let mei = app.user("mei").await;
        let tokens = futures_util::future::join_all((0..10).map(|_| next(app, &mei.refresh_token))).await;
        assert!(tokens.iter().all(|token| *token == tokens[0] && *token != mei.refresh_token));
        assert_eq!(sees(&mei).await, 200);
    }

    async fn a_token_that_was_made_up_ends_nobodys_session(app) {
        let mei = app.user("mei").await;
        let mut made_up = mei.refresh_token.clone();
        // The session's id stays, the secret does not.
        made_up.replace_range(40..44, "AAAA");
        assert_eq!(refresh(app, &made_up).await.code(), "UNAUTHENTICATED");
        assert_eq!(sees(&mei).await, 200);
        next(app, &mei.refresh_token).await;
    }

    async fn ends_after_a_week_without_use_and_after_a_month_in_all(app) {
        let mei = app.user("mei").await;
        let mut token = mei.refresh_token.clone();
        for _ in 0..4 {
            app.advance(TimeDelta::days(7) - TimeDelta::seconds(1));
            token = next(app, &token).await;
        }
        app.advance(TimeDelta::days(3));
        assert_eq!(refresh(app, &token).await.code(), "TOKEN_EXPIRED");
        let lin = app.user("lin").await;
        app.advance(TimeDelta::days(7));
        assert_eq!(refresh(app, &lin.refresh_token).await.code(), "TOKEN_EXPIRED");
    }

    async fn refuses_what_it_never_gave(app) {
        let mei = app.user("mei").await;
        for token in ["", "nonsense", "\u{0}", &"A".repeat(86), mei.token()] {
            assert_eq!(refresh(app, token).await.code(), "UNAUTHENTICATED");
        }
        app.change_user(&mei.user_id, |user| user.is_disabled = Set(true)).await;
        assert_eq!(refresh(app, &mei.refresh_token).await.code(), "ACCOUNT_DISABLED");
    }

    async fn only_hashes_are_stored(app) {
        use sea_orm::EntityTrait;
        let mei = app.user("mei").await;
        let second = next(app, &mei.refresh_token).await;
        let rows = wegraph::entity::session::Entity::find().all(app.db.read()).await.expect("rows");
        let stored = format!("{rows:?}");
        assert!(!stored.contains(&second) && !stored.contains(&mei.refresh_token));
        assert_eq!(rows[0].refresh_hash.len(), 64);
    }
}
