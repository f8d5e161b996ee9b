//! The address to listen on, as people write it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::platform::config::Purpose;

/// Reads `ADDRESS:PORT`, where the address may be `localhost`, or empty for all addresses.
/// `wegraph dev` takes the empty one for loopback, because it listens nowhere else.
///
/// # Errors
/// What is wrong, and how it is written.
pub(super) fn parse_listen(text: &str, purpose: Purpose) -> Result<SocketAddr, String> {
    // Also takes the zone of a link-local address, as in [fe80::1%2]:8000.
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if text.contains("://") {
        return Err(format!(
            "{text:?} is a URL; write an address and a port, like 127.0.0.1:8000"
        ));
    }
    if text.parse::<u16>().is_ok() {
        return Err(format!(
            "{text:?} is a port without an address; write 127.0.0.1:{text} for this machine, \
             :{text} for all"
        ));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!("{text:?} has no port, like 127.0.0.1:8000"));
    };
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if [bare, host]
        .iter()
        .any(|part| part.parse::<Ipv6Addr>().is_ok())
    {
        return Err(format!(
            "{text:?}: an IPv6 address stands in brackets before its port, like [::1]:8000"
        ));
    }
    let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port = match port.parse::<u16>() {
        Ok(port) if is_number => port,
        _ => return Err(format!("{text:?}: {port:?} is no port, 0 to 65535")),
    };
    let address = match host {
        "" if purpose == Purpose::Dev => Ipv4Addr::LOCALHOST,
        "" => Ipv4Addr::UNSPECIFIED,
        host if host.eq_ignore_ascii_case("localhost") => Ipv4Addr::LOCALHOST,
        host => host.parse::<Ipv4Addr>().map_err(|_| {
            format!(
                "{text:?}: {host:?} is neither an IP address nor localhost; other names are not \
                 looked up"
            )
        })?,
    };
    Ok((address, port).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_people_write() {
        for (text, serve, dev) in [
            ("127.0.0.1:8000", "127.0.0.1:8000", "127.0.0.1:8000"),
            ("0.0.0.0:8000", "0.0.0.0:8000", "0.0.0.0:8000"),
            ("[::1]:8000", "[::1]:8000", "[::1]:8000"),
            ("[::]:0", "[::]:0", "[::]:0"),
            ("localhost:8000", "127.0.0.1:8000", "127.0.0.1:8000"),
            ("LocalHost:1", "127.0.0.1:1", "127.0.0.1:1"),
            (":8000", "0.0.0.0:8000", "127.0.0.1:8000"),
        ] {
            for (purpose, expected) in [(Purpose::Serve, serve), (Purpose::Dev, dev)] {
                let address = parse_listen(text, purpose).map(|address| address.to_string());
                assert_eq!(address.as_deref(), Ok(expected), "{text} {purpose:?}");
            }
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, problem) in [
            ("http://127.0.0.1:8000", "is a URL"),
            ("8000", "127.0.0.1:8000 for this machine, :8000 for all"),
            ("127.0.0.1", "has no port"),
            ("localhost", "has no port"),
            ("::1", "brackets"),
            ("[::1]", "brackets"),
            ("::1:8000", "brackets"),
            ("::1:65535", "brackets"),
            ("fe80::1:2:3:4:8000", "brackets"),
            ("127.0.0.1:", "\"\" is no port"),
            ("127.0.0.1:http", "\"http\" is no port"),
            ("127.0.0.1:65536", "\"65536\" is no port"),
            ("127.0.0.1:+80", "\"+80\" is no port"),
            ("api.example.com:8000", "\"api.example.com\" is neither"),
            ("256.1.1.1:80", "\"256.1.1.1\" is neither"),
            ("*:8000", "\"*\" is neither"),
        ] {
            let error = parse_listen(text, Purpose::Serve).expect_err(text);
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
