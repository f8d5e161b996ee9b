//! Scalars of the contract.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{Datelike, SecondsFormat, TimeDelta, Timelike};

use crate::platform::clock::Timestamp;

/// A point in time in the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DateTime(pub Timestamp);

/// Reads a date and time of RFC 3339, section 5.6, exactly: `T` and `Z` in either case, any number
/// of digits in a fraction of a second, hours up to 23 and minutes up to 59 in time and offset. The
/// second 60 exists as the last one of a month in UTC, whether or not it was inserted there.
///
/// `None` for anything else, and for years before 1000 or after 9999 in UTC, which not every
/// database here can store.
pub fn parse_date_time(text: &str) -> Option<DateTime> {
    // The library also takes a space for the `T`, U+2212 for the minus, and the second 60 anywhere.
    if !has_form_of_rfc3339(text) {
        return None;
    }
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    let is_leap_second = time.nanosecond() >= 1_000_000_000;
    let next_second = time.with_nanosecond(0)? + TimeDelta::seconds(1);
    let starts_month = next_second.day() == 1 && next_second.num_seconds_from_midnight() == 0;
    if is_leap_second && !starts_month {
        return None;
    }
    let time = Timestamp::from(time);
    (1000..=9999)
        .contains(&time.utc().year())
        .then_some(DateTime(time))
}

/// Whether the signs of RFC 3339 stand in their places, with digits of ASCII between them.
fn has_form_of_rfc3339(text: &str) -> bool {
    let Some((start, rest)) = text.split_at_checked("0000-00-00T00:00:00".len()) else {
        return false;
    };
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => {
            let offset = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if offset == fraction {
                return false;
            }
            offset
        }
        None => rest,
    };
    let is_offset = |form| is_like(offset, form);
    is_like(start, "0000-00-00T00:00:00") && ["Z", "+00:00", "-00:00"].into_iter().any(is_offset)
}

/// Whether `text` is `form` with other digits, in either case.
fn is_like(text: &str, form: &str) -> bool {
    let is_alike = |(byte, sign): (u8, u8)| match sign {
        b'0' => byte.is_ascii_digit(),
        sign => byte.eq_ignore_ascii_case(&sign),
    };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(is_alike)
}

impl DateTime {
    /// As replies show it.
    pub fn text(self) -> String {
        self.0.utc().to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

/// A point in time as RFC 3339 text, for example `2026-11-21T08:30:00.000Z`. Replies are in UTC
/// with milliseconds; on input any offset up to 23:59 is accepted and finer fractions are cut off.
/// A leap second is read as the second after it. Years 1000 to 9999.
#[Scalar(specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => parse_date_time(text)
                .ok_or_else(|| InputValueError::custom("expected an RFC 3339 date and time")),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(text) if parse_date_time(text).is_some())
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
            ("2026-11-21t08:30:00z", "2026-11-21T08:30:00.000Z"),
            (
                "2026-11-21T08:30:00.1234567890123Z",
                "2026-11-21T08:30:00.123Z",
            ),
            ("2026-11-21T08:30:00-00:00", "2026-11-21T08:30:00.000Z"),
            ("2026-11-21T08:30:00-23:59", "2026-11-22T08:29:00.000Z"),
            ("1999-12-31T23:59:60Z", "2000-01-01T00:00:00.000Z"),
            ("1990-12-31T15:59:60.5-08:00", "1991-01-01T00:00:00.500Z"),
        ] {
            let time = parse_date_time(input).unwrap();
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
            "10000-01-01T00:00:00Z",
            "+2026-11-21T08:30:00Z",
            "-2026-11-21T08:30:00Z",
            "2026-11-21T08:30:00",
            "2026-11-21T08:30Z",
            "2026-11-21 08:30:00Z",
            "2026-11-21_08:30:00Z",
            " 2026-11-21T08:30:00Z",
            "2026-11-21T08:30:00Z\n",
            "2026-11-21T08:30:00 Z",
            "2026-11-21T08:30:00.Z",
            "2026-11-21T08:30:00,5Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T08:60:00Z",
            "2026-11-21T08:30:61Z",
            "2026-11-21T08:30:60Z",
            "2026-11-21T23:59:60Z",
            "2026-11-30T23:59:60+08:00",
            "2026-11-21T08:30:00+2400",
            "2026-11-21T08:30:00+0800",
            "2026-11-21T08:30:00+08",
            "2026-11-21T08:30:00+8:00",
            "2026-11-21T08:30:00+24:00",
            "2026-11-21T08:30:00+08:60",
            "2026-11-21T08:30:00+08:00:00",
            "2026-11-21T08:30:00\u{2212}08:00",
            "2026\u{2212}11\u{2212}21T08:30:00Z",
            "２０２６-11-21T08:30:00Z",
            "2026-11-2é1T08:30:00Z",
            "2026-1-21T08:30:00Z",
            "2026-W47-6T08:30:00Z",
        ] {
            assert_eq!(parse_date_time(text), None, "{text:?}");
        }
    }
}
