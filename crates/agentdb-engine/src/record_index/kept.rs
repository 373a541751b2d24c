//! The words of a collection's texts, kept on the disk, so that not all texts become words again when the database is opened.
//!
//! In the directory `words` lie, for each collection that was searched by words, the segments of its text index
//! (`NAMESPACE-COLLECTION-NUMBER.segment`, the bytes of [`TextIndex::bundle`]) and a list (`NAMESPACE-COLLECTION.list`), which names
//! them and tells the version that every record had. List format version 1 (little-endian):
//!
//! | part | |
//! | --- | --- |
//! | magic | `ADBWORDS` |
//! | version | `u32` |
//! | indexed since | `u64`: the batch that said how records are indexed |
//! | segments | varint count, for each its number as a varint, oldest first |
//! | records | varint count, for each, in the order of ordinals, its length-prefixed id and a varint: twice its version, and 1 if it has words |
//! | checksum | CRC-32C of everything before it, `u32` |
//!
//! This is *not* a store: everything follows from the rows. What is missing, damaged, of another format or of before the
//! collection was altered is passed over, and so is a failure to write it.
//!
//! **Why nothing stale is found.** At opening the rows are walked all the same, and only a record that still has the version of the
//! list has the words of the segments: a version is an LSN, and one LSN is given to one batch. That holds for durable LSNs alone;
//! a list is not written before all of its versions are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentdb_env::{Env, OpenMode};
use agentdb_text::{SegmentId, TextIndex};
use agentdb_types::{Lsn, Result};
use roaring::RoaringBitmap;

use super::ids::Ids;
use crate::codec::{Reader, put_bytes, put_varint};
use crate::modules::collection::{Head, texts};
use crate::vectors::CollectionId;

const DIRECTORY: &str = "words";
const MAGIC: &[u8; 8] = b"ADBWORDS";
const VERSION: u32 = 1;
const SEGMENT: &str = ".segment";
const LIST: &str = ".list";

/// Which files hold the words of one collection.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// By segment of the index, the number of its file.
    files: BTreeMap<SegmentId, u64>,
}

/// What was kept, read again.
pub(super) struct Found {
    pub(super) text: TextIndex,
    /// By ordinal.
    pub(super) records: Vec<Entry>,
    pub(super) kept: Kept,
}

/// A record in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: String,
    /// The version that it had, or the one that ended it.
    pub(super) version: Lsn,
    /// Whether the index has words of it: segments do not tell which of their entries are dead.
    pub(super) has_words: bool,
}

/// What is to be kept: all of one moment.
pub(super) struct Picture {
    pub(super) text: Arc<TextIndex>,
    pub(super) segments: Vec<SegmentId>,
    pub(super) since: Lsn,
    pub(super) ids: Ids,
    pub(super) versions: Vec<Lsn>,
    /// The ordinals of records that have words.
    pub(super) with_words: RoaringBitmap,
    /// How many changes it has that are not kept.
    pub(super) changes: usize,
}

/// What the list of a collection says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct List {
    since: Lsn,
    segments: Vec<u64>,
    records: Vec<Entry>,
}

impl List {
    #[cfg(any(test, feature = "decoders"))]
    pub(crate) fn encode(&self) -> Vec<u8> {
        let records = self.records.iter().map(|record| (&*record.id, record.version, record.has_words));
        encode(self.since, &self.segments, self.records.len(), records)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, checksum) = bytes.split_last_chunk::<4>()?;
        let rest = body.strip_prefix(MAGIC)?.strip_prefix(&VERSION.to_le_bytes())?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let (since, rest) = rest.split_first_chunk::<8>()?;
        let mut reader = Reader(rest);
        let mut list = List { since: Lsn(u64::from_le_bytes(*since)), ..List::default() };
        for _ in 0..reader.varint()? {
            list.segments.push(reader.varint()?);
        }
        for _ in 0..reader.varint()? {
            let id = std::str::from_utf8(reader.bytes()?).ok()?.to_owned();
            let number = reader.varint()?;
            list.records.push(Entry { id, version: Lsn(number >> 1), has_words: number & 1 == 1 });
        }
        reader.is_empty().then_some(list)
    }

    #[cfg(test)]
    pub(super) fn without_the_last(mut self) -> Self {
        self.records.pop();
        self
    }
}

fn encode<'a>(
    since: Lsn,
    segments: &[u64],
    count: usize,
    records: impl Iterator<Item = (&'a str, Lsn, bool)>,
) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&since.0.to_le_bytes());
    put_varint(&mut out, segments.len() as u64);
    segments.iter().for_each(|number| put_varint(&mut out, *number));
    put_varint(&mut out, count as u64);
    for (id, version, has_words) in records {
        put_bytes(&mut out, id.as_bytes());
        put_varint(&mut out, version.0 << 1 | u64::from(has_words));
    }
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// The directory of a database's words, and the files of one collection in it.
pub(super) struct Place<'a> {
    env: &'a Env,
    directory: PathBuf,
    prefix: String,
}

