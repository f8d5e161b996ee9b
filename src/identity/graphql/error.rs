//! What a client is told when an account cannot be used.

use crate::clients::wechat::WechatError;
use crate::graphql::error::{ApiError, ErrorCode};
use crate::identity::IdentityError;
use crate::platform::fault::{Fault, Rule};
use crate::platform::locale::Message;

impl From<IdentityError> for ApiError {
    fn from(error: IdentityError) -> Self {
        let taken = |field: &str| {
            vec![Fault {
                path: vec!["input".to_owned(), field.to_owned()],
                rule: Rule::Taken,
            }]
        };
        let code = match &error {
            IdentityError::Invalid(_) => ErrorCode::BadUserInput,
            IdentityError::WeakPassword(_) => ErrorCode::WeakPassword,
            IdentityError::InvalidCredentials | IdentityError::PasswordChanged => {
                ErrorCode::InvalidCredentials
            }
            IdentityError::AccountDisabled => ErrorCode::AccountDisabled,
            IdentityError::UsernameTaken => ErrorCode::UsernameTaken,
            IdentityError::EmailTaken => ErrorCode::EmailTaken,
            IdentityError::TokenInvalid => ErrorCode::Unauthenticated,
            IdentityError::TokenExpired => ErrorCode::TokenExpired,
            IdentityError::TokenRevoked => ErrorCode::TokenRevoked,
            IdentityError::Busy | IdentityError::TooManyFailures { .. } => ErrorCode::RateLimited,
            IdentityError::NoSuchUser | IdentityError::NoSuchSession => ErrorCode::NotFound,
            IdentityError::LastLoginMethod => ErrorCode::LastLoginMethod,
            IdentityError::WechatTaken | IdentityError::LastAdmin => ErrorCode::Conflict,
            IdentityError::Wechat(error) => match error {
                WechatError::NotConfigured => ErrorCode::WechatNotConfigured,
                WechatError::CodeInvalid => ErrorCode::WechatCodeInvalid,
                WechatError::CodeUsed => ErrorCode::WechatCodeUsed,
                WechatError::UserBlocked => ErrorCode::WechatUserBlocked,
                WechatError::RateLimited { .. } => ErrorCode::UpstreamRateLimited,
                WechatError::Unavailable => ErrorCode::UpstreamUnavailable,
            },
            IdentityError::Github(_) => ErrorCode::UpstreamUnavailable,
            IdentityError::Crypto(_) | IdentityError::Key(_) | IdentityError::Database(_) => {
                ErrorCode::InternalServerError
            }
        };
        match error {
            IdentityError::Database(error) => error.into(),
            IdentityError::Github(error) => error.into(),
            IdentityError::Crypto(_) | IdentityError::Key(_) => Self::internal(error),
            IdentityError::Invalid(faults) => faults.into(),
            IdentityError::WeakPassword(fields) => Self::new(code).with_fields(fields),
            IdentityError::UsernameTaken => Self::new(code).with_fields(taken("username")),
            IdentityError::EmailTaken => Self::new(code).with_fields(taken("email")),
            IdentityError::WechatTaken => Self::new(code).with_message(Message::new(
                "该微信已绑定其他账号，或您已绑定另一个微信",
                "The WeChat account belongs to another user, or you have linked another one",
            )),
            IdentityError::LastAdmin => Self::new(code).with_message(Message::new(
                "不能移除最后一位管理员",
                "The last administrator cannot be removed",
            )),
            IdentityError::Busy => Self::new(code).with_retry_after(Some(5)),
            IdentityError::TooManyFailures {
                retry_after_seconds,
            } => Self::new(code).with_retry_after(Some(retry_after_seconds)),
            IdentityError::Wechat(WechatError::RateLimited {
                retry_after_seconds,
            }) => Self::new(code).with_retry_after(retry_after_seconds),
            _ => Self::new(code),
        }
    }
}
