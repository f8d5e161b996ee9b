//! Which host a request is for.

use std::net::Ipv6Addr;

use axum::http::{Request, Version, header};

use crate::gateway::refusal::malformed;
use crate::graphql::error::ApiError;

/// Why a request does not say in one way which host it is for (RFC 9112, section 3.2): a proxy on
/// the way may have read another `Host` than this server would.
pub(crate) fn fault<B>(request: &Request<B>) -> Option<ApiError> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if host.to_str().is_ok_and(|host| host_of(host).is_some()) => None,
        (Some(_), None) => Some(malformed(
            "Host 请求头格式不正确",
            "the Host header is no host and port",
        )),
        (Some(_), Some(_)) => Some(malformed(
            "请求只能有一个 Host 请求头",
            "the request has more than one Host header",
        )),
        // HTTP/1.0 knew none.
        (None, _) if request.version() < Version::HTTP_11 => None,
        (None, _) => Some(malformed(
            "请求缺少 Host 请求头",
            "the request has no Host header",
        )),
    }
}

/// The host of `host[:port]`, an IPv6 address in its brackets; `None` when that is not what `text`
/// is (RFC 3986, sections 3.2.2 and 3.2.3).
pub(crate) fn host_of(text: &str) -> Option<&str> {
    let after_host = match text.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at_checked(after_host)?;
    let is_port = match port.strip_prefix(':') {
        Some("") => true,
        Some(digits) => digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    let is_host = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_name(host),
    };
    (is_host && is_port).then_some(host)
}

/// Whether this is a name or an IPv4 address, as URLs have them.
fn is_name(host: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&b);
    let mut parts = host.split('%');
    let is_encoded = |part: &str| {
        let hex = part.as_bytes().get(..2);
        hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    !host.is_empty()
        && parts.next().is_some_and(|part| part.bytes().all(is_plain))
        && parts.all(|part| is_encoded(part) && part.bytes().all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_hosts_from_what_is_none() {
        for (text, host) in [
            ("example.com", "example.com"),
            ("example.com:8000", "example.com"),
            ("example.com:", "example.com"),
            ("my_service:80", "my_service"),
            ("xn--fsqu00a.example", "xn--fsqu00a.example"),
            ("%E4%BE%8B:1", "%E4%BE%8B"),
            ("10.0.2.2:8000", "10.0.2.2"),
            ("[::1]", "[::1]"),
            ("[fe80::1]:8000", "[fe80::1]"),
        ] {
            assert_eq!(host_of(text), Some(host), "{text}");
        }
        for text in [
            "",
            ":8000",
            "a b",
            "a/b",
            "me@example.com",
            "example.com:http",
            "example.com:+80",
            "example.com:65536",
            "example.com:80:80",
            "a, b",
            "例子",
            "%E",
            "%zz",
            "%",
            "::1",
            "[",
            "[]",
            "[::1",
            "[::1]8000",
            "[::1].example.com",
            "[::g]",
            "[1.2.3.4]",
            "]",
            "a[b]",
        ] {
            assert_eq!(host_of(text), None, "{text}");
        }
    }
}
