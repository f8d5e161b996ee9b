//! What passes the scan must not harm the parsers, and what a parser takes the scan must have measured right.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/gateway/precheck.rs"]
#[expect(dead_code, reason = "the server uses the rest")]
mod precheck;

use precheck::{scan_json, scan_query};

fuzz_target!(|text: &str| {
    if let Ok(tokens) = scan_query(text, 1000, 32)
        && async_graphql_parser::parse_query(text).is_ok()
    {
        assert!(tokens >= 3, "the shortest document is {{ a }}");
        assert_eq!(scan_query(text, tokens, 32), Ok(tokens));
        assert!(scan_query(text, tokens - 1, 32).is_err());
    }
    if let Ok(values) = scan_json(text.as_bytes(), 10_000, 35)
        && let Ok(value) = serde_json::from_str::<serde_json::Value>(text)
    {
        assert!(count(&value) <= values, "{values} for {value}");
    }
});

/// Values of a JSON value, its own among them.
fn count(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        serde_json::Value::Object(fields) => 1 + fields.values().map(count).sum::<usize>(),
        _ => 1,
    }
}
