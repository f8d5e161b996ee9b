//! The only place that touches the untyped context.

use std::net::IpAddr;
use std::sync::Arc;

use async_graphql::Context;

use crate::graphql::error::{ApiError, ErrorCode};
use crate::platform::locale::Locale;
use crate::platform::request::Caller;
use crate::platform::viewer::Viewer;

/// What is known about the request that is being answered.
#[derive(Clone)]
pub struct RequestContext {
    /// The caller; `None` without a token.
    pub viewer: Option<Viewer>,
    /// The caller's language.
    pub locale: Locale,
    /// Finds the request in the log.
    pub request_id: Arc<str>,
    /// The `User-Agent` header, as sent.
    pub user_agent: Option<String>,
    /// Where the request comes from.
    pub client_address: IpAddr,
    /// The mini-program that the `Referer` header claims; anybody can claim one.
    pub wechat_app_id: Option<String>,
    /// The `Idempotency-Key` header, as sent: a secret between the client and us.
    pub idempotency_key: Option<String>,
}

impl RequestContext {
    /// Who shares with others what is scarce.
    pub fn caller(&self) -> Caller {
        let user_id = self.viewer.map(|viewer| viewer.user_id);
        Caller::of(user_id, self.client_address)
    }
}

/// The request.
///
/// # Errors
/// An internal error when the transport forgot to say who is calling: deny rather than take the caller for nobody.
pub fn request<'a>(ctx: &Context<'a>) -> Result<&'a RequestContext, ApiError> {
    ctx.data_opt()
        .ok_or_else(|| ApiError::internal("no RequestContext"))
}

/// The caller, who must be signed in.
///
/// # Errors
/// UNAUTHENTICATED.
pub fn viewer<'a>(ctx: &Context<'a>) -> Result<&'a Viewer, ApiError> {
    request(ctx)?
        .viewer
        .as_ref()
        .ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))
}

/// The caller, who must be an administrator.
///
/// # Errors
/// UNAUTHENTICATED, FORBIDDEN.
pub fn admin<'a>(ctx: &Context<'a>) -> Result<&'a Viewer, ApiError> {
    let viewer = viewer(ctx)?;
    match viewer.is_admin() {
        true => Ok(viewer),
        false => Err(ApiError::new(ErrorCode::Forbidden)),
    }
}

/// The caller, if signed in.
///
/// # Errors
/// As [`request`].
pub fn viewer_opt<'a>(ctx: &Context<'a>) -> Result<Option<&'a Viewer>, ApiError> {
    Ok(request(ctx)?.viewer.as_ref())
}

/// The caller's language; Chinese when nothing is known.
pub fn locale(ctx: &Context<'_>) -> Locale {
    request(ctx)
        .map(|request| request.locale)
        .unwrap_or_default()
}

/// A service that the composition root put into the schema.
///
/// # Errors
/// An internal error when it did not.
pub fn service<'a, T: Send + Sync + 'static>(ctx: &Context<'a>) -> Result<&'a T, ApiError> {
    ctx.data_opt::<Arc<T>>()
        .map(Arc::as_ref)
        .ok_or_else(|| ApiError::internal(format!("no {}", std::any::type_name::<T>())))
}

/// As [`service`], for a subscription that outlives its start.
///
/// # Errors
/// As [`service`].
pub fn shared_service<T: Send + Sync + 'static>(ctx: &Context<'_>) -> Result<Arc<T>, ApiError> {
    ctx.data_opt::<Arc<T>>()
        .cloned()
        .ok_or_else(|| ApiError::internal(format!("no {}", std::any::type_name::<T>())))
}
