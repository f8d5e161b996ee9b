//! Passwords: the policy, and Argon2id away from the threads that serve requests.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::identity::error::IdentityError;
use crate::platform::fault::{Faults, Rule};
use crate::platform::locale::Message;

const MIN_LENGTH: usize = 8;
const MAX_LENGTH: usize = 128;

/// Passwords that may wait to be hashed. At about 20 ms each that is a few seconds of work for one core.
const MAX_WAITING: usize = 256;

/// Words that people begin a password with, after undoing the usual substitutions, and passwords that walk along the
/// keyboard; one a line.
const COMMON: &str = include_str!("common_passwords.txt");

/// Checks `password` against the policy: 8 to 128 characters with an upper-case and a lower-case letter, a digit and a
/// special character, and not one that everybody uses.
pub(crate) fn check_policy(path: &[&str], password: &str, faults: &mut Faults) {
    let length = password.chars().count();
    if length < MIN_LENGTH {
        return faults.add(path, Rule::TooShort { min: MIN_LENGTH });
    }
    if length > MAX_LENGTH {
        return faults.add(path, Rule::TooLong { max: MAX_LENGTH });
    }
    let has = |class: fn(char) -> bool| password.chars().any(class);
    if !(has(char::is_uppercase)
        && has(char::is_lowercase)
        && has(char::is_numeric)
        && has(|c| !c.is_alphanumeric()))
    {
        let expected = Message::new(
            "须同时包含大写字母、小写字母、数字和特殊字符",
            "upper-case and lower-case letters, digits and special characters",
        );
        faults.add(path, Rule::Malformed { expected });
    } else if is_common(password) {
        let expected = Message::new("这个密码太常见", "a password that is not in common use");
        faults.add(path, Rule::Malformed { expected });
    }
}

/// Whether `password` stands on the list, or is a word of the list followed by the digits and signs that people add.
fn is_common(password: &str) -> bool {
    let lower = password.to_lowercase();
    let listed = |text: &str| COMMON.lines().any(|line| line == text);
    if listed(&lower) {
        return true;
    }
    let head = lower.trim_end_matches(|c: char| !c.is_alphabetic());
    let tail = &lower[head.len()..];
    let tail_digits: String = tail.chars().filter(char::is_ascii_digit).collect();
    is_usual_tail(&tail_digits) && (listed(head) || listed(&undo_substitutions(head)))
}

/// Up to four digits (a year, 520, 1314), a count from 1, or one digit over and over.
fn is_usual_tail(digits: &str) -> bool {
    let mut pairs = digits.chars().zip(digits.chars().skip(1));
    digits.len() <= 4 || "1234567890".starts_with(digits) || pairs.all(|(a, b)| a == b)
}

fn undo_substitutions(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '@' | '4' => 'a',
            '0' => 'o',
            '1' | '!' => 'i',
            '3' => 'e',
            '$' | '5' => 's',
            '7' => 't',
            other => other,
        })
        .collect()
}

/// Hashes and verifies passwords, a few at a time.
#[derive(Debug, Clone)]
pub(crate) struct PasswordHasher {
    gate: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// What an unknown user's password is compared with, so that it takes as long as a known user's.
    decoy: Arc<str>,
}

impl PasswordHasher {
    /// A hasher that uses at most `parallel` threads at once; each needs 19 MiB.
    pub(crate) fn new(parallel: usize) -> Result<Self, IdentityError> {
        Ok(Self {
            gate: Arc::new(Semaphore::new(parallel.max(1))),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            decoy: hash_now(&crate::platform::id::new_id().to_string())?.into(),
        })
    }

    /// The PHC string of `password`: Argon2id, 19 MiB, 2 passes, 1 lane, its own salt (OWASP's first choice).
    pub(crate) async fn hash(&self, password: String) -> Result<String, IdentityError> {
        self.run(move || hash_now(&password)).await?
    }

    /// Whether `password` is the one behind `hash`. Without a hash the work is done all the same, and the answer is no.
    pub(crate) async fn verify(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, IdentityError> {
        let is_known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.decoy.to_string());
        let matches = self
            .run(move || {
                PasswordHash::new(&hash).is_ok_and(|hash| {
                    Argon2::default()
                        .verify_password(password.as_bytes(), &hash)
                        .is_ok()
                })
            })
            .await?;
        Ok(matches && is_known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, IdentityError> {
        let _place: SemaphorePermit<'_> = self
            .waiting
            .try_acquire()
            .map_err(|_| IdentityError::Busy)?;
        let turn = Arc::clone(&self.gate)
            .acquire_owned()
            .await
            .map_err(|error| IdentityError::Crypto(error.to_string()))?;
        tokio::task::spawn_blocking(move || {
            // The permit goes with the work: a caller that gives up must not let another thread start beside it.
            let _turn = turn;
            work()
        })
        .await
        .map_err(|error| IdentityError::Crypto(error.to_string()))
    }
}

fn hash_now(password: &str) -> Result<String, IdentityError> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| IdentityError::Crypto(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_accepted(password: &str) -> bool {
        let mut faults = Faults::under(&[]);
        check_policy(&["password"], password, &mut faults);
        faults.is_empty()
    }

    #[test]
    fn asks_for_length_and_four_classes() {
        for good in ["Tr4verse-it", "Xk9#mQ2v", "Ünlü-kale7", "密码Ab1!密码密"] {
            assert!(is_accepted(good), "{good}");
        }
        for bad in [
            "Xk9#mQ2", "xk9#mq2v", "XK9#MQ2V", "Xkd#mQdv", "Xk92mQ2v", "",
        ] {
            assert!(!is_accepted(bad), "{bad}");
        }
        let long = format!("Xk9#{}", "m".repeat(124));
        assert!(is_accepted(&long));
        assert!(!is_accepted(&format!("{long}m")));
    }

    #[test]
    fn refuses_what_everybody_uses() {
        for bad in [
            "Password1!",
            "P@ssw0rd",
            "P@ssw0rd123!",
            "Passw0rd!",
            "Admin@123",
            "Qwerty123!",
            "Qwer1234!",
            "Welcome2026!",
            "Woaini1314!",
            "1qaz@WSX",
            "1qaz!QAZ",
            "Abc123!@#",
            "Iloveyou1!",
            "Aa123456!",
            "Test@1234",
            "Changeme1!",
            "Letmein!1",
            "Summer2025!",
        ] {
            assert!(!is_accepted(bad), "{bad}");
        }
        for good in [
            "Password-of-7-cranes",
            "Admiral#91",
            "Test-drive-4-Lin",
            "Correct-Horse-9",
        ] {
            assert!(is_accepted(good), "{good}");
        }
    }
}
