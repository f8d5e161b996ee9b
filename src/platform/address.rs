//! Network addresses.

use std::net::{IpAddr, Ipv6Addr};

/// What counts as one client: an IPv4 address, or the /64 network of an IPv6 address, which is what one subscriber is given.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (!0 << 64))),
    }
}

/// What counts as one site: an IPv4 address, or the /56 network of an IPv6 address, which is what a
/// subscriber gets at the most, and can take as many addresses of as it likes.
pub fn site_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (!0 << 72))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_a_subscriber_of_ipv6_as_one() {
        let network = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        let site = |text: &str| site_of(text.parse().unwrap()).to_string();
        assert_eq!(site("2001:db8:1:2ff:3:4:5:6"), "2001:db8:1:200::");
        assert_eq!(site("192.0.2.1"), "192.0.2.1");
    }
}
