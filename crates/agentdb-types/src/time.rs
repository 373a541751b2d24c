//! Times and durations: microseconds, UTC; RFC 3339 on the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Code, Error, Result, limits};

/// Microseconds of a duration, as requests give it.
pub type Duration = i64;

/// A point in time: microseconds since 1970-01-01T00:00:00Z, not before it and not after the year 9999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// A time from its microseconds since 1970.
    ///
    /// # Errors
    /// [`Code::InvalidTime`] outside 1970 to 9999.
    pub fn from_micros(micros: i64) -> Result<Self> {
        if (0..=limits::TIME_MAX_US).contains(&micros) {
            Ok(Timestamp(micros))
        } else {
            Err(Error::new(Code::InvalidTime)
                .with("field", "time")
                .with("value", micros)
                .with("reason", "it lies outside the years 1970 to 9999"))
        }
    }

    /// Microseconds since 1970.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> u64 {
        self.0.unsigned_abs() / 1_000
    }

    /// This time plus a positive duration.
    ///
    /// # Errors
    /// [`Code::TtlOutOfRange`] for a duration that is not positive or that ends after the year 9999.
    pub fn after(self, ttl: Duration) -> Result<Self> {
        let end = self.0.checked_add(ttl).filter(|e| ttl > 0 && *e <= limits::TIME_MAX_US);
        end.map(Timestamp).ok_or_else(|| {
            Error::new(Code::TtlOutOfRange).with("actual", ttl).with("limit", limits::TIME_MAX_US - self.0)
        })
    }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
fn days_from_civil(y: i64, m: i64, d: i64) -> i64 {
    let y = if m <= 2 { y - 1 } else { y };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((m + 9) % 12) + 2) / 5 + d - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * mp + 2) / 5 + 1)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, rest) = (self.0.div_euclid(86_400_000_000), self.0.rem_euclid(86_400_000_000));
        let (y, m, d) = civil_from_days(days);
        let (s, us) = (rest / 1_000_000, rest % 1_000_000);
        write!(f, "{y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}.{us:06}Z", s / 3_600, s / 60 % 60, s % 60)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    /// Parses RFC 3339 with any offset and up to six digits of a second's fraction.
    fn from_str(text: &str) -> Result<Self> {
        let fail = |reason: &str| {
            Error::new(Code::InvalidTime).with("field", "time").with("value", text).with("reason", reason)
        };
        let b = text.as_bytes();
        let shape = b.len() >= 20
            && [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')].iter().all(|&(i, c)| b[i] == c)
            && matches!(b[10], b'T' | b't' | b' ');
        if !shape {
            return Err(fail("it is not written like 2026-01-31T12:00:00Z"));
        }
        let number = |from: usize, to: usize| -> Result<i64> {
            let digits = b.get(from..to).ok_or_else(|| fail("it ends early"))?;
            digits.iter().try_fold(0i64, |n, c| match c {
                b'0'..=b'9' => Ok(n * 10 + i64::from(c - b'0')),
                _ => Err(fail("a digit is missing")),
            })
        };
        let (y, m, d) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (h, min, s) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        if civil_from_days(days_from_civil(y, m.clamp(1, 12), d)) != (y, m, d) {
            return Err(fail("there is no such day"));
        }
        if h > 23 || min > 59 || s > 59 {
            return Err(fail("there is no such time of day"));
        }
        let mut at = 19;
        let mut us = 0;
        if b[at] == b'.' {
            let digits = b[at + 1..].iter().take_while(|c| c.is_ascii_digit()).count();
            if digits > 6 {
                return Err(fail(
                    "a second has at most six digits after the point: times are in microseconds",
                ));
            }
            if digits == 0 {
                return Err(fail("a digit is missing after the point"));
            }
            us = number(at + 1, at + 1 + digits)? * 10i64.pow(6 - digits as u32);
            at += 1 + digits;
        }
        let offset = match b.get(at) {
            Some(b'Z' | b'z') if b.len() == at + 1 => 0,
            Some(sign @ (b'+' | b'-')) if b.len() == at + 6 && b[at + 3] == b':' => {
                let (oh, om) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
                if oh > 23 || om > 59 {
                    return Err(fail("there is no such offset"));
                }
                (oh * 3_600 + om * 60) * if *sign == b'+' { 1 } else { -1 }
            }
            _ => return Err(fail("the offset (Z or +hh:mm) is missing or malformed")),
        };
        let seconds = days_from_civil(y, m, d) * 86_400 + h * 3_600 + min * 60 + s - offset;
        Timestamp::from_micros(seconds * 1_000_000 + us)
            .map_err(|_| fail("it lies outside the years 1970 to 9999"))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // Which field it is, whoever decodes the whole says.
        text.parse().map_err(|err: Error| {
            let reason = err.value("reason").unwrap_or("it is malformed");
            serde::de::Error::custom(format_args!("{text:?} is not a time: {reason}"))
        })
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_time_reads_back_as_written(us in 0..=limits::TIME_MAX_US) {
            let t = Timestamp::from_micros(us).unwrap();
            prop_assert_eq!(t.to_string().parse::<Timestamp>().unwrap(), t);
        }

        #[test]
        fn any_text_parses_or_is_refused_without_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<Timestamp>();
        }
    }

    #[test]
    fn known_times() {
        for (text, us) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59.5+01:00", 951_865_199_500_000),
            ("9999-12-31T23:59:59.999999Z", limits::TIME_MAX_US),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().micros(), us, "{text}");
        }
        for text in [
            "2001-02-29T00:00:00Z",
            "2000-13-01T00:00:00Z",
            "2000-01-01T24:00:00Z",
            "2000-01-01T00:00:00",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap_err().code(), Code::InvalidTime, "{text}");
        }
    }
}
