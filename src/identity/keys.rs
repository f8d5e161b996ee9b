//! The keys of tokens: one signs, all verify. Each has an id, by which an access token names the key that signed it.
//!
//! The newest key of the settings signs: the first of `auth.key_files`, or `auth.secret` where there are none. A key that is
//! taken from the settings verifies nothing any more.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyOperations, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use secrecy::ExposeSecret;
use sha2::Sha256;

use crate::identity::error::IdentityError;
use crate::platform::config::AuthConfig;

/// Bytes of a key id made from a secret, as text.
const KID_LENGTH: usize = 16;

/// One key and what it is called.
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) encoding: EncodingKey,
    pub(crate) decoding: DecodingKey,
    /// What a token must be that this key signed.
    pub(crate) validation: Validation,
    /// The public half, of keys that have one.
    public: Option<Jwk>,
    /// Another key made from this one, for refresh tokens.
    refresh: [u8; 32],
}

/// All keys of a server; the first signs.
pub(crate) struct KeyRing {
    first: Key,
    others: Vec<Key>,
}

impl KeyRing {
    /// Reads the keys of the settings. Without any, as for a command that only touches the database, a key of the moment.
    ///
    /// # Errors
    /// `Key` with the name of the file that cannot be read or holds no private key of EdDSA or ES256.
    pub(crate) fn load(config: &AuthConfig) -> Result<Self, IdentityError> {
        let mut keys = Vec::new();
        for path in &config.key_files {
            let key = read_key(path)
                .map_err(|problem| IdentityError::Key(format!("{}: {problem}", path.display())))?;
            keys.push(key);
        }
        let secrets = std::iter::once(&config.secret).chain(&config.previous_secrets);
        for secret in secrets.map(|secret| secret.expose_secret().as_bytes()) {
            if !secret.is_empty() {
                keys.push(Key::of_secret(secret)?);
            }
        }
        if keys.is_empty() {
            keys.push(Key::of_secret(&rand::random::<[u8; 32]>())?);
        }
        for key in &mut keys {
            let validation = &mut key.validation;
            validation.set_issuer(&[&config.issuer]);
            validation.set_audience(&[&config.audience]);
            validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
            // Times are compared with our own clock.
            validation.validate_exp = false;
            validation.validate_nbf = false;
        }
        let first = keys.remove(0);
        Ok(Self {
            first,
            others: keys,
        })
    }

    /// The key that signs.
    pub(crate) fn signing(&self) -> &Key {
        &self.first
    }

    /// Every key, the one that signs first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The key of this id; the one that signs when a token names none.
    pub(crate) fn find(&self, id: Option<&str>) -> Option<&Key> {
        match id {
            Some(id) => self.iter().find(|key| key.id == id),
            None => Some(&self.first),
        }
    }

    /// The public halves, for others who verify our tokens (RFC 7517). A secret has none.
    pub(crate) fn public(&self) -> JwkSet {
        JwkSet {
            keys: self.iter().filter_map(|key| key.public.clone()).collect(),
        }
    }
}

/// Whether every key of the settings can be used.
///
/// # Errors
/// As for starting a server: `Key` with the name of a file that cannot be read or holds no key.
pub fn check_keys(config: &AuthConfig) -> Result<(), IdentityError> {
    KeyRing::load(config).map(drop)
}

/// A new private key of EdDSA, in PEM (PKCS #8).
///
/// # Errors
/// When it cannot be written as PEM.
pub fn new_ed25519_key() -> Result<String, IdentityError> {
    let key = KeypairBytes {
        secret_key: rand::random(),
        // The first version of PKCS #8, which every reader knows, has no public key.
        public_key: None,
    };
    let pem = key.to_pkcs8_pem(LineEnding::LF);
    pem.map(|pem| pem.to_string())
        .map_err(|error| IdentityError::Crypto(error.to_string()))
}

/// A new private key of ES256, in PEM (PKCS #8).
///
/// # Errors
/// When it cannot be written as PEM.
pub fn new_p256_key() -> Result<String, IdentityError> {
    loop {
        // Not every number of 256 bits is a key, but nearly every one.
        if let Ok(key) = p256::SecretKey::from_slice(&rand::random::<[u8; 32]>()) {
            let pem = key.to_pkcs8_pem(LineEnding::LF);
            return pem
                .map(|pem| pem.to_string())
                .map_err(|error| IdentityError::Crypto(error.to_string()));
        }
    }
}

impl Key {
    fn of_secret(secret: &[u8]) -> Result<Self, IdentityError> {
        let mut id = BASE64_URL_SAFE_NO_PAD.encode(derive(secret, &[b"wegraph key id"])?);
        id.truncate(KID_LENGTH);
        Ok(Self {
            id,
            algorithm: Algorithm::HS256,
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation: Validation::new(Algorithm::HS256),
            public: None,
            refresh: derive(secret, &[b"wegraph refresh tokens"])?,
        })
    }

    /// Reads PKCS #8; `None` when it holds no key of the two kinds.
    fn of_pem(pem: &str) -> Option<Self> {
        let ed25519 = KeypairBytes::from_pkcs8_pem(pem).map(|key| KeypairBytes {
            public_key: None,
            ..key
        });
        let (algorithm, encoding) = match ed25519 {
            Ok(key) => {
                let der = key.to_pkcs8_der().ok()?;
                (Algorithm::EdDSA, EncodingKey::from_ed_der(der.as_bytes()))
            }
            Err(_) => {
                let key = p256::SecretKey::from_pkcs8_pem(pem).ok()?;
                let der = key.to_pkcs8_der().ok()?;
                (Algorithm::ES256, EncodingKey::from_ec_der(der.as_bytes()))
            }
        };
        let mut public = Jwk::from_encoding_key(&encoding, algorithm).ok()?;
        let id = public.thumbprint(ThumbprintHash::SHA256).ok()?;
        public.common.key_id = Some(id.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        public.common.key_operations = Some(vec![KeyOperations::Verify]);
        let refresh = derive(encoding.as_bytes(), &[b"wegraph refresh tokens"]).ok()?;
        Some(Self {
            id,
            algorithm,
            decoding: DecodingKey::from_jwk(&public).ok()?,
            validation: Validation::new(algorithm),
            encoding,
            public: Some(public),
            refresh,
        })
    }

    /// 256 bits that only a holder of the key can tell, from `parts`.
    pub(crate) fn derive(&self, parts: &[&[u8]]) -> Result<[u8; 32], IdentityError> {
        derive(&self.refresh, parts)
    }
}

fn read_key(path: &Path) -> Result<Key, String> {
    let pem = fs::read_to_string(path).map_err(|error| error.to_string())?;
    Key::of_pem(&pem).ok_or_else(|| {
        "holds no private key of EdDSA (Ed25519) or ES256 (P-256) in PEM (PKCS #8)".to_owned()
    })
}

/// HMAC-SHA256 over the parts, each after its length so that no two lists of parts are the same bytes.
fn derive(key: &[u8], parts: &[&[u8]]) -> Result<[u8; 32], IdentityError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .map_err(|error| IdentityError::Crypto(error.to_string()))?;
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    Ok(mac.finalize().into_bytes().into())
}
