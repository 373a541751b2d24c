//! Row keys: the namespace, the table, then components whose byte order is their logical order.
//!
//! Every key is self-delimiting: no key is a prefix of another key of its table. An integer is eight big-endian bytes;
//! a text has each zero byte followed by 0xff and ends with 0x00 0x01.

use agentdb_types::{Code, Error, Result};

use crate::Table;

/// The number of a namespace: the first component of every key. Numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceId(pub(crate) u64);

impl NamespaceId {
    /// The namespace that holds the list of namespaces.
    pub const SYSTEM: NamespaceId = NamespaceId(0);
    /// The namespace called `default`, which always exists.
    pub const DEFAULT: NamespaceId = NamespaceId(1);

    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// The key of a row, or the common start of the keys of several.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<u8>);

const TABLE_AT: usize = 8;

impl Key {
    /// The start of every key of a table.
    pub fn new(namespace: NamespaceId, table: Table) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&namespace.0.to_be_bytes());
        bytes.push(table as u8);
        Key(bytes)
    }

    /// The start of every key of a namespace.
    pub fn namespace(namespace: NamespaceId) -> Self {
        Key(namespace.0.to_be_bytes().to_vec())
    }

    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Key(bytes)
    }

    /// With an integer component.
    #[must_use]
    pub fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// With a text component.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        let mut key = self.text_prefix(text);
        key.0.extend_from_slice(&[0, 1]);
        key
    }

    /// With the start of a text component: the common start of all keys whose text starts so.
    #[must_use]
    pub fn text_prefix(mut self, text: &str) -> Self {
        if text.as_bytes().contains(&0) {
            for &byte in text.as_bytes() {
                self.0.push(byte);
                if byte == 0 {
                    self.0.push(0xff);
                }
            }
        } else {
            self.0.extend_from_slice(text.as_bytes());
        }
        self
    }

    /// With bytes that are a key of their own already.
    #[must_use]
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The first key after all those that start with this one; `None` if there is none.
    pub fn after_prefix(&self) -> Option<Key> {
        let mut bytes = self.0.clone();
        while let Some(last) = bytes.pop() {
            if last != 0xff {
                bytes.push(last + 1);
                return Some(Key(bytes));
            }
        }
        None
    }

    /// The key of the same components in another table.
    pub(crate) fn in_table(&self, table: Table) -> Key {
        let mut bytes = self.0.clone();
        bytes[TABLE_AT] = table as u8;
        Key(bytes)
    }

    /// The key of the same table and components in another namespace.
    pub(crate) fn in_namespace(&self, namespace: NamespaceId) -> Key {
        let mut bytes = self.0.clone();
        bytes[..TABLE_AT].copy_from_slice(&namespace.0.to_be_bytes());
        Key(bytes)
    }

    /// The namespace of a key.
    pub(crate) fn namespace_of(bytes: &[u8]) -> Option<NamespaceId> {
        bytes.first_chunk().map(|b| NamespaceId(u64::from_be_bytes(*b)))
    }

    /// The number of the table of a key.
    pub(crate) fn table_of(bytes: &[u8]) -> Option<u8> {
        bytes.get(TABLE_AT).copied()
    }

    /// The first component of a key, if that is an integer; of another kind it is any number.
    pub(crate) fn number_of(bytes: &[u8]) -> Option<u64> {
        bytes.get(TABLE_AT + 1..)?.first_chunk().map(|b| u64::from_be_bytes(*b))
    }

    /// Reads the components of a key behind namespace and table.
    pub fn components(&self) -> Components<'_> {
        Components { bytes: self.0.get(TABLE_AT + 1..).unwrap_or_default() }
    }
}

/// Takes a key apart, in the order in which it was built.
pub struct Components<'a> {
    bytes: &'a [u8],
}

impl Components<'_> {
    /// The next component, an integer.
    ///
    /// # Errors
    /// [`Code::RowsCorrupt`] if the key is not of that shape.
    pub fn u64(&mut self) -> Result<u64> {
        let (head, rest) = self.bytes.split_first_chunk().ok_or_else(malformed)?;
        self.bytes = rest;
        Ok(u64::from_be_bytes(*head))
    }

    /// The next component, a text.
    ///
    /// # Errors
    /// [`Code::RowsCorrupt`] if the key is not of that shape.
    pub fn text(&mut self) -> Result<String> {
        let mut text = Vec::new();
        let mut bytes = self.bytes.iter().copied();
        loop {
            match bytes.next().ok_or_else(malformed)? {
                0 => match bytes.next() {
                    Some(1) => break,
                    Some(0xff) => text.push(0),
                    _ => return Err(malformed()),
                },
                byte => text.push(byte),
            }
        }
        self.bytes = &self.bytes[self.bytes.len() - bytes.len()..];
        String::from_utf8(text).map_err(|_| malformed())
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &[u8] {
        self.bytes
    }
}

fn malformed() -> Error {
    Error::new(Code::RowsCorrupt).with("reason", "a row's key has not the shape of its table's keys")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str, number: u64) -> Key {
        Key::new(NamespaceId::DEFAULT, Table::State).text(text).u64(number)
    }

    proptest! {
        #[test]
        fn the_order_of_keys_is_the_order_of_components(
            a in "[\\x00-\\x02é]{0,4}", b in "[\\x00-\\x02é]{0,4}", n: u64, m: u64
        ) {
            prop_assert_eq!(key(&a, n).cmp(&key(&b, m)), (a.as_bytes(), n).cmp(&(b.as_bytes(), m)));
        }

        #[test]
        fn components_come_back(text in "\\PC{0,8}|[\\x00\\x01]{0,5}", number: u64) {
            let key = key(&text, number);
            let mut parts = key.components();
            prop_assert_eq!(parts.text().unwrap(), text);
            prop_assert_eq!(parts.u64().unwrap(), number);
            prop_assert!(parts.rest().is_empty());
        }

        #[test]
        fn a_text_prefix_covers_exactly_the_texts_that_start_so(text in "[\\x00ab]{0,4}", prefix in "[\\x00ab]{0,3}") {
            let from = Key::new(NamespaceId::DEFAULT, Table::State).text_prefix(&prefix);
            let key = Key::new(NamespaceId::DEFAULT, Table::State).text(&text);
            let covered = key >= from && from.after_prefix().is_none_or(|end| key < end);
            prop_assert_eq!(covered, text.starts_with(&prefix));
        }
    }
}
