use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use sea_orm::ActiveValue::Set;
use serde_json::{Value, json};
use wegraph::platform::clock::Clock;

use crate::harness::{Client, SECRET, TestApp, on_each_database};

/// The claims inside a token, unchecked.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("JSON")
}

fn sign(claims: &Value, algorithm: Algorithm, secret: &str) -> String {
    let mut header = Header::new(algorithm);
    header.typ = Some("at+jwt".to_owned());
    encode(
        &header,
        claims,
        &EncodingKey::from_secret(secret.as_bytes()),
    )
    .expect("a token")
}

async fn code(app: &TestApp, token: &str) -> String {
    let reply = app
        .anonymous()
        .with_token(token)
        .ask("{ viewer { id } }")
        .await;
    assert_eq!(reply.status, 401, "{}", reply.body);
    assert!(reply.body.get("data").is_none());
    reply.code().to_owned()
}

async fn is_accepted(app: &TestApp, token: &str) -> bool {
    let client: Client = app.anonymous().with_token(token);
    client.ask("{ viewer { id } }").await.status == 200
}

on_each_database! {
    async fn holds_the_claims_that_it_must(app) {
        let mei = app.user("mei").await;
        let claims = claims(mei.token());
        for name in ["iss", "aud", "sub", "sid", "iat", "nbf", "exp", "jti"] {
            assert!(claims.get(name).is_some(), "{name}");
        }
        assert_eq!((&claims["iss"], &claims["aud"], &claims["sub"]), (&json!("wegraph"), &json!("wegraph"), &json!(mei.user_id)));
        assert_eq!(claims["exp"].as_i64(), claims["iat"].as_i64().map(|iat| iat + 900));
        assert!(is_accepted(app, &sign(&claims, Algorithm::HS256, SECRET)).await, "a token made elsewhere with the key is one of ours");
    }

    async fn every_claim_is_required_and_checked(app) {
        let (mei, lin) = (app.user("mei").await, app.user("lin").await);
        let good = claims(mei.token());
        let now = app.clock.now().seconds();
        for name in ["iss", "aud", "sub", "sid", "iat", "nbf", "exp", "jti"] {
            let mut lacking = good.clone();
            lacking.as_object_mut().expect("claims").remove(name);
            assert_eq!(code(app, &sign(&lacking, Algorithm::HS256, SECRET)).await, "UNAUTHENTICATED", "without {name}");
        }
        for (name, value) in [
            ("iss", json!("other")),
            ("aud", json!("other")),
            ("sub", json!(lin.user_id)),
            ("sub", json!("nobody")),
            ("sid", json!("none")),
            ("nbf", json!(now + 60)),
            ("iat", json!(now + 60)),
            ("exp", json!("soon")),
            ("jti", json!("")),
        ] {
            let mut wrong = good.clone();
            wrong[name] = value.clone();
            assert_eq!(code(app, &sign(&wrong, Algorithm::HS256, SECRET)).await, "UNAUTHENTICATED", "{name} = {value}");
        }
        let mut unknown = good.clone();
        unknown["sid"] = json!("01890000-0000-7000-8000-000000000000");
        assert_eq!(code(app, &sign(&unknown, Algorithm::HS256, SECRET)).await, "TOKEN_REVOKED");
    }

    async fn the_algorithm_is_pinned(app) {
        let mei = app.user("mei").await;
        let claims = claims(mei.token());
        for algorithm in [Algorithm::HS384, Algorithm::HS512] {
            assert_eq!(code(app, &sign(&claims, algorithm, SECRET)).await, "UNAUTHENTICATED");
        }
        assert_eq!(code(app, &sign(&claims, Algorithm::HS256, "another-key-another-key-another-key")).await, "UNAUTHENTICATED");
        let payload = mei.token().split('.').nth(1).expect("three parts");
        let none = BASE64_URL_SAFE_NO_PAD.encode("{\"alg\":\"none\",\"typ\":\"JWT\"}");
        for token in [format!("{none}.{payload}."), format!("{none}.{payload}"), "a.b.c".to_owned(), "x".to_owned()] {
            assert_eq!(code(app, &token).await, "UNAUTHENTICATED", "{token}");
        }
    }

    async fn a_token_whose_time_is_over_is_expired_unless_more_is_wrong(app) {
        let (mei, lin) = (app.user("mei").await, app.user("lin").await);
        lin.ask("mutation { logout { endedSessions } }").await.data();
        app.advance(TimeDelta::seconds(890));
        assert!(is_accepted(app, mei.token()).await);
        app.advance(TimeDelta::seconds(10));
        assert_eq!(code(app, mei.token()).await, "TOKEN_EXPIRED");
        assert_eq!(code(app, lin.token()).await, "TOKEN_REVOKED");
        let forged = sign(&claims(mei.token()), Algorithm::HS256, "another-key-another-key-another-key");
        assert_eq!(code(app, &forged).await, "UNAUTHENTICATED");
    }

    async fn a_disabled_user_is_out_at_once(app) {
        let mei = app.user("mei").await;
        app.change_user(&mei.user_id, |user| user.is_disabled = Set(true)).await;
        assert_eq!(code(app, mei.token()).await, "TOKEN_REVOKED");
    }

    async fn only_the_header_carries_a_token(app) {
        let mei = app.user("mei").await;
        let body = json!({"query": "{ viewer { id } }"});
        let token = mei.token();
        for name in ["access_token", "token", "authorization"] {
            let in_query = app.anonymous().post(&format!("/graphql?{name}={token}")).json(&body);
            let in_cookie = app.anonymous().post("/graphql").header("Cookie", format!("{name}={token}")).json(&body);
            for request in [in_query, in_cookie] {
                let reply = crate::harness::Reply::of(request).await;
                assert_eq!(reply.data()["viewer"], Value::Null, "{name}");
            }
        }
    }

    async fn a_header_that_is_no_bearer_token_is_refused(app) {
        for header in ["Bearer", "Bearer ", "Basic bGluOng=", "bearer x y", "Token x"] {
            let request = app.anonymous().post("/graphql").header("Authorization", header).json(&json!({"query": "{ viewer { id } }"}));
            let reply = crate::harness::Reply::of(request).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (401, "UNAUTHENTICATED"), "{header}");
            assert!(reply.headers.contains_key("www-authenticate"));
        }
    }
}
