//! Secrets of others that we have to keep: encrypted with ChaCha20-Poly1305 (RFC 8439) under a key that is made from a key of the
//! settings, so that whoever has the database alone has nothing.
//!
//! A sealed text names its key, and what it belongs to is part of the seal: moved to another row it does not open.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::SecretString;

use crate::identity::error::IdentityError;
use crate::identity::keys::{Key, KeyRing};

/// Encrypts `secret`, which belongs to `owner`, under the key that signs.
pub(crate) fn seal(keys: &KeyRing, owner: &[u8], secret: &str) -> Result<String, IdentityError> {
    let key = keys.signing();
    let nonce: [u8; NONCE_LEN] = rand::random();
    let mut bytes = secret.as_bytes().to_vec();
    sealing_key(key)?
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(owner),
            &mut bytes,
        )
        .map_err(|_| IdentityError::Crypto("a secret could not be sealed".to_owned()))?;
    let sealed = [nonce.as_slice(), &bytes].concat();
    Ok(format!(
        "{}.{}",
        key.id,
        BASE64_URL_SAFE_NO_PAD.encode(sealed)
    ))
}

/// Decrypts what [`seal`] made; `None` when its key is not in the settings any more, or it belongs to somebody else.
pub(crate) fn open(keys: &KeyRing, owner: &[u8], sealed: &str) -> Option<SecretString> {
    let (id, text) = sealed.split_once('.')?;
    let key = sealing_key(keys.find(Some(id))?).ok()?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let (nonce, ciphertext) = bytes.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut ciphertext = ciphertext.to_vec();
    let plain = key
        .open_in_place(nonce, Aad::from(owner), &mut ciphertext)
        .ok()?;
    Some(std::str::from_utf8(plain).ok()?.into())
}

fn sealing_key(key: &Key) -> Result<LessSafeKey, IdentityError> {
    let bytes = key.derive(&[b"wegraph sealed secrets"])?;
    let unbound = UnboundKey::new(&CHACHA20_POLY1305, &bytes)
        .map_err(|_| IdentityError::Crypto("no key to seal with".to_owned()))?;
    Ok(LessSafeKey::new(unbound))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::platform::config::{Config, Purpose, Settings, Sources};

    fn keys(secret: &str, previous: &str) -> KeyRing {
        let sources = Sources {
            flags: vec![
                format!("auth.secret={secret}"),
                format!("auth.previous_secrets={previous}"),
            ],
            ..Sources::default()
        };
        let config: Config = Settings::load(&sources, Purpose::Tool)
            .check(Purpose::Tool)
            .unwrap();
        KeyRing::load(&config.auth).unwrap()
    }

    #[test]
    fn opens_with_its_key_for_its_owner_only() {
        let old = keys("an old key of thirty-two bytes or more", "");
        let sealed = seal(&old, b"ada 1", "ghp_secret").unwrap();
        assert!(!sealed.contains("ghp_secret"));
        assert_ne!(sealed, seal(&old, b"ada 1", "ghp_secret").unwrap());
        let opened = |keys: &KeyRing, owner: &[u8], sealed: &str| {
            open(keys, owner, sealed).map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(
            opened(&old, b"ada 1", &sealed).as_deref(),
            Some("ghp_secret")
        );
        assert_eq!(opened(&old, b"bob 2", &sealed), None);
        let rotated = keys(
            "a new key of thirty-two bytes or more",
            "an old key of thirty-two bytes or more",
        );
        assert_eq!(
            opened(&rotated, b"ada 1", &sealed).as_deref(),
            Some("ghp_secret")
        );
        let other = keys("a new key of thirty-two bytes or more", "");
        assert_eq!(opened(&other, b"ada 1", &sealed), None);
        let last = if sealed.ends_with('A') { "B" } else { "A" };
        let changed = format!("{}{last}", &sealed[..sealed.len() - 1]);
        for wrong in [changed.as_str(), "", ".", "x.y", &sealed[..20]] {
            assert_eq!(opened(&old, b"ada 1", wrong), None, "{wrong}");
        }
    }
}
