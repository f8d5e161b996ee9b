//! What can go wrong with accounts.

use sea_orm::DbErr;

use crate::clients::wechat::WechatError;
use crate::github::GithubError;
use crate::platform::db::WriteError;
use crate::platform::fault::{Fault, Faults};

/// Facts about a failed use of an account.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IdentityError {
    /// User name and password do not go together, or there is no such user.
    #[error("wrong user name or password")]
    InvalidCredentials,
    /// The password was right when it was checked, and is another now.
    #[error("the password was changed meanwhile")]
    PasswordChanged,
    /// An administrator has disabled the account.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The user name is somebody else's.
    #[error("the user name is taken")]
    UsernameTaken,
    /// The e-mail address is somebody else's.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// The password breaks the policy.
    #[error("the password is too weak")]
    WeakPassword(Vec<Fault>),
    /// Other input breaks its rules.
    #[error("the input is not valid")]
    Invalid(Faults),
    /// The token is none of ours, or not what it should be.
    #[error("the token is not valid")]
    TokenInvalid,
    /// The token was good and is too old.
    #[error("the token has expired")]
    TokenExpired,
    /// The session of the token has ended.
    #[error("the session has ended")]
    TokenRevoked,
    /// Too many passwords wait to be hashed.
    #[error("too many sign-ins at once")]
    Busy,
    /// Too many wrong passwords for the account or from the address.
    #[error("too many wrong passwords")]
    TooManyFailures {
        /// When to try again.
        retry_after_seconds: u64,
    },
    /// There is no such user.
    #[error("no such user")]
    NoSuchUser,
    /// The caller has no such session.
    #[error("no such session")]
    NoSuchSession,
    /// Nothing else would be left to sign in with.
    #[error("the last way to sign in")]
    LastLoginMethod,
    /// The WeChat account is somebody else's, or the caller has another one of the same mini-program.
    #[error("the WeChat account cannot be linked")]
    WechatTaken,
    /// Nobody would be left to administer the server.
    #[error("the last administrator")]
    LastAdmin,
    /// WeChat did not let the user sign in.
    #[error(transparent)]
    Wechat(#[from] WechatError),
    /// GitHub did not help.
    #[error(transparent)]
    Github(#[from] GithubError),
    /// A key cannot be used.
    #[error("auth.key_files: {0}")]
    Key(String),
    /// Hashing or signing failed.
    #[error("cryptography failed: {0}")]
    Crypto(String),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl IdentityError {
    /// Whether it is a failed sign-in to be remembered, and neither a fault of ours nor bad input.
    pub(super) fn is_failed_sign_in(&self) -> bool {
        matches!(
            self,
            Self::InvalidCredentials
                | Self::PasswordChanged
                | Self::AccountDisabled
                | Self::Wechat(
                    WechatError::CodeInvalid | WechatError::CodeUsed | WechatError::UserBlocked
                )
        )
    }
}

impl From<Faults> for IdentityError {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults)
    }
}

impl WriteError for IdentityError {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}
