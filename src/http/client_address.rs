//! Where a request comes from: the peer, or what a trusted proxy says.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use ipnet::IpNet;

use crate::platform::config::ForwardingHeader;

/// The client's address, put into every request by the router.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // The router puts it there; without, nobody would be limited.
        parts
            .extensions
            .get()
            .copied()
            .ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Proxies whose headers are believed.
#[derive(Debug, Clone)]
pub(crate) struct TrustedProxies {
    networks: Arc<[IpNet]>,
    header: Option<ForwardingHeader>,
}

impl TrustedProxies {
    /// By their networks, and the header they set; without one they are believed nothing.
    pub(crate) fn new(networks: &[IpNet], header: Option<ForwardingHeader>) -> Self {
        Self {
            networks: networks.into(),
            header,
        }
    }

    /// Whether this is one of them.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    /// The first address that is no trusted proxy, counted from this server: every header before it can be forged.
    pub(crate) fn client_of(&self, peer: SocketAddr, headers: &HeaderMap) -> ClientAddress {
        let mut address = peer.ip().to_canonical();
        if let Some(header) = self.header
            && self.contains(address)
        {
            let hops = forwarded_for(headers, header);
            for hop in hops.iter().rev() {
                match hop {
                    Some(hop) => address = hop.to_canonical(),
                    // A proxy that hides its client: the proxy is as far as we can see.
                    None => break,
                }
                if !self.contains(address) {
                    break;
                }
            }
        }
        ClientAddress(address)
    }
}

/// Addresses that the proxies on the way saw, the farthest first; `None` for what is no address.
fn forwarded_for(headers: &HeaderMap, header: ForwardingHeader) -> Vec<Option<IpAddr>> {
    let all = |name: &str| {
        let values = headers.get_all(name).iter();
        values
            .map(|value| value.to_str().unwrap_or_default())
            .collect::<Vec<_>>()
            .join(",")
    };
    match header {
        ForwardingHeader::XForwardedFor => {
            let hops = all("x-forwarded-for");
            hops.split(',').map(parse_address).collect()
        }
        ForwardingHeader::Forwarded => {
            let hops = all("forwarded");
            hops.split(',').map(forwarded_element).collect()
        }
    }
}

fn forwarded_element(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("for")
            .then(|| parse_address(value.trim().trim_matches('"')))?
    })
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`
fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bracketed = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .map(|(address, _)| address);
    bracketed
        .unwrap_or(text)
        .parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const PLAIN: Option<ForwardingHeader> = Some(ForwardingHeader::XForwardedFor);
    const STANDARD: Option<ForwardingHeader> = Some(ForwardingHeader::Forwarded);

    fn client(peer: &str, header: Option<ForwardingHeader>, headers: &[(&str, &str)]) -> String {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        let trusted = ["127.0.0.1/32", "10.0.0.0/8"].map(|network| network.parse().unwrap());
        let proxies = TrustedProxies::new(&trusted, header);
        let ClientAddress(address) = proxies.client_of(peer.parse().unwrap(), request.headers());
        address.to_string()
    }

    #[test]
    fn believes_trusted_proxies_only() {
        let plain = |peer: &str, headers: &[(&str, &str)]| client(peer, PLAIN, headers);
        let chain = [("x-forwarded-for", "6.6.6.6, 192.0.2.7, 10.0.0.3")];
        assert_eq!(plain("198.51.100.1:5", &chain), "198.51.100.1");
        assert_eq!(plain("127.0.0.1:5", &chain), "192.0.2.7");
        assert_eq!(plain("[::ffff:127.0.0.1]:5", &chain), "192.0.2.7");
        assert_eq!(plain("127.0.0.1:5", &[]), "127.0.0.1");
        assert_eq!(
            plain("127.0.0.1:5", &[("x-forwarded-for", "nonsense")]),
            "127.0.0.1"
        );
        assert_eq!(
            plain("127.0.0.1:5", &[("x-forwarded-for", "10.1.1.1")]),
            "10.1.1.1"
        );
        let standard = [
            (
                "forwarded",
                "for=6.6.6.6, For=\"[2001:db8::7]:4711\";proto=https",
            ),
            ("forwarded", "for=10.0.0.9"),
        ];
        assert_eq!(client("127.0.0.1:5", STANDARD, &standard), "2001:db8::7");
    }

    #[test]
    fn a_client_cannot_choose_the_header() {
        let both = [
            ("forwarded", "for=6.6.6.6"),
            ("x-forwarded-for", "192.0.2.7"),
        ];
        for (header, expected) in [
            (PLAIN, "192.0.2.7"),
            (STANDARD, "6.6.6.6"),
            (None, "127.0.0.1"),
        ] {
            assert_eq!(client("127.0.0.1:5", header, &both), expected);
        }
        assert_eq!(client("127.0.0.1:5", PLAIN, &both[..1]), "127.0.0.1");
        assert_eq!(client("127.0.0.1:5", STANDARD, &both[1..]), "127.0.0.1");
    }
}
