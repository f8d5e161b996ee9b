//! What the headers of a request say of the client.

use axum::http::{HeaderMap, HeaderName, header};

use crate::platform::locale::Locale;

/// The caller's language, by `Accept-Language`.
pub(crate) fn locale(headers: &HeaderMap) -> Locale {
    headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .map(Locale::from_accept_language)
        .unwrap_or_default()
}

/// The mini-program that a `Referer` claims: `wx.request` always sends
/// `https://servicewechat.com/{appid}/{version}/page-frame.html`.
pub(crate) fn wechat_app_id(headers: &HeaderMap) -> Option<String> {
    let referer = headers.get(header::REFERER)?.to_str().ok()?;
    let rest = referer.strip_prefix("https://servicewechat.com/")?;
    let (app_id, _) = rest.split_once('/')?;
    (!app_id.is_empty()).then(|| app_id.to_owned())
}

/// A header that is text.
pub(crate) fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
