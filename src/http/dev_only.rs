//! What `wegraph dev` refuses: it has a simulated sign-in, so nobody but the developer at this machine may reach it.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, Request, header};

use crate::graphql::error::{ApiError, ErrorCode};
use crate::http::host::host_of;
use crate::platform::locale::Message;

/// Headers that proxies and tunnels add.
const FORWARDED: [&str; 7] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
];

/// Why a request is refused: it came through a proxy or a tunnel, is of another site's page, or
/// names another host: a page of some site whose name was made to point here (DNS rebinding). An
/// address cannot be made to point elsewhere, and emulators reach this machine by one that is not
/// loopback.
pub(crate) fn fault<B>(request: &Request<B>) -> Option<ApiError> {
    let headers = request.headers();
    // A target with a host wins over the header (RFC 9112, section 3.2.2). Without either it is
    // HTTP/1.0, which no browser speaks.
    let authority = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers
            .get(header::HOST)
            .map(|host| host.to_str().unwrap_or_default()),
    };
    let reason = if is_forwarded(headers) {
        Message::new(
            "wegraph dev 只接受本机直接发来的请求；对外服务请用 wegraph serve",
            "wegraph dev takes no forwarded requests; use wegraph serve",
        )
    } else if headers
        .get_all(header::ORIGIN)
        .iter()
        .any(|origin| !is_own_page(origin) && !is_same_address(origin, authority))
    {
        // WebSockets are open to the pages of all sites unless the server looks.
        Message::new(
            "wegraph dev 不接受其他网站页面发来的请求",
            "wegraph dev takes no requests from the pages of other sites",
        )
    } else if authority.is_some_and(|authority| !is_loopback(authority) && !is_address(authority)) {
        Message::new(
            "wegraph dev 只接受发往 localhost 或 IP 地址的请求；对外服务请用 wegraph serve",
            "wegraph dev takes requests to localhost and IP addresses only; use wegraph serve",
        )
    } else {
        return None;
    };
    Some(ApiError::new(ErrorCode::Forbidden).with_message(reason))
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    FORWARDED.iter().any(|name| headers.contains_key(*name))
}

/// Whether an `Origin` header names a page of this machine.
pub(crate) fn is_own_page(origin: &HeaderValue) -> bool {
    origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
        .is_some_and(|(scheme, authority)| !scheme.is_empty() && is_loopback(authority))
}

/// Whether an `Origin` header names a page that this server sent when it was asked by an address.
fn is_same_address(origin: &HeaderValue, authority: Option<&str>) -> bool {
    let page = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.strip_prefix("http://"));
    page.is_some_and(is_address) && page == authority
}

fn is_address(authority: &str) -> bool {
    host_of(authority).is_some_and(|host| ip_of(host).is_some())
}

fn is_loopback(authority: &str) -> bool {
    host_of(authority).is_some_and(|host| {
        host.eq_ignore_ascii_case("localhost") || ip_of(host).is_some_and(|ip| ip.is_loopback())
    })
}

/// The address that a host is, if it is no name.
fn ip_of(host: &str) -> Option<IpAddr> {
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address: IpAddr = bracketed.unwrap_or(host).parse().ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_names_of_this_machine() {
        for host in [
            "localhost",
            "LOCALHOST:8000",
            "127.0.0.1:8000",
            "127.9.9.9",
            "[::1]:8000",
            "[::1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com:8000",
            "192.168.1.2",
            "[::2]",
            "127.0.0.1.nip.io",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