impl<'a> Place<'a> {
    pub(super) fn of(env: &'a Env, database: &Path, (namespace, number): CollectionId) -> Self {
        let prefix = format!("{}-{number}", namespace.number());
        Place { env, directory: database.join(DIRECTORY), prefix }
    }

    fn list(&self) -> PathBuf {
        self.directory.join(format!("{}{LIST}", self.prefix))
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{}-{number}{SEGMENT}", self.prefix))
    }

    /// What is kept of a collection; none if there is nothing of use.
    pub(super) fn find(&self, head: &Head) -> Option<Found> {
        let list = List::decode(&self.read(&self.list())?)?;
        if list.since != head.indexed_since {
            return None;
        }
        let fields = texts::index(&head.texts).ok()??.fields().to_vec();
        let bundles: Vec<Vec<u8>> =
            list.segments.iter().map(|number| self.read(&self.segment(*number))).collect::<Option<_>>()?;
        let text = TextIndex::open(fields, bundles).ok()?;
        let of_no_record = |slot: u64| usize::try_from(slot).is_ok_and(|slot| slot >= list.records.len());
        if text.stored().iter().any(|(slot, _)| of_no_record(*slot)) {
            return None;
        }
        let files = text.segment_ids().into_iter().zip(list.segments).collect();
        Some(Found { text, records: list.records, kept: Kept { files } })
    }

    /// Keeps what a picture shows. Segments that are kept already are not written again. If one of them was merged meanwhile,
    /// nothing is kept, and none is returned.
    ///
    /// # Errors
    /// Those of files.
    pub(super) fn keep(&self, picture: &Picture, kept: &Kept) -> Result<Option<Kept>> {
        let files = &*self.env.files;
        if !files.exists(&self.directory)? {
            files.create_dir_all(&self.directory)?;
        }
        let mut next = self.numbers()?.last().map_or(0, |last| last + 1);
        let mut new = Kept::default();
        for id in &picture.segments {
            let number = match kept.files.get(id) {
                Some(number) => *number,
                None => {
                    let Some(bundle) = picture.text.bundle(*id) else { return Ok(None) };
                    self.write(&self.segment(next), &bundle)?;
                    next += 1;
                    next - 1
                }
            };
            new.files.insert(*id, number);
        }
        let segments: Vec<u64> =
            picture.segments.iter().filter_map(|id| new.files.get(id).copied()).collect();
        let records = (0..).zip(&picture.versions).map(|(ordinal, version)| {
            (picture.ids.get(ordinal), *version, picture.with_words.contains(ordinal))
        });
        let list = encode(picture.since, &segments, picture.versions.len(), records);
        let beside = self.list().with_extension("new");
        if files.exists(&beside)? {
            files.remove(&beside)?;
        }
        self.write(&beside, &list)?;
        files.rename(&beside, &self.list())?;
        files.sync_dir(&self.directory)?;
        for number in self.numbers()? {
            if !segments.contains(&number) {
                files.remove(&self.segment(number))?;
            }
        }
        Ok(Some(new))
    }

    /// Removes everything of the collection.
    ///
    /// # Errors
    /// Those of files.
    pub(super) fn clear(&self) -> Result<()> {
        let files = &*self.env.files;
        if !files.exists(&self.directory)? {
            return Ok(());
        }
        // The list first: without it the segments are nothing.
        if files.exists(&self.list())? {
            files.remove(&self.list())?;
        }
        self.numbers()?.into_iter().try_for_each(|number| files.remove(&self.segment(number)))
    }

    /// The numbers of the segments that lie there, ascending.
    fn numbers(&self) -> Result<Vec<u64>> {
        let names = self.env.files.list(&self.directory)?;
        let number = |name: &String| {
            name.strip_prefix(&self.prefix)?.strip_prefix('-')?.strip_suffix(SEGMENT)?.parse().ok()
        };
        let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let file = self.env.files.open(path, OpenMode::CreateNew)?;
        file.write_at(0, bytes)?;
        file.sync_data()
    }

    fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let files = &*self.env.files;
        if !files.exists(path).ok()? {
            return None;
        }
        let file = files.open(path, OpenMode::Read).ok()?;
        let mut bytes = vec![0; usize::try_from(file.len().ok()?).ok()?];
        let mut read = 0;
        while read < bytes.len() {
            match file.read_at(read as u64, &mut bytes[read..]).ok()? {
                0 => return None,
                more => read += more,
            }
        }
        Some(bytes)
    }
}

/// The collections that have files in the directory.
///
/// # Errors
/// Those of files.
pub(super) fn collections(env: &Env, database: &Path) -> Result<Vec<(u64, u64)>> {
    let directory = database.join(DIRECTORY);
    if !env.files.exists(&directory)? {
        return Ok(Vec::new());
    }
    let of = |name: &String| {
        let mut numbers = name.split(['-', '.']);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    };
    let mut collections: Vec<(u64, u64)> = env.files.list(&directory)?.iter().filter_map(of).collect();
    collections.sort_unstable();
    collections.dedup();
    Ok(collections)
}
