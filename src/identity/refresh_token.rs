//! Refresh tokens: the session they belong to, 256 secret bits, and a mark that shows that we made them.
//!
//! The first one of a session is random; each next one is made from the one before with a key of the server, so that a phone
//! that lost a reply can be given the same token again although only hashes are stored. The mark tells an old token of ours,
//! whose return means that somebody else has it, from one that was made up to end a stranger's session.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::identity::error::IdentityError;
use crate::identity::keys::{Key, KeyRing};
use crate::platform::digest::sha256_hex;

const ID: usize = 16;
const SECRET: usize = 32;
const MARK: usize = 16;

/// A token as the client keeps it.
#[derive(Clone)]
pub(crate) struct RefreshToken([u8; ID + SECRET + MARK]);

impl RefreshToken {
    /// The first token of a session.
    pub(crate) fn new(key: &Key, session_id: Uuid) -> Result<Self, IdentityError> {
        Self::from_secret(key, session_id, rand::random())
    }

    /// The first token of a session that was opened by a request which may come again, made from what only that client knows.
    pub(crate) fn repeatable(
        key: &Key,
        session_id: Uuid,
        client_secret: &str,
    ) -> Result<Self, IdentityError> {
        let parts: [&[u8]; 3] = [b"first", session_id.as_bytes(), client_secret.as_bytes()];
        Self::from_secret(key, session_id, key.derive(&parts)?)
    }

    /// The token that replaces this one.
    pub(crate) fn next(&self, key: &Key) -> Result<Self, IdentityError> {
        let secret = key.derive(&[b"next", &self.0[..ID + SECRET]])?;
        Self::from_secret(key, self.session_id(), secret)
    }

    fn from_secret(
        key: &Key,
        session_id: Uuid,
        secret: [u8; SECRET],
    ) -> Result<Self, IdentityError> {
        let mut bytes = [0; ID + SECRET + MARK];
        bytes[..ID].copy_from_slice(session_id.as_bytes());
        bytes[ID..ID + SECRET].copy_from_slice(&secret);
        let mark = mark(key, &bytes)?;
        bytes[ID + SECRET..].copy_from_slice(&mark);
        Ok(Self(bytes))
    }

    /// Reads a token; `None` for anything of another form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// What the client keeps.
    pub(crate) fn text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What is stored. The token is random already, so a plain hash is enough.
    pub(crate) fn hash(&self) -> String {
        sha256_hex(&self.0)
    }

    /// The session that the token says it belongs to.
    pub(crate) fn session_id(&self) -> Uuid {
        let mut id = [0; ID];
        id.copy_from_slice(&self.0[..ID]);
        Uuid::from_bytes(id)
    }

    /// Whether a key that we still have made it.
    pub(crate) fn is_ours(&self, keys: &KeyRing) -> bool {
        keys.iter().any(|key| {
            // In constant time: a difference tells nothing about where it lies.
            let differences = |mark: [u8; MARK]| {
                let pairs = mark.iter().zip(&self.0[ID + SECRET..]);
                pairs.fold(0, |sum, (a, b)| sum | (a ^ b))
            };
            mark(key, &self.0).is_ok_and(|mark| differences(mark) == 0)
        })
    }
}

fn mark(key: &Key, bytes: &[u8]) -> Result<[u8; MARK], IdentityError> {
    let full = key.derive(&[b"mark", &bytes[..ID + SECRET]])?;
    let mut mark = [0; MARK];
    mark.copy_from_slice(&full[..MARK]);
    Ok(mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::config::{Purpose, Settings, Sources};
    use crate::platform::id::new_id;

    fn keys(secret: &str) -> KeyRing {
        let sources = Sources {
            flags: vec![format!("auth.secret={secret}")],
            ..Sources::default()
        };
        let config = Settings::load(&sources, Purpose::Tool).check(Purpose::Tool);
        KeyRing::load(&config.unwrap().auth).unwrap()
    }

    #[test]
    fn the_next_token_is_the_same_each_time_and_of_the_same_session() {
        let (ours, theirs) = (keys("one key"), keys("another key"));
        let session = new_id();
        let first = RefreshToken::new(ours.signing(), session).unwrap();
        let next = first.next(ours.signing()).unwrap();
        assert_eq!(next.text(), first.next(ours.signing()).unwrap().text());
        assert_ne!(next.text(), first.next(theirs.signing()).unwrap().text());
        assert_ne!(next.text(), first.text());
        assert_eq!((first.session_id(), next.session_id()), (session, session));
        let read = RefreshToken::parse(&next.text()).unwrap();
        assert_eq!(read.hash(), next.hash());
        assert!(read.is_ours(&ours) && !read.is_ours(&theirs));
    }

    #[test]
    fn a_token_that_was_made_up_is_not_ours() {
        let keys = keys("one key");
        let mut token = RefreshToken::new(keys.signing(), new_id()).unwrap();
        token.0[20] ^= 1;
        assert!(!token.is_ours(&keys));
        for text in ["", "x", &"A".repeat(85), &"A".repeat(87), &"!".repeat(86)] {
            assert!(RefreshToken::parse(text).is_none(), "{text}");
        }
        assert!(!RefreshToken::parse(&"A".repeat(86)).unwrap().is_ours(&keys));
    }
}
