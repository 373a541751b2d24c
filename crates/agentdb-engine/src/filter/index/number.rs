//! Numbers as keys: ordered as they compare, integers of 64 bits and floats together, without rounding.

use agentdb_types::Timestamp;
use serde_json::{Number, Value};

/// A number: the nearest 64-bit float, and how far the number lies above it. Only integers beyond 2^53 lie beside their float,
/// by 1,024 at most. Since rounding keeps the order, comparing the two parts in turn compares the numbers; equal numbers have
/// equal parts, however they are written. Ten bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C, packed(2))]
pub(super) struct Num {
    /// The float's bits, so that they order as integers.
    float: u64,
    above: i16,
}

const SIGN: u64 = 1 << 63;

impl Num {
    pub(super) fn new(number: &Number) -> Num {
        let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
        integer.map_or_else(|| Num::float(number.as_f64().unwrap_or_default(), 0), Num::integer)
    }

    pub(super) fn time(time: Timestamp) -> Num {
        Num::integer(time.micros().into())
    }

    fn integer(integer: i128) -> Num {
        let nearest = integer as f64;
        // A 64-bit integer and its float are 1,024 apart at most.
        Num::float(nearest, (integer - nearest as i128) as i16)
    }

    fn float(float: f64, above: i16) -> Num {
        // There is one zero.
        let bits = (float + 0.0).to_bits();
        Num { float: if bits & SIGN == 0 { bits | SIGN } else { !bits }, above }
    }

    /// The nearest float.
    pub(super) fn to_f64(self) -> f64 {
        f64::from_bits(if self.float & SIGN == 0 { !self.float } else { self.float & !SIGN })
    }

    /// The integer that it is, if it is one and fits into 64 bits with or without a sign.
    pub(super) fn to_integer(self) -> Option<i128> {
        let float = self.to_f64();
        if float.fract() != 0.0 || float.abs() > 2f64.powi(64) {
            return None;
        }
        let integer = float as i128 + i128::from(self.above);
        (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&integer).then_some(integer)
    }

    /// The number as JSON, an integer if it is one.
    pub(super) fn to_value(self) -> Value {
        match self.to_integer() {
            Some(integer) => Value::Number(
                i64::try_from(integer).map(Number::from).unwrap_or_else(|_| Number::from(integer as u64)),
            ),
            None => Value::from(self.to_f64()),
        }
    }

    /// The time of so many microseconds.
    pub(super) fn to_time(self) -> Timestamp {
        let micros = self.to_integer().and_then(|i| i64::try_from(i).ok());
        micros.and_then(|m| Timestamp::from_micros(m).ok()).unwrap_or_default()
    }
}
