//! JSON from outside, read strictly: duplicate keys, numbers that would change, and deep nesting are errors.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

pub use crate::json_reason::reason;
use crate::{Code, Error, Result, limits};

/// Reads JSON text as a value. `field` is the name that an error gives it.
///
/// # Errors
/// [`Code::InvalidUtf8`]; [`Code::InvalidJson`] for a syntax error, a duplicate key, an integer beyond 64 bits
/// (which would lose digits) or a fraction that would become zero; [`Code::DepthExceeded`].
pub fn parse(field: &str, text: &[u8]) -> Result<Value> {
    parse_around(field, text, 0)
}

/// The same of a text in which the values that the limit of depth is for lie `envelope` deep.
///
/// # Errors
/// Those of [`parse`].
pub fn parse_around(field: &str, text: &[u8], envelope: usize) -> Result<Value> {
    let text = std::str::from_utf8(text)
        .map_err(|e| Error::new(Code::InvalidUtf8).with("field", field).with("offset", e.valid_up_to()))?;
    let fail =
        |reason: &dyn fmt::Display| Error::new(Code::InvalidJson).with("field", field).with("reason", reason);
    // serde_json's own recursion limit (128) would answer first for absurd depths; ours is the stated one.
    let depth = nesting(text).saturating_sub(envelope);
    if depth > limits::JSON_DEPTH {
        return Err(too_deep(field, depth));
    }
    if let Some(reason) = lost_number(text) {
        return Err(fail(&reason));
    }
    let mut de = serde_json::Deserializer::from_str(text);
    let value = Strict.deserialize(&mut de).map_err(|e| fail(&e))?;
    de.end().map_err(|e| fail(&e))?;
    Ok(value)
}

/// Checks the nesting of a value that did not come from text.
///
/// # Errors
/// [`Code::DepthExceeded`].
pub fn check_depth(field: &str, value: &Value) -> Result<()> {
    check_within(field, fits(value, limits::JSON_DEPTH))
}

/// The same of an object.
///
/// # Errors
/// [`Code::DepthExceeded`].
pub fn check_depth_of(field: &str, object: &Map<String, Value>) -> Result<()> {
    check_within(field, object.values().all(|value| fits(value, limits::JSON_DEPTH - 1)))
}

/// Whether a value is at most so deep.
fn fits(value: &Value, depth: usize) -> bool {
    match value {
        _ if depth == 0 => false,
        Value::Array(items) => items.iter().all(|item| fits(item, depth - 1)),
        Value::Object(fields) => fields.values().all(|field| fits(field, depth - 1)),
        _ => true,
    }
}

fn check_within(field: &str, fits: bool) -> Result<()> {
    if fits { Ok(()) } else { Err(too_deep(field, limits::JSON_DEPTH + 1)) }
}

fn too_deep(field: &str, actual: usize) -> Error {
    Error::new(Code::DepthExceeded)
        .with("field", field)
        .with("actual", actual)
        .with("limit", limits::JSON_DEPTH)
}

/// The deepest nesting of brackets outside strings, plus one for the scalar within.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    for token in Tokens::new(text) {
        match token {
            Token::Open => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            Token::Close => depth = depth.saturating_sub(1),
            // A scalar inside the deepest bracket counts, as in `check_depth`.
            Token::Scalar(_) => deepest = deepest.max(depth + 1),
        }
    }
    deepest
}

/// What is wrong with the first number that would become another one: an integer that neither `i64` nor `u64` holds, or a
/// fraction so small that it would become zero. Fractions are rounded to the nearest `f64` otherwise.
fn lost_number(text: &str) -> Option<String> {
    Tokens::new(text).find_map(|token| {
        let Token::Scalar(s) = token else { return None };
        let digits = s.strip_prefix('-').unwrap_or(s);
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        if digits.bytes().all(|b| b.is_ascii_digit()) {
            let fits = s.parse::<i64>().is_ok() || s.parse::<u64>().is_ok();
            return (!fits).then(|| format!("the integer {s} does not fit into 64 bits"));
        }
        let mantissa = digits.split(['e', 'E']).next().unwrap_or(digits);
        let is_zero = mantissa.bytes().all(|b| matches!(b, b'0' | b'.'));
        (s.parse() == Ok(0.0) && !is_zero).then(|| format!("the number {s} is too small for a 64-bit float"))
    })
}

