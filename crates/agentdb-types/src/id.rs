//! Ids: whatever the caller gives, kept exactly, within the limit.

use std::fmt;

use crate::{Code, Error, Result, limits};

/// An id of 1 to 512 bytes of UTF-8, kept exactly as given: no case folding, trimming or normalisation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Box<str>);

impl Id {
    /// Parses `text` as an id; `field` is the name that an error gives it.
    ///
    /// # Errors
    /// [`Code::IdEmpty`], [`Code::IdTooLong`].
    pub fn new(field: &'static str, text: impl Into<Box<str>>) -> Result<Self> {
        let text = text.into();
        Self::check(field, &text)?;
        Ok(Id(text))
    }

    /// Checks that `text` could be an id, without keeping it.
    ///
    /// # Errors
    /// [`Code::IdEmpty`], [`Code::IdTooLong`].
    pub fn check(field: &'static str, text: &str) -> Result<()> {
        if text.is_empty() {
            return Err(Error::new(Code::IdEmpty).with("field", field));
        }
        if text.len() > limits::ID_BYTES {
            return Err(Error::new(Code::IdTooLong)
                .with("field", field)
                .with("actual", text.len())
                .with("limit", limits::ID_BYTES));
        }
        Ok(())
    }

    /// Parses bytes that came from outside as an id.
    ///
    /// # Errors
    /// [`Code::InvalidUtf8`] besides those of [`Id::new`].
    pub fn from_utf8(field: &'static str, bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|e| {
            Error::new(Code::InvalidUtf8).with("field", field).with("offset", e.valid_up_to())
        })?;
        Self::new(field, text)
    }

    /// A fresh UUID version 7 (RFC 9562): 48 bits of milliseconds, then 74 bits of `random`.
    pub fn uuid7(unix_ms: u64, random: [u8; 10]) -> Self {
        let mut b = [0u8; 16];
        b[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
        b[6..].copy_from_slice(&random);
        b[6] = 0x70 | (b[6] & 0x0f);
        b[8] = 0x80 | (b[8] & 0x3f);
        let mut text = String::with_capacity(36);
        for (i, byte) in b.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            const HEX: &[u8; 16] = b"0123456789abcdef";
            text.push(HEX[usize::from(byte >> 4)] as char);
            text.push(HEX[usize::from(byte & 15)] as char);
        }
        Id(text.into())
    }

    /// A fresh UUID version 7 that sorts behind those of earlier microseconds and, within one, behind those of a smaller `order`:
    /// behind the milliseconds the 12 bits of their fraction (RFC 9562, section 6.2, method 3), then the low 24 bits of `order`,
    /// then 38 bits of `random`.
    pub fn ordered(unix_us: u64, order: u64, mut random: [u8; 10]) -> Self {
        let fraction = ((unix_us % 1_000 * 4_096 / 1_000) as u16).to_be_bytes();
        random[..2].copy_from_slice(&fraction);
        let order = order & 0xff_ffff;
        random[2] = (order >> 18) as u8;
        random[3] = (order >> 10) as u8;
        random[4] = (order >> 2) as u8;
        random[5] = (order << 6) as u8 | random[5] & 0x3f;
        Id::uuid7(unix_us / 1_000, random)
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> String {
        id.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_in_bytes_and_exact() {
        assert!(Id::new("id", "é".repeat(256)).is_ok());
        let err = Id::new("id", "é".repeat(257)).unwrap_err();
        assert_eq!((err.code(), err.value("actual")), (Code::IdTooLong, Some("514")));
    }

    #[test]
    fn bytes_that_are_not_utf8_name_the_offset() {
        let err = Id::from_utf8("id", b"ab\xff").unwrap_err();
        assert_eq!((err.code(), err.value("offset")), (Code::InvalidUtf8, Some("2")));
    }

    #[test]
    fn ordered_ids_sort_by_microsecond_then_by_order() {
        let moments = [
            (999, 0),
            (1_000, 9),
            (1_001, 1),
            (1_001, 2),
            (1_001, 3),
            (1_001, 4),
            (1_001, 1 << 20),
            (1_999, 0),
        ];
        let ids: Vec<Id> = moments
            .iter()
            .enumerate()
            .map(|(n, (us, order))| Id::ordered(*us, *order, [(7 * n) as u8 ^ 0xff; 10]))
            .collect();
        assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
        assert!(ids.iter().all(|id| id.as_str().as_bytes()[14] == b'7'));
    }

    #[test]
    fn a_uuid7_has_version_variant_and_sorts_by_time() {
        let a = Id::uuid7(1_000, [0xff; 10]);
        let b = Id::uuid7(1_001, [0x00; 10]);
        assert_eq!(a.as_str(), "00000000-03e8-7fff-bfff-ffffffffffff");
        assert!(a < b);
    }
}
