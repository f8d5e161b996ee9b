//! Several keys at once, secrets and key pairs.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode_header, encode,
};
use serde_json::{Value, json};
use wegraph::identity::{new_ed25519_key, new_p256_key};

use crate::harness::{Client, Engine as Db, TestApp, once};

const OLD: &str = "an-old-secret-that-was-good-9Xw2B7nR5mZ8c";

async fn with(settings: &[(&str, &str)]) -> TestApp {
    TestApp::start_with(Db::Sqlite, settings).await
}

fn key_file(folder: &tempfile::TempDir, name: &str, pem: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, pem).expect("a file");
    path.to_str().expect("text").to_owned()
}

async fn jwks(app: &TestApp) -> Value {
    let response = app
        .anonymous()
        .get("/.well-known/jwks.json")
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        response.headers()["content-type"],
        "application/jwk-set+json"
    );
    response.json().await.expect("JSON")
}

async fn sees(client: &Client) -> u16 {
    client.ask("{ viewer { id } }").await.status.as_u16()
}

/// The claims inside a token, unchecked.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("JSON")
}

fn sign(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    encode(header, claims, key).expect("a token")
}

once! {
    async fn a_secret_has_no_public_half(){
        let app = with(&[]).await;
        assert_eq!(jwks(&app).await, json!({"keys": []}));
        let header = decode_header(app.user("mei").await.token()).expect("a header");
        assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::HS256, Some("at+jwt")));
        assert!(header.kid.is_some());
        app.stop().await;
    }

    async fn key_pairs_sign_and_publish_their_public_halves(){
        let folder = tempfile::tempdir().expect("a folder");
        let pems = [new_ed25519_key().expect("a key"), new_p256_key().expect("a key")];
        for (pem, algorithm) in pems.iter().zip([Algorithm::EdDSA, Algorithm::ES256]) {
            let file = key_file(&folder, "key.pem", pem);
            let app = with(&[("AUTH__SECRET", ""), ("AUTH__KEY_FILES", &file)]).await;
            let mei = app.user("mei").await;
            assert_eq!(sees(&mei).await, 200);
            let published = jwks(&app).await;
            assert_eq!(published["keys"][0].get("d"), None, "nothing private");
            // Another service can check the token by what is published.
            let keys: JwkSet = serde_json::from_value(published).expect("a key set");
            let header = decode_header(mei.token()).expect("a header");
            assert_eq!(header.alg, algorithm);
            let key = keys.find(header.kid.as_deref().expect("a kid")).expect("the key");
            let mut validation = Validation::new(algorithm);
            validation.set_audience(&["wegraph"]);
            let token = jsonwebtoken::decode::<Value>(mei.token(), &DecodingKey::from_jwk(key).expect("a key"), &validation);
            assert_eq!(token.expect("a good token").claims["sub"], json!(mei.user_id));
            app.stop().await;
        }
    }

    async fn the_public_half_is_no_secret_to_sign_with(){
        let folder = tempfile::tempdir().expect("a folder");
        let file = key_file(&folder, "key.pem", &new_ed25519_key().expect("a key"));
        let app = with(&[("AUTH__SECRET", ""), ("AUTH__KEY_FILES", &file)]).await;
        let mei = app.user("mei").await;
        let good = decode_header(mei.token()).expect("a header");
        let published = jwks(&app).await;
        let x = published["keys"][0]["x"].as_str().expect("a public key");
        let raw = BASE64_URL_SAFE_NO_PAD.decode(x).expect("base64");
        for secret in [x.as_bytes(), &raw, published.to_string().as_bytes()] {
            let mut header = Header::new(Algorithm::HS256);
            (header.typ, header.kid) = (good.typ.clone(), good.kid.clone());
            for kid in [good.kid.clone(), None] {
                header.kid = kid;
                let token = sign(&header, &claims(mei.token()), &EncodingKey::from_secret(secret));
                assert_eq!(sees(&app.anonymous().with_token(&token)).await, 401);
            }
        }
        app.stop().await;
    }

    async fn older_keys_verify_until_they_are_removed(){
        let folder = tempfile::tempdir().expect("a folder");
        let first = key_file(&folder, "first.pem", &new_ed25519_key().expect("a key"));
        let second = key_file(&folder, "second.pem", &new_p256_key().expect("a key"));
        let old = with(&[("AUTH__SECRET", OLD)]).await;
        let mei = old.user("mei").await;
        let good = claims(mei.token());
        let tokens = |kid: Option<String>| {
            let mut header = decode_header(mei.token()).expect("a header");
            header.kid = kid;
            sign(&header, &good, &EncodingKey::from_secret(OLD.as_bytes()))
        };
        let kid = decode_header(mei.token()).expect("a header").kid;
        // The session is of another database, so a token that verifies is one of an ended session.
        let code = async |settings: &[(&str, &str)], token: &str| {
            let app = with(settings).await;
            let code = app.anonymous().with_token(token).ask("{ viewer { id } }").await.code().to_owned();
            app.stop().await;
            code
        };
        let both = [("AUTH__PREVIOUS_SECRETS", OLD)];
        assert_eq!(code(&both, &tokens(kid.clone())).await, "TOKEN_REVOKED", "verified by the former secret");
        assert_eq!(code(&both, &tokens(None)).await, "UNAUTHENTICATED", "without a kid the newest key is meant");
        assert_eq!(code(&[], &tokens(kid.clone())).await, "UNAUTHENTICATED", "removed");
        let files = format!("{second},{first}");
        let moved = [("AUTH__KEY_FILES", files.as_str()), ("AUTH__SECRET", OLD)];
        assert_eq!(code(&moved, &tokens(kid)).await, "TOKEN_REVOKED", "key files sign, the secret still verifies");
        let app = with(&moved).await;
        assert_eq!(jwks(&app).await["keys"].as_array().map(Vec::len), Some(2));
        assert_eq!(decode_header(app.user("lin").await.token()).expect("a header").alg, Algorithm::ES256, "the first file signs");
        app.stop().await;
        old.stop().await;
    }

    async fn the_type_is_checked(){
        let app = with(&[]).await;
        let mei = app.user("mei").await;
        let good = decode_header(mei.token()).expect("a header");
        let key = EncodingKey::from_secret(crate::harness::SECRET.as_bytes());
        for typ in [Some("JWT"), Some("rt+jwt"), Some(""), None] {
            let mut header = good.clone();
            header.typ = typ.map(str::to_owned);
            let token = sign(&header, &claims(mei.token()), &key);
            assert_eq!(sees(&app.anonymous().with_token(&token)).await, 401, "{typ:?}");
        }
        let critical = json!({"alg": "HS256", "typ": "at+jwt", "kid": good.kid, "crit": ["foo"], "foo": 1}).to_string();
        let signed = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(critical), mei.token().split('.').nth(1).expect("a payload"));
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).expect("a signature");
        assert_eq!(sees(&app.anonymous().with_token(&format!("{signed}.{signature}"))).await, 401, "nobody knows foo");
        let mut header = good.clone();
        header.kid = Some("another".to_owned());
        assert_eq!(sees(&app.anonymous().with_token(&sign(&header, &claims(mei.token()), &key))).await, 401);
        assert_eq!(sees(&app.anonymous().with_token(&sign(&good, &claims(mei.token()), &key))).await, 200);
        app.stop().await;
    }
}
