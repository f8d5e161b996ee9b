//! Why a request is not executed, as errors.

use async_graphql::Pos;

use crate::gateway::precheck::{Excess, MAX_NAME_BYTES};
pub use crate::graphql::error::too_complex;
use crate::graphql::error::{ApiError, ErrorCode};
use crate::platform::config::DocumentLimits;
use crate::platform::locale::Message;

/// BAD_USER_INPUT: the parameters of the request cannot be read.
pub fn malformed(zh: impl Into<String>, en: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::BadUserInput).with_message(Message::new(zh, en))
}

/// GRAPHQL_VALIDATION_FAILED with a message in Chinese and English.
pub fn invalid(zh: impl Into<String>, en: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::GraphqlValidationFailed).with_message(Message::new(zh, en))
}

/// GRAPHQL_PARSE_FAILED at a place in the text.
pub fn syntax_error(place: Pos) -> ApiError {
    let Pos { line, column } = place;
    ApiError::new(ErrorCode::GraphqlParseFailed)
        .at(place)
        .with_message(Message::new(
            format!("查询语法有误：第 {line} 行第 {column} 列"),
            format!("Syntax error at line {line}, column {column}"),
        ))
}

/// QUERY_TOO_COMPLEX for what a scan found too much of.
pub fn excess(excess: Excess, limits: &DocumentLimits) -> ApiError {
    match excess {
        Excess::Count => too_complex(("词法单元", "tokens"), limits.tokens),
        Excess::Nesting => too_complex(("嵌套层数", "nested brackets"), limits.nesting),
        Excess::NameLength => too_complex(("名称字节数", "bytes of a name"), MAX_NAME_BYTES),
    }
}

/// RATE_LIMITED with the time after which to try again.
pub fn rate_limited(seconds: u64) -> ApiError {
    ApiError::new(ErrorCode::RateLimited).with_retry_after(Some(seconds))
}
