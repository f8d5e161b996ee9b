//! Origins and names of headers, as browsers write them.

use reqwest::Url;
use reqwest::header::HeaderName;

/// `text` as the `Origin` header has it: in lower case, without the default port and without the
/// slash that the address bar adds.
///
/// # Errors
/// What is wrong.
pub(super) fn parse_origin(text: &str) -> Result<String, String> {
    if text == "*" {
        return Err("* stands for all origins and must stand alone".to_owned());
    }
    if text.contains('*') {
        return Err(format!(
            "{text:?}: * stands for all origins and for no part of one; list each origin"
        ));
    }
    let wrong = || format!("{text:?} is no origin like https://admin.example.com");
    // The parser of URLs mends more than can be meant: backslashes, missing slashes, tabs.
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control();
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str())
        || !authority.chars().all(is_plain)
        || authority.contains(['/', '\\', '@', '?', '#'])
    {
        return Err(wrong());
    }
    let url = format!("{scheme}://{authority}").parse::<Url>();
    Ok(url.map_err(|_| wrong())?.origin().ascii_serialization())
}

/// The name of a request header.
///
/// # Errors
/// What is wrong.
pub(super) fn parse_header_name(text: &str) -> Result<HeaderName, String> {
    if text == "*" {
        return Err(
            "\"*\" allows nothing to those who call with credentials; list each header".to_owned(),
        );
    }
    HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| format!("{text:?} is no name of a header, like x-requested-with"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_the_browser_will_send() {
        for (text, origin) in [
            ("https://admin.example.com", "https://admin.example.com"),
            ("https://admin.example.com/", "https://admin.example.com"),
            ("HTTPS://Admin.Example.COM", "https://admin.example.com"),
            (
                "https://admin.example.com:443/",
                "https://admin.example.com",
            ),
            ("http://admin.example.com:80", "http://admin.example.com"),
            (
                "https://admin.example.com:8443",
                "https://admin.example.com:8443",
            ),
            ("http://[::1]:5173/", "http://[::1]:5173"),
            ("https://例子.测试", "https://xn--fsqu00a.xn--0zwm56d"),
        ] {
            assert_eq!(parse_origin(text).as_deref(), Ok(origin), "{text}");
        }
    }

    #[test]
    fn what_no_browser_sends_is_no_origin() {
        for text in [
            "admin.example.com",
            "https:admin.example.com",
            "https:\\\\admin.example.com",
            "https://",
            "https:///",
            "https://admin.example.com//",
            "https://admin.example.com/app",
            "https://admin.example.com?x",
            "https://admin.example.com#x",
            "https://me@admin.example.com",
            "https://admin.example.com:70000",
            "https://admin example.com",
            "ftp://admin.example.com",
            "null",
        ] {
            let error = parse_origin(text).expect_err(text);
            assert!(error.contains("is no origin like"), "{text}: {error}");
        }
        for text in ["https://*.example.com", "https://*", "*.example.com", "*"] {
            let error = parse_origin(text).expect_err(text);
            assert!(
                error.contains("* stands for all origins"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_header_has_a_name() {
        let name = parse_header_name("X-Requested-With").expect("a name");
        assert_eq!(name, "x-requested-with");
        for text in ["x requested", "x:y", "头", "", "*"] {
            assert!(parse_header_name(text).is_err(), "{text}");
        }
    }
}