enum Token<'a> {
    Open,
    Close,
    Scalar(&'a str),
}

/// A scan of brackets, strings and other words; it accepts anything and leaves judging syntax to the parser.
struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Tokens { text, at: 0 }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let bytes = self.text.as_bytes();
        loop {
            let start = self.at;
            let byte = *bytes.get(start)?;
            self.at += 1;
            match byte {
                b'{' | b'[' => return Some(Token::Open),
                b'}' | b']' => return Some(Token::Close),
                b'"' => {
                    while let Some(&b) = bytes.get(self.at) {
                        self.at += if b == b'\\' { 2 } else { 1 };
                        if b == b'"' {
                            break;
                        }
                    }
                    // Object keys are strings too; counting them as scalars is harmless: a key has a value beside it.
                    return Some(Token::Scalar("\"\""));
                }
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => {}
                _ => {
                    while bytes.get(self.at).is_some_and(|b| !b" \t\n\r,:[]{}\"".contains(b)) {
                        self.at += 1;
                    }
                    return Some(Token::Scalar(&self.text[start..self.at]));
                }
            }
        }
    }
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Value, E> {
        Number::from_f64(v).map(Value::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(v) = seq.next_element_seed(Strict)? {
            out.push(v);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(Strict)?;
            if out.contains_key(&key) {
                return Err(de::Error::custom(format_args!("the key {key:?} occurs twice")));
            }
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_would_be_changed_is_refused() {
        for text in
            ["{\"a\":1,\"a\":2}", "123456789012345678901234567890", "[1e999]", "{", "", "1 2", "\"\u{1}\""]
        {
            assert_eq!(parse("v", text.as_bytes()).unwrap_err().code(), Code::InvalidJson, "{text}");
        }
        for text in ["1e-400", "[-2.5E-330]", "0.000001e-320"] {
            let err = parse("v", text.as_bytes()).unwrap_err();
            assert!(err.to_string().contains("too small"), "{err}");
        }
        for text in ["0e-400", "-0.0", "5e-324", "\"1e-400\""] {
            assert!(parse("v", text.as_bytes()).is_ok(), "{text}");
        }
        for text in ["1-", "--5"] {
            assert!(!parse("v", text.as_bytes()).unwrap_err().to_string().contains("64 bits"), "{text}");
        }
        assert_eq!(parse("v", b"\"\xff\"").unwrap_err().code(), Code::InvalidUtf8);
        assert_eq!(parse("v", b"[18446744073709551615,-9223372036854775808]").unwrap()[0], u64::MAX);
        assert_eq!(parse("v", br#"{"a":"[[[[\"[["}"#).unwrap()["a"], "[[[[\"[[");
    }

    #[test]
    fn the_depth_limit_is_exact_in_text_and_in_values() {
        let nested = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        let deepest = parse("v", nested(limits::JSON_DEPTH - 1).as_bytes()).unwrap();
        assert!(check_depth("v", &deepest).is_ok());
        let err = parse("v", nested(limits::JSON_DEPTH).as_bytes()).unwrap_err();
        assert_eq!(err.code(), Code::DepthExceeded);
        assert_eq!(check_depth("v", &Value::Array(vec![deepest])).unwrap_err().code(), Code::DepthExceeded);
        assert_eq!(parse("v", "[".repeat(1_000_000).as_bytes()).unwrap_err().code(), Code::DepthExceeded);
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused_without_panic(text in "[\\[\\]{}\":,0-9eE.\\\\ a-z-]{0,60}") {
            if let Ok(v) = parse("v", text.as_bytes()) {
                prop_assert_eq!(parse("v", v.to_string().as_bytes()).unwrap(), v);
            }
        }
    }
}
