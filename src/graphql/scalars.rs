//! Scalars of the contract.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{Datelike, SecondsFormat};

use crate::platform::clock::Timestamp;

/// A point in time in the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DateTime(pub Timestamp);

impl DateTime {
    /// Reads RFC 3339 text.
    pub fn parse_text(text: &str) -> Option<Self> {
        let time = Timestamp::from(chrono::DateTime::parse_from_rfc3339(text).ok()?.to_utc());
        // The range that every database here can store.
        (1000..=9999)
            .contains(&time.utc().year())
            .then_some(Self(time))
    }

    /// As replies show it.
    pub fn text(self) -> String {
        self.0.utc().to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

/// A point in time as RFC 3339 text, for example `2026-11-21T08:30:00.000Z`. Replies are in UTC with milliseconds; on
/// input any offset is accepted and finer fractions are cut off. Years 1000 to 9999.
#[Scalar(specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Self::parse_text(text)
                .ok_or_else(|| InputValueError::custom("expected an RFC 3339 date and time")),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(text) if Self::parse_text(text).is_some())
    }

    fn to_value(&self) -> Value {
        Value::String(self.text())
    }
}

impl From<Timestamp> for DateTime {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_utc_with_milliseconds() {
        for (input, output) in [
            ("2026-11-21T08:30:00Z", "2026-11-21T08:30:00.000Z"),
            ("2026-11-21T16:30:00.1239+08:00", "2026-11-21T08:30:00.123Z"),
            ("1999-12-31T23:59:60Z", "2000-01-01T00:00:00.000Z"),
        ] {
            let time = DateTime::parse_text(input).unwrap();
            assert_eq!(time.to_value(), Value::String(output.to_owned()));
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "2026-11-21",
            "2026-02-30T00:00:00Z",
            "0999-01-01T00:00:00Z",
            "1700000000",
            "9999-12-31T23:59:60Z",
            "1000-01-01T00:00:00+00:01",
        ] {
            assert_eq!(DateTime::parse_text(text), None, "{text}");
        }
    }
}
