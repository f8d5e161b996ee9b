//! Names that are no settings: whose they are, and which setting may be meant.

use std::net::IpAddr;

type ValueRule = fn(&str) -> bool;

/// Whether Kubernetes puts this variable into every container beside a Service called `wegraph` or
/// `wegraph-…` (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>).
///
/// Two underscores are our own separator, so a name that has them is meant as a setting; and so is
/// one whose value Kubernetes would not write, as in `WEGRAPH_PORT=8000`.
pub(super) fn is_service_link(variable: &str, value: &str) -> bool {
    let Some(rest) = variable.strip_prefix("WEGRAPH_") else {
        return false;
    };
    let words: Vec<&str> = rest.split('_').collect();
    let is_word = |word: &str| {
        let mut bytes = word.bytes();
        !word.is_empty() && bytes.all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    if !words.iter().all(|word| is_word(word)) {
        return false;
    }
    let words = words.as_slice();
    let (of_port, part) = match words {
        [head @ .., part @ ("ADDR" | "PORT" | "PROTO")] => (head, *part),
        _ => (words, ""),
    };
    let is_of_port = matches!(of_port, [.., "PORT", port, "TCP" | "UDP" | "SCTP"] if is_port(port));
    // A name may be read in two ways: `wegraph-service` has a PORT, and `wegraph` a SERVICE_PORT.
    let readings: [(bool, ValueRule); 7] = [
        (matches!(words, [.., "SERVICE", "HOST"]), is_address),
        (
            words.windows(2).any(|pair| pair == ["SERVICE", "PORT"]),
            is_port,
        ),
        (matches!(words, [.., "PORT"]), is_endpoint),
        (is_of_port && part.is_empty(), is_endpoint),
        (is_of_port && part == "ADDR", is_address),
        (is_of_port && part == "PORT", is_port),
        (is_of_port && part == "PROTO", is_protocol),
    ];
    let value = value.trim();
    // What has no value says nothing, whoever passes it on.
    let mut readings = readings.into_iter().filter(|(is_named_so, _)| *is_named_so);
    readings.any(|(_, is_such)| value.is_empty() || is_such(value))
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

fn is_protocol(text: &str) -> bool {
    matches!(text, "tcp" | "udp" | "sctp")
}

/// `tcp://10.0.0.1:8000`
fn is_endpoint(text: &str) -> bool {
    text.split_once("://")
        .and_then(|(protocol, rest)| Some((protocol, rest.rsplit_once(':')?)))
        .is_some_and(|(protocol, (address, port))| {
            let address = address.trim_start_matches('[').trim_end_matches(']');
            is_protocol(protocol) && is_address(address) && is_port(port)
        })
}

/// The setting whose name is nearest to `name`, if any is near.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| name.replace(['.', '-'], "_");
    let wanted = plain(name);
    // Other servers have these beside one another.
    let wanted = match wanted.as_str() {
        "port" | "host" | "address" | "bind" | "addr" => "listen",
        other => other,
    };
    let far = wanted.chars().count() / 3 + 1;
    known
        .map(|name| {
            let last = name.rsplit('.').next().unwrap_or(name);
            // The whole name wins over its last part.
            let part = 2 * distance(wanted, &plain(last)) + 1;
            (part.min(2 * distance(wanted, &plain(name))), name)
        })
        .min()
        .filter(|(distance, _)| *distance <= 2 * far)
        .map(|(_, name)| name)
}

/// Characters to put in, take out or replace to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut above_left = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(&b) {
            let replaced = above_left + usize::from(a != *b);
            above_left = *cell;
            left = replaced.min(left + 1).min(above_left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_kubernetes_writes() {
        for (variable, value) in [
            ("WEGRAPH_SERVICE_HOST", "10.0.0.1"),
            ("WEGRAPH_SERVICE_HOST", "fd00::1"),
            ("WEGRAPH_SERVICE_PORT", "8000"),
            ("WEGRAPH_SERVICE_PORT_HTTP", "8000"),
            ("WEGRAPH_SERVICE_PORT_GRPC_WEB", "8000"),
            ("WEGRAPH_PORT", "tcp://10.0.0.1:8000"),
            ("WEGRAPH_PORT", "tcp://[fd00::1]:8000"),
            ("WEGRAPH_PORT", ""),
            ("WEGRAPH_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
            ("WEGRAPH_PORT_8000_TCP_ADDR", "10.0.0.1"),
            ("WEGRAPH_PORT_8000_TCP_PORT", "8000"),
            ("WEGRAPH_PORT_8000_TCP_PROTO", "tcp"),
            ("WEGRAPH_PORT_53_UDP", "udp://10.0.0.1:53"),
            ("WEGRAPH_PORT_53_UDP_PROTO", "udp"),
            ("WEGRAPH_PORT_9_SCTP_ADDR", "10.0.0.1"),
            ("WEGRAPH_DB_SERVICE_HOST", "10.0.0.2"),
            ("WEGRAPH_DB_SERVICE_PORT_POSTGRES", "5432"),
            ("WEGRAPH_DB_PORT_5432_TCP_ADDR", "10.0.0.2"),
            ("WEGRAPH_DB_2_RO_PORT", "tcp://10.0.0.2:5432"),
            ("WEGRAPH_LISTEN_PORT", "tcp://10.0.0.2:5432"),
            ("WEGRAPH_SERVICE_PORT", "tcp://10.0.0.3:8000"),
            ("WEGRAPH_SERVICE_SERVICE_HOST", "10.0.0.3"),
            ("WEGRAPH_SERVICE_PORT_8000_TCP", "tcp://10.0.0.3:8000"),
            ("WEGRAPH_SERVICE_PORT_8000_TCP", "8000"),
        ] {
            assert!(is_service_link(variable, value), "{variable}={value}");
        }
    }

    #[test]
    fn leaves_mistakes_to_be_reported() {
        for (variable, value) in [
            ("WEGRAPH_PORT", "8000"),
            ("WEGRAPH_DB_PORT", "5432"),
            ("WEGRAPH_HOST", "10.0.0.1"),
            ("WEGRAPH_SERVICE_HOST", "wegraph.example.com"),
            ("WEGRAPH_SERVICE", "10.0.0.1"),
            ("WEGRAPH_SERVICE_PORT_", "8000"),
            ("WEGRAPH_PORT_HTTP_TCP", "tcp://10.0.0.1:8000"),
            ("WEGRAPH_PORT_8000_ICMP", "icmp://10.0.0.1:8000"),
            ("WEGRAPH_HTTP__PORT", "tcp://10.0.0.1:8000"),
            ("WEGRAPH_HTTP__SERVICE_PORT", "8000"),
            ("WEGRAPH_port", "tcp://10.0.0.1:8000"),
            ("WEGRAPH__PORT", "tcp://10.0.0.1:8000"),
            ("WEGRAPH_COLOUR", ""),
            ("WEGRAPH_", ""),
        ] {
            assert!(!is_service_link(variable, value), "{variable}={value}");
        }
    }

    #[test]
    fn finds_the_setting_that_is_meant() {
        let known = [
            "listen",
            "database.url",
            "auth.secret",
            "auth.previous_secrets",
            "cors.origins",
            "rate_limit.enabled",
            "graphql.max_depth",
        ];
        for (name, meant) in [
            ("database_url", Some("database.url")),
            ("databse.url", Some("database.url")),
            ("cors.origin", Some("cors.origins")),
            ("cors_origins", Some("cors.origins")),
            ("ratelimit.enabled", Some("rate_limit.enabled")),
            ("secret", Some("auth.secret")),
            ("max_depth", Some("graphql.max_depth")),
            ("graphql.max-depth", Some("graphql.max_depth")),
            ("port", Some("listen")),
            ("listn", Some("listen")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known.into_iter()), meant, "{name}");
        }
    }

    #[test]
    fn counts_changes() {
        for (a, b, changes) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("设置", "设定", 1),
        ] {
            assert_eq!(distance(a, b), changes, "{a} {b}");
        }
    }
}
