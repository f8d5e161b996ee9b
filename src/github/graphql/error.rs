//! What a client is told when GitHub does not help.

use crate::clients::github::GithubError;
use crate::graphql::error::{ApiError, ErrorCode};

impl From<GithubError> for ApiError {
    fn from(error: GithubError) -> Self {
        match error {
            GithubError::TooMany {
                retry_after_seconds,
            } => Self::new(ErrorCode::RateLimited).with_retry_after(Some(retry_after_seconds)),
            GithubError::Invalid => Self::new(ErrorCode::BadUserInput),
            GithubError::RateLimited {
                retry_after_seconds,
            } => Self::new(ErrorCode::UpstreamRateLimited)
                .with_retry_after(Some(retry_after_seconds)),
            // What is not there is null; where nothing can be missing, GitHub makes no sense.
            GithubError::NotFound
            | GithubError::Forbidden
            | GithubError::Unauthorized
            | GithubError::Unavailable => Self::new(ErrorCode::UpstreamUnavailable),
        }
    }
}
