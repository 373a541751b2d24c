//! Decoders of what the log and the keyring hold.

use std::path::Path;

use agentdb_env::sim::World;
use agentdb_types::Lsn;

use crate::codec::Reader;
use crate::keyring::{self, Keyring};
use crate::mutation::{self, Body, Change, Mutation, Seal, put_entry};

/// The body of a group.
pub(super) fn entries(bytes: &[u8]) -> bool {
    let mut reader = Reader(bytes);
    let mut count = 0;
    while reader.bytes().is_some() {
        count += 1;
    }
    let Ok(entries) = mutation::entries(bytes, count, Lsn(1)) else { return false };
    assert!(mutation::entries(bytes, count + 1, Lsn(1)).is_err());
    let mut again = Vec::new();
    entries.iter().for_each(|entry| put_entry(&mut again, entry));
    assert_eq!(again, bytes);
    for mutation in entries.iter().flat_map(|entry| &entry.mutations) {
        if let Body::Clear(change) = &mutation.body {
            apply(change);
        }
    }
    true
}

/// Applies a change to rows of several shapes: to each it leads to a row, or is refused.
fn apply(change: &Change) {
    let counter = 41i64.to_le_bytes();
    let long: Vec<u8> = (0..=255).collect();
    for before in [None, Some(&[][..]), Some(&counter), Some(&long)] {
        if let Ok(Some(after)) = change.apply(before) {
            // What led there can be said shorter, and leads there again.
            let shorter = Change::between(before.unwrap_or_default(), after.clone());
            assert_eq!(shorter.apply(before), Ok(Some(after)));
        }
    }
}

/// A kind, then the body of a change.
pub(super) fn change(bytes: &[u8]) -> bool {
    let Some((&kind, body)) = bytes.split_first() else { return false };
    let Some(change) = Change::decode_body(kind, body) else { return false };
    assert_eq!(change.kind(), kind);
    let mut again = Vec::new();
    change.encode_body(&mut again);
    assert_eq!(again, body);
    apply(&change);
    true
}

/// A sealed body: as read, and sealed for real.
pub(super) fn sealed(bytes: &[u8]) -> bool {
    let world = World::new(1);
    let (env, dir) = (world.env(), Path::new("/keys"));
    let ring = Keyring::new(&env, dir);
    let made = env.files.create_dir_all(dir).and_then(|()| ring.ensure("ann"));
    assert_eq!(made, Ok(()));
    let key = b"key of the row".to_vec();
    let of = |kind: u8, sealed: Vec<u8>| Mutation {
        key: key.clone(),
        body: Body::Sealed(kind, sealed),
        keeps: false,
    };
    // Nobody who has not the key makes a body that opens.
    assert!(
        ring.open("ann", &key, bytes).is_ok_and(|body| body.is_none())
            || of(1, bytes.to_vec()).change(Some("ann"), &ring).is_err()
    );
    let Some((&kind, body)) = bytes.split_first() else { return false };
    let context = [&key[..], &[kind]].concat();
    let sealed = ring.seal("ann", &context, body).expect("the subject has a key");
    let opened = of(kind, sealed.clone()).change(Some("ann"), &ring);
    assert_eq!(opened.as_ref().ok(), Change::decode_body(kind, body).as_ref());
    // Under another row's key, or as another kind of change, it does not open.
    assert!(ring.open("ann", b"another row", &sealed).is_err());
    assert!(of(kind ^ 1, sealed).change(Some("ann"), &ring).is_err());
    opened.is_ok()
}

/// A subject's key file, as read and with its checksum set right.
pub(super) fn key_file(bytes: &[u8]) -> bool {
    let decodes = |bytes: &[u8]| {
        let Ok((subject, key)) = keyring::decode(bytes, Path::new("key")) else { return false };
        assert_eq!(keyring::encode(&subject, &key), bytes);
        true
    };
    let mut repaired = bytes.to_vec();
    if let Some((fields, crc)) = repaired.split_last_chunk_mut::<4>() {
        *crc = crc32c::crc32c(fields).to_le_bytes();
    }
    let raw = decodes(bytes);
    decodes(&repaired) || raw
}
