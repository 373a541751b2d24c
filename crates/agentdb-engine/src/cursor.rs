//! Page cursors: where a list goes on, opaque to the caller, bound to the list that gave it.

use agentdb_types::{Code, Error, Result};

use crate::key::Key;

/// A cursor that continues the list of `prefix` after `last`.
pub(crate) fn encode(prefix: &Key, last: &Key) -> String {
    let mut bytes = last.as_bytes()[prefix.as_bytes().len().min(last.as_bytes().len())..].to_vec();
    let mut check = crc32c::crc32c(prefix.as_bytes());
    check = crc32c::crc32c_append(check, &bytes);
    bytes.extend_from_slice(&check.to_be_bytes());
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The key after which the list of `prefix` continues.
pub(crate) fn decode(prefix: &Key, cursor: &str) -> Result<Key> {
    let fail = |reason: &str| Error::new(Code::InvalidCursor).with("reason", reason);
    let digits: Vec<u8> = cursor
        .chars()
        .map(|c| c.to_digit(16).map(|d| d as u8))
        .collect::<Option<_>>()
        .filter(|d: &Vec<u8>| d.len().is_multiple_of(2))
        .ok_or_else(|| fail("it is not hexadecimal"))?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    let (rest, check) = bytes.split_last_chunk::<4>().ok_or_else(|| fail("it is too short"))?;
    let expected = crc32c::crc32c_append(crc32c::crc32c(prefix.as_bytes()), rest);
    if expected.to_be_bytes() != *check {
        return Err(fail("it belongs to another list, or was altered"));
    }
    Ok(prefix.clone().raw(rest))
}
