//! What a signing key and a database URL must be, and how a URL is shown without its password.

use reqwest::Url;
use secrecy::ExposeSecret;

use crate::platform::config::AuthConfig;

/// Fewest bytes of a signing key: 256 bits, what HS256 asks for (RFC 7518, section 3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// Keys that stand in documentation and tutorials, compared in lower case.
const KNOWN_SECRETS: [&str; 4] = [
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "django-insecure-change-this-key-before-production",
];
/// Words of placeholders, letters and digits only.
const PLACEHOLDERS: [&str; 7] = [
    "changeme",
    "changethis",
    "replaceme",
    "yoursecret",
    "your256bitsecret",
    "yoursupersecret",
    "insertsecret",
];

/// Adds a fault unless `url` names a database that this server can use.
pub(super) fn check_database(url: &str, faults: &mut Vec<String>) {
    let known = ["sqlite:", "postgres:", "postgresql:", "mysql:", "mariadb:"];
    if !known.iter().any(|scheme| url.starts_with(scheme)) {
        faults.push("database.url: must begin with sqlite:, postgres: or mysql:".to_owned());
    } else if url.contains(":memory:") || url.contains("mode=memory") {
        faults.push(
            "database.url: an SQLite database in memory is lost with its connection; use a file"
                .to_owned(),
        );
    }
}

/// Adds a fault for each key that is missing, short, published or no secret at all.
pub(super) fn check_keys(auth: &AuthConfig, faults: &mut Vec<String>) {
    let name = "auth.secret (WEGRAPH_AUTH__SECRET)";
    let secret = auth.secret.expose_secret();
    if !secret.is_empty() {
        check_secret(name, secret, faults);
    } else if auth.key_files.is_empty() {
        faults.push(format!("{name}: missing; `wegraph keygen` makes one"));
    }
    for secret in &auth.previous_secrets {
        check_secret("auth.previous_secrets", secret.expose_secret(), faults);
    }
}

fn check_secret(name: &str, secret: &str, faults: &mut Vec<String>) {
    if is_published(secret) {
        faults.push(format!(
            "{name}: is a published example; `wegraph keygen` makes one"
        ));
    } else if secret.len() < MIN_SECRET_BYTES {
        faults.push(format!(
            "{name}: has {} bytes, fewer than {MIN_SECRET_BYTES} (256 bits); `wegraph keygen` makes one",
            secret.len()
        ));
    } else if is_repetition(secret.as_bytes()) {
        faults.push(format!(
            "{name}: repeats a few characters; `wegraph keygen` makes one"
        ));
    }
}

/// Whether a secret stands in documentation, or is what such a place says to replace.
fn is_published(secret: &str) -> bool {
    let lower = secret.to_lowercase();
    let plain: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
    KNOWN_SECRETS.contains(&lower.as_str()) || PLACEHOLDERS.iter().any(|word| plain.contains(word))
}

/// Whether the bytes are one short unit over and over, as in `aaaa…` or `abcabc…`.
fn is_repetition(bytes: &[u8]) -> bool {
    (1..=8).any(|unit| {
        bytes
            .iter()
            .zip(bytes.iter().skip(unit))
            .all(|(a, b)| a == b)
    })
}

/// `url` with its passwords replaced.
pub(super) fn redact_url(url: &str) -> String {
    let Ok(mut parsed) = url.parse::<Url>() else {
        return "[redacted]".to_owned();
    };
    if url.starts_with("sqlite:") {
        return url.to_owned();
    }
    // A URL that cannot carry a password has none to hide.
    if parsed.password().is_some() && parsed.set_password(Some("redacted")).is_err() {
        return "[redacted]".to_owned();
    }
    let query: Vec<(String, String)> = parsed
        .query_pairs()
        .map(|(name, value)| match name.contains("password") {
            true => (name.into_owned(), "redacted".to_owned()),
            false => (name.into_owned(), value.into_owned()),
        })
        .collect();
    if !query.is_empty() {
        parsed.query_pairs_mut().clear().extend_pairs(query);
    }
    parsed.to_string()
}
