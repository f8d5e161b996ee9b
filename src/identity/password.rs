//! Passwords: the policy, and Argon2id away from the threads that serve requests.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::identity::error::IdentityError;
use crate::platform::config::{CharacterClass, PasswordConfig};
use crate::platform::fault::{Faults, Rule};
use crate::platform::locale::Message;
use crate::platform::request;

/// Passwords that may wait to be hashed. At about 20 ms each that is a few seconds of work for one core.
const MAX_WAITING: usize = 256;

/// Words that people begin a password with, after undoing the usual substitutions, and passwords that walk along the
/// keyboard; one a line.
const COMMON: &str = include_str!("common_passwords.txt");

/// What a new password must be.
pub(crate) struct Policy {
    min_length: usize,
    max_length: usize,
    required: Vec<CharacterClass>,
    refuse_common: bool,
}

impl Policy {
    pub(crate) fn new(config: &PasswordConfig) -> Self {
        Self {
            min_length: config.min_length,
            max_length: config.max_length,
            required: config.required.clone(),
            refuse_common: config.refuse_common,
        }
    }

    /// Checks the password at `path`: its length, the kinds of characters, and that it is not one that everybody uses.
    ///
    /// # Errors
    /// `WeakPassword` with the first rule that it breaks.
    pub(crate) fn check(&self, path: &[&str], password: &str) -> Result<(), IdentityError> {
        let Some(rule) = self.broken_rule(password) else {
            return Ok(());
        };
        let mut faults = Faults::under(path);
        faults.add(&[], rule);
        Err(IdentityError::WeakPassword(faults.into_list()))
    }

    fn broken_rule(&self, password: &str) -> Option<Rule> {
        let length = password.chars().count();
        let lacks = |class: &CharacterClass| {
            !password.chars().any(|c| match class {
                CharacterClass::Upper => c.is_uppercase(),
                CharacterClass::Lower => c.is_lowercase(),
                CharacterClass::Digit => c.is_numeric(),
                CharacterClass::Special => !c.is_alphanumeric(),
            })
        };
        if length < self.min_length {
            Some(Rule::TooShort {
                min: self.min_length,
            })
        } else if length > self.max_length {
            Some(Rule::TooLong {
                max: self.max_length,
            })
        } else if self.required.iter().any(lacks) {
            Some(Rule::Malformed {
                expected: self.expected(),
            })
        } else if self.refuse_common && is_common(password) {
            let expected = Message::new("这个密码太常见", "a password that is not in common use");
            Some(Rule::Malformed { expected })
        } else {
            None
        }
    }

    /// The required kinds of characters in words.
    fn expected(&self) -> Message {
        let words = |word: fn(&CharacterClass) -> &'static str, between: &str| {
            let words: Vec<&str> = self.required.iter().map(word).collect();
            words.join(between)
        };
        let zh = words(
            |class| match class {
                CharacterClass::Upper => "大写字母",
                CharacterClass::Lower => "小写字母",
                CharacterClass::Digit => "数字",
                CharacterClass::Special => "特殊字符",
            },
            "、",
        );
        let en = words(
            |class| match class {
                CharacterClass::Upper => "an upper-case letter",
                CharacterClass::Lower => "a lower-case letter",
                CharacterClass::Digit => "a digit",
                CharacterClass::Special => "a special character",
            },
            ", ",
        );
        Message::new(format!("须同时包含{zh}"), en)
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

/// Whether a password is the one behind a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wrong,
    Right {
        /// A new hash, when the old one was made with less memory or fewer passes than are asked for now.
        renewed: Option<String>,
    },
}

/// Hashes and verifies passwords, a few at a time.
#[derive(Debug, Clone)]
pub(crate) struct PasswordHasher {
    gate: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    params: Params,
    /// What an unknown user's password is compared with, so that it takes as long as a known user's.
    decoy: Arc<str>,
}

impl PasswordHasher {
    /// A hasher that uses at most `parallel` threads at once; each needs the memory that `config` says.
    pub(crate) fn new(parallel: usize, config: &PasswordConfig) -> Result<Self, IdentityError> {
        let params = Params::new(config.memory_kib, config.passes, 1, None)
            .map_err(|error| IdentityError::Crypto(error.to_string()))?;
        Ok(Self {
            gate: Arc::new(Semaphore::new(parallel.max(1))),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            decoy: hash_now(&params, &crate::platform::id::new_id().to_string())?.into(),
            params,
        })
    }

