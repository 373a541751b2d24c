//! The index of a backup: its files and their chunks, in the order of their paths. It lies in chunks itself, cut where the
//! paths say, so that the index of the next backup shares those in whose stretch nothing changed.
//!
//! Format version 1, behind a version byte; for each file: its path, length-prefixed; its length; the count of its chunks;
//! for each chunk its name (32 bytes) and its length. Integers are varints. Where the chunks end before the file does,
//! zeros follow.

use std::collections::BTreeMap;

use super::vault::ChunkName;
use crate::codec::{Reader, put_bytes, put_varint};

const VERSION: u8 = 1;
/// One path in so many ends a piece.
const CUT_EVERY: u8 = 128;

/// A chunk of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) name: ChunkName,
    pub(crate) bytes: u32,
}

/// A file of a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileEntry {
    /// Its length.
    pub(crate) bytes: u64,
    pub(crate) chunks: Vec<Chunk>,
}

/// Files by their paths from the database's directory.
pub(crate) type Index = BTreeMap<String, FileEntry>;

/// The pieces of an index.
pub(crate) fn encode(index: &Index) -> Vec<Vec<u8>> {
    let (mut pieces, mut piece) = (Vec::new(), vec![VERSION]);
    for (path, entry) in index {
        put_bytes(&mut piece, path.as_bytes());
        put_varint(&mut piece, entry.bytes);
        put_varint(&mut piece, entry.chunks.len() as u64);
        for chunk in &entry.chunks {
            piece.extend_from_slice(&chunk.name);
            put_varint(&mut piece, u64::from(chunk.bytes));
        }
        if blake3::hash(path.as_bytes()).as_bytes()[0] < u8::MAX / CUT_EVERY + 1 {
            pieces.push(std::mem::replace(&mut piece, vec![VERSION]));
        }
    }
    if piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

/// Adds the files of a piece to an index; `None` if it is malformed.
pub(crate) fn decode(piece: &[u8], index: &mut Index) -> Option<()> {
    let mut reader = Reader(piece);
    (reader.byte()? == VERSION).then_some(())?;
    while !reader.is_empty() {
        let path = std::str::from_utf8(reader.bytes()?).ok().filter(|path| is_safe(path))?.to_owned();
        let (bytes, count) = (reader.varint()?, reader.varint()?);
        let mut entry = FileEntry { bytes, chunks: Vec::new() };
        let mut covered = 0u64;
        for _ in 0..count {
            let name = reader.take(32)?.try_into().ok()?;
            let bytes = u32::try_from(reader.varint()?).ok()?;
            covered += u64::from(bytes);
            entry.chunks.push(Chunk { name, bytes });
        }
        (covered <= bytes && index.last_key_value().is_none_or(|(last, _)| *last < path)).then_some(())?;
        index.insert(path, entry);
    }
    Some(())
}

/// Whether a path stays below the directory that it is joined to.
fn is_safe(path: &str) -> bool {
    let is_name = |part: &str| {
        !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', ':']) && !part.contains('\0')
    };
    path.split('/').all(is_name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = FileEntry> {
        prop::collection::vec((any::<[u8; 32]>(), 0u32..1000), 0..4).prop_map(|chunks| {
            let chunks: Vec<Chunk> = chunks.into_iter().map(|(name, bytes)| Chunk { name, bytes }).collect();
            FileEntry { bytes: chunks.iter().map(|c| u64::from(c.bytes)).sum::<u64>() + 7, chunks }
        })
    }

    proptest! {
        #[test]
        fn an_index_reads_back_as_written(index in prop::collection::btree_map("[a-z0-9/]{1,3}[a-z]", entry(), 0..300)) {
            let index: Index = index.into_iter().filter(|(path, _)| is_safe(path)).collect();
            let mut again = Index::new();
            for piece in encode(&index) {
                decode(&piece, &mut again).unwrap();
            }
            prop_assert_eq!(again, index);
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&bytes, &mut Index::new());
        }
    }

    #[test]
    fn no_path_leaves_the_directory() {
        for path in ["../a", "/a", "a/../b", "a//b", "", "a/.", "c:\\x"] {
            assert!(!is_safe(path), "{path}");
        }
    }
}
