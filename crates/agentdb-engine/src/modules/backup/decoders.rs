//! Decoders of what a store of backups holds, for tests that feed them anything.

use std::path::Path;
use std::sync::Arc;

use agentdb_env::sim::World;

use super::hold::Held;
use super::index::{self, Index};
use super::manifest::Manifest;
use super::vault::{Head, Vault};
use super::{DirectoryStore, lease};
use crate::format::checksum;

/// `STORE`, as read and with its checksum set right.
pub(crate) fn head(bytes: &[u8]) -> bool {
    let decodes = |bytes: &[u8]| {
        let Some(head) = Head::decode(bytes) else { return false };
        assert_eq!(Head::decode(head.encode().as_bytes()), Some(head));
        true
    };
    with_checksum(bytes, checksum, &decodes)
}

/// `HOLD` of a database's directory, likewise.
pub(crate) fn hold(bytes: &[u8]) -> bool {
    let decodes = |bytes: &[u8]| {
        let Some(held) = Held::decode(bytes) else { return false };
        assert_eq!(Held::decode(held.encode().as_bytes()), Some(held));
        true
    };
    with_checksum(bytes, checksum, &decodes)
}

/// A manifest, as read and with its hash set right.
pub(crate) fn manifest(bytes: &[u8]) -> bool {
    let decodes = |bytes: &[u8]| {
        let Some(manifest) = Manifest::decode(bytes) else { return false };
        assert_eq!(Manifest::decode(&manifest.encode()), Some(manifest));
        true
    };
    with_checksum(bytes, |line| blake3::hash(line.as_bytes()).to_hex().to_string(), &decodes)
}

fn with_checksum<C: std::fmt::Display>(
    bytes: &[u8],
    sum: impl Fn(&str) -> C,
    decodes: &dyn Fn(&[u8]) -> bool,
) -> bool {
    let repaired = std::str::from_utf8(bytes).ok().map(|text| {
        let line = text.lines().next().unwrap_or_default();
        decodes(format!("{line}\n{}\n", sum(line)).as_bytes())
    });
    decodes(bytes) || repaired == Some(true)
}

/// A piece of an index.
pub(crate) fn piece(bytes: &[u8]) -> bool {
    let mut index = Index::new();
    if index::decode(bytes, &mut index).is_none() {
        return false;
    }
    let mut again = Index::new();
    for piece in index::encode(&index) {
        assert!(index::decode(&piece, &mut again).is_some());
    }
    assert_eq!(again, index);
    true
}

/// An object of a store that is not sealed; and what it holds, sealed for real.
pub(crate) fn object(bytes: &[u8]) -> bool {
    const NAME: &str = "chunks/00/00";
    let env = World::new(1).env();
    let open = |key| {
        let store = DirectoryStore::new(&env, Path::new("/backups")).expect("a path has a name");
        Vault::open(&env, Arc::new(store), key).expect("a new store opens")
    };
    let (clear, sealed) = (open(None), open(Some([7; 32])));
    // Nobody who has not the key makes an object that opens.
    assert!(sealed.open_object(NAME, bytes).is_err());
    let object = sealed.seal(NAME, bytes).expect("anything can be sealed");
    assert_eq!(sealed.open_object(NAME, &object).as_deref(), Ok(bytes));
    assert!(
        sealed.open_object("chunks/00/01", &object).is_err() && clear.open_object(NAME, &object).is_err()
    );
    let Ok(contents) = clear.open_object(NAME, bytes) else { return false };
    assert_eq!(clear.seal(NAME, &contents).as_deref(), Ok(bytes));
    true
}

/// A lease.
pub(crate) fn lease(bytes: &[u8]) -> bool {
    let Some(ends) = lease::decode(bytes) else { return false };
    assert_eq!(lease::decode(&lease::encode(ends)), Some(ends));
    true
}
