//! Access tokens (JWT, HS256) and refresh tokens (random, stored as SHA-256).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::identity::error::IdentityError;
use crate::platform::clock::Timestamp;
use crate::platform::config::AuthConfig;
use crate::platform::digest::sha256_hex;
use crate::platform::id::{new_id, parse_id};

/// How far the clock of another instance may run ahead of ours, in seconds.
const CLOCK_SKEW_SECONDS: i64 = 5;

/// All claims are required; a token that lacks one does not parse.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    sid: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
}

/// Whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AccessToken {
    pub(crate) user_id: Uuid,
    pub(crate) session_id: Uuid,
    /// When its time is over; it may be over already.
    pub(crate) expires_at: Timestamp,
}

/// Signs and reads access tokens.
pub(crate) struct TokenSigner {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    issuer: String,
    audience: String,
}

impl TokenSigner {
    /// The key is the UTF-8 bytes of `auth.secret`.
    pub(crate) fn new(config: &AuthConfig) -> Self {
        let secret = config.secret.expose_secret().as_bytes();
        // Pinned: whatever algorithm a token names, only this one is tried.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&[&config.audience]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // Times are compared below, with our clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
        }
    }

    /// A token for one session.
    pub(crate) fn sign(
        &self,
        user_id: Uuid,
        session_id: Uuid,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<String, IdentityError> {
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: user_id.to_string(),
            sid: session_id.to_string(),
            iat: now.seconds(),
            nbf: now.seconds(),
            exp: expires_at.seconds(),
            jti: new_id().to_string(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(|error| IdentityError::Crypto(error.to_string()))
    }

    /// Reads a token: signature, issuer, audience and times.
    ///
    /// # Errors
    /// [`IdentityError::TokenInvalid`] for anything but a token of ours that has merely expired.
    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Result<AccessToken, IdentityError> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|_| IdentityError::TokenInvalid)?
            .claims;
        let latest = (now + TimeDelta::seconds(CLOCK_SKEW_SECONDS)).seconds();
        let (Some(user_id), Some(session_id), Some(expires_at)) = (
            parse_id(&claims.sub),
            parse_id(&claims.sid),
            claims
                .exp
                .checked_mul(1000)
                .and_then(Timestamp::from_millis),
        ) else {
            return Err(IdentityError::TokenInvalid);
        };
        if claims.nbf > latest || claims.iat > latest || claims.jti.is_empty() {
            return Err(IdentityError::TokenInvalid);
        }
        Ok(AccessToken {
            user_id,
            session_id,
            expires_at,
        })
    }
}

/// A new refresh token: 256 random bits.
pub(crate) fn new_refresh_token() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// What is stored of a refresh token. It is random already, so a plain hash is enough.
pub(crate) fn hash_refresh_token(token: &str) -> String {
    sha256_hex(token.as_bytes())
}
