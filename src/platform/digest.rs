//! SHA-256 as text.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// SHA-256 of `bytes` in 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A digest of what a client asked to create, to tell a repetition from another request with the same id.
///
/// # Errors
/// When `content` has no JSON form.
pub fn content_digest(content: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(sha256_hex(&serde_json::to_vec(content)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_published_vector() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
