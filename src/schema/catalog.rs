//! The error catalogue.

use async_graphql::{Context, Object, SimpleObject};

use crate::graphql::context::locale;
use crate::graphql::error::ErrorCode;
use crate::platform::locale::Locale;

/// One entry of the error catalogue.
#[derive(SimpleObject)]
struct ErrorInfo {
    /// The code, as it stands in `extensions.code`.
    code: ErrorCode,
    /// What the code means, in the caller's language.
    description: String,
    /// Whether the same request may succeed later without being changed.
    is_retryable: bool,
}

/// The error catalogue.
#[derive(Debug, Default)]
pub(crate) struct CatalogQuery;

#[Object]
impl CatalogQuery {
    /// Every error code with its meaning, so that generated clients have `ErrorCode` as a type and people can look codes up.
    async fn error_catalog(&self, ctx: &Context<'_>) -> Vec<ErrorInfo> {
        let locale = locale(ctx);
        let info = |code: &ErrorCode| ErrorInfo {
            code: *code,
            description: match locale {
                Locale::Zh => code.message(locale),
                Locale::En => code.description(),
            }
            .to_owned(),
            is_retryable: code.is_retryable(),
        };
        ErrorCode::ALL.iter().map(info).collect()
    }
}
