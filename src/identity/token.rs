//! Access tokens: JWTs (RFC 7519) of the type `at+jwt` (RFC 9068), checked as RFC 8725 asks.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use jsonwebtoken::{Header, decode_header};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::identity::error::IdentityError;
use crate::identity::keys::KeyRing;
use crate::platform::clock::Timestamp;
use crate::platform::config::AuthConfig;
use crate::platform::id::{new_id, parse_id};

/// How far the clock of another instance may run ahead of ours, in seconds.
const CLOCK_SKEW_SECONDS: i64 = 5;
/// Tokens that are remembered, and for how long.
const REMEMBERED: u64 = 50_000;
const MEMORY: Duration = Duration::from_secs(300);
/// Sets access tokens apart from any other JWT that one of our keys might sign.
const TYPE: &str = "at+jwt";

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
    keys: KeyRing,
    issuer: String,
    audience: String,
    /// Tokens that are ours, by their SHA-256.
    sound: Cache<[u8; 32], AccessToken>,
}

impl TokenSigner {
    pub(crate) fn new(keys: KeyRing, config: &AuthConfig) -> Self {
        Self {
            keys,
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            sound: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(MEMORY)
                .build(),
        }
    }

    pub(crate) fn keys(&self) -> &KeyRing {
        &self.keys
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
        let key = self.keys.signing();
        let mut header = Header::new(key.algorithm);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(key.id.clone());
        jsonwebtoken::encode(&header, &claims, &key.encoding)
            .map_err(|error| IdentityError::Crypto(error.to_string()))
    }

    /// Reads a token: type, key, signature, issuer, audience and times.
    ///
    /// # Errors
    /// [`IdentityError::TokenInvalid`] for anything but a token of ours that has merely expired.
    ///
    /// One that was found sound is remembered by its digest, because every request brings its token
    /// and reading it costs more than the rest of a small one. Whether it has expired, and its
    /// session, are looked at each time.
    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Result<AccessToken, IdentityError> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(known) = self.sound.get(&digest) {
            return Ok(known);
        }
        let token = self.read(token, now)?;
        self.sound.insert(digest, token);
        Ok(token)
    }

    fn read(&self, token: &str, now: Timestamp) -> Result<AccessToken, IdentityError> {
        let invalid = |_| IdentityError::TokenInvalid;
        let header = decode_header(token).map_err(invalid)?;
        if has_critical_extensions(token) {
            return Err(IdentityError::TokenInvalid);
        }
        let has_type = header.typ.is_some_and(|typ| typ.eq_ignore_ascii_case(TYPE));
        let key = self
            .keys
            .find(header.kid.as_deref())
            .filter(|_| has_type)
            .ok_or(IdentityError::TokenInvalid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding, &key.validation)
            .map_err(invalid)?
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

/// Whether the header asks for extensions that must be understood (RFC 7515, section 4.1.11): we know none.
fn has_critical_extensions(token: &str) -> bool {
    #[derive(Deserialize)]
    struct Critical {
        crit: Option<serde::de::IgnoredAny>,
    }
    let header = token.split('.').next().unwrap_or_default();
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    serde_json::from_slice::<Critical>(&header).is_ok_and(|header| header.crit.is_some())
}