    /// The PHC string of `password`: Argon2id, 1 lane, its own salt.
    pub(crate) async fn hash(&self, password: String) -> Result<String, IdentityError> {
        let params = self.params.clone();
        self.run(move || hash_now(&params, &password)).await?
    }

    /// Whether `password` is the one behind `hash`. Without a hash the work is done all the same, and the answer is no.
    pub(crate) async fn verify(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<Verdict, IdentityError> {
        let is_known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.decoy.to_string());
        let params = self.params.clone();
        self.run(move || {
            let Ok(hash) = PasswordHash::new(&hash) else {
                return Ok(Verdict::Wrong);
            };
            let is_right = argon2(&params)
                .verify_password(password.as_bytes(), &hash)
                .is_ok();
            if !is_right || !is_known {
                if let Some(rest) = missing_work(&hash, &params) {
                    hash_now(&rest, &password)?;
                }
                return Ok(Verdict::Wrong);
            }
            let is_weak = Params::try_from(&hash)
                .is_ok_and(|old| old.m_cost() < params.m_cost() || old.t_cost() < params.t_cost());
            let renewed = is_weak.then(|| hash_now(&params, &password)).transpose()?;
            Ok(Verdict::Right { renewed })
        })
        .await?
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, IdentityError> {
        let _place: SemaphorePermit<'_> = self
            .waiting
            .try_acquire()
            .map_err(|_| IdentityError::Busy)?;
        let _doing = request::doing();
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

/// What is still to do after comparing with an old and cheaper hash, so that it takes as long as with one of today.
fn missing_work(hash: &PasswordHash, params: &Params) -> Option<Params> {
    let work = |params: &Params| u64::from(params.m_cost()) * u64::from(params.t_cost());
    let old = Params::try_from(hash).ok()?;
    let rest = work(params).checked_sub(work(&old))? / u64::from(params.t_cost());
    let memory = u32::try_from(rest).ok().filter(|memory| *memory >= 8)?;
    Params::new(memory, params.t_cost(), 1, None).ok()
}

fn argon2(params: &Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
}

fn hash_now(params: &Params, password: &str) -> Result<String, IdentityError> {
    argon2(params)
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| IdentityError::Crypto(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> PasswordConfig {
        use crate::platform::config::{Purpose, Settings, Sources};
        let settings = Settings::load(&Sources::default(), Purpose::Tool);
        settings.check(Purpose::Tool).unwrap().password
    }

    fn is_accepted(password: &str) -> bool {
        Policy::new(&config()).broken_rule(password).is_none()
    }

    #[test]
    fn asks_for_what_the_settings_say() {
        let policy = Policy::new(&PasswordConfig {
            min_length: 15,
            required: vec![],
            refuse_common: false,
            ..config()
        });
        assert_eq!(policy.broken_rule("password1234567"), None);
        assert_eq!(
            policy.broken_rule("Xk9#mQ2v"),
            Some(Rule::TooShort { min: 15 })
        );
    }

    #[tokio::test]
    async fn a_hash_with_less_memory_is_renewed() {
        let weak = PasswordConfig {
            memory_kib: 8192,
            ..config()
        };
        let (old, new) = (
            PasswordHasher::new(1, &weak).unwrap(),
            PasswordHasher::new(1, &config()).unwrap(),
        );
        let hash = old.hash("x".to_owned()).await.unwrap();
        let same = old
            .verify("x".to_owned(), Some(hash.clone()))
            .await
            .unwrap();
        assert_eq!(same, Verdict::Right { renewed: None });
        let Verdict::Right {
            renewed: Some(renewed),
        } = new
            .verify("x".to_owned(), Some(hash.clone()))
            .await
            .unwrap()
        else {
            panic!("not renewed");
        };
        assert!(renewed.contains("m=19456"), "{renewed}");
        let verdict = new.verify("x".to_owned(), Some(renewed)).await.unwrap();
        assert_eq!(verdict, Verdict::Right { renewed: None });
        assert_eq!(
            new.verify("y".to_owned(), Some(hash)).await.unwrap(),
            Verdict::Wrong
        );
        assert_eq!(
            new.verify("y".to_owned(), None).await.unwrap(),
            Verdict::Wrong
        );
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
