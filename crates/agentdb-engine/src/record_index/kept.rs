//! The words of a collection's texts, kept on the disk, so that not all texts become words again when the database is opened.
//!
//! In the directory `words` lie, for each collection that was searched by words, the segments of its text index
//! (`NAMESPACE-COLLECTION-NUMBER.segment`, the bytes of [`TextIndex::bundle`]) and a list (`NAMESPACE-COLLECTION.list`), which names
//! them and tells what texts every record had. List format version 1 (little-endian):
//!
//! | part | |
//! | --- | --- |
//! | magic | `ADBWORDS` |
//! | version | `u32` |
//! | length | `u64`: of the list in bytes |
//! | segments | varint count, for each, oldest first, its number as a varint, its length in bytes as a varint, its digest `u64` |
//! | records | varint count, for each, in the order of ordinals, its length-prefixed id, and the digest of its texts `u64`; 0 if it has none |
//! | checksum | CRC-32C of everything before it, `u32` |
//!
//! This is *not* a store: everything follows from the rows. What is missing, damaged, of another format, or of other texts or analyzers
//! is passed over, and so is a failure to write it.
//!
//! **Why nothing stale is found.** At opening the rows are walked all the same, and a record has the words of the segments only if
//! its texts have the digest of the list. Versions would not do: a directory that was copied, or put back from a copy, gives the
//! same LSNs to other batches, and so does a log that lost its tail with the power. The LSNs in the segments order the entries of one
//! record, and may be those of any history, but not beyond the one that is opened: what comes next must be later.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentdb_env::{Env, OpenMode};
use agentdb_text::{SegmentId, TextIndex};
use agentdb_types::{Lsn, Result};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

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
    /// By segment of the index.
    files: BTreeMap<SegmentId, SegmentFile>,
}

/// The file of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SegmentFile {
    number: u64,
    bytes: u64,
    digest: u64,
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
    /// What its texts were; [`NO_TEXTS`] if the index has no words of it, which segments do not tell of entries that are dead.
    pub(super) texts: u64,
}

/// The digest of no texts.
pub(super) const NO_TEXTS: u64 = 0;

/// A digest of a record's texts, one for each that is searched.
pub(super) fn digest(texts: &[Option<String>]) -> u64 {
    if texts.iter().all(Option::is_none) {
        return NO_TEXTS;
    }
    let mut hasher = Xxh3::new();
    for text in texts {
        hasher.update(&text.as_ref().map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
        hasher.update(text.as_deref().unwrap_or_default().as_bytes());
    }
    hasher.digest().max(NO_TEXTS + 1)
}

/// What is to be kept: all of one moment.
pub(super) struct Picture {
    pub(super) text: Arc<TextIndex>,
    pub(super) segments: Vec<SegmentId>,
    pub(super) ids: Ids,
    /// By ordinal: what the record's texts are.
    pub(super) texts: Vec<u64>,
    /// How many changes it has that are not kept.
    pub(super) changes: usize,
}

/// What the list of a collection says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct List {
    segments: Vec<SegmentFile>,
    records: Vec<Entry>,
}

/// Bytes of a list before its segments: magic, version, length.
const HEAD: usize = 8 + 4 + 8;

impl List {
    #[cfg(any(test, feature = "decoders"))]
    pub(crate) fn encode(&self) -> Vec<u8> {
        let records = self.records.iter().map(|record| (&*record.id, record.texts));
        encode(&self.segments, self.records.len(), records)
    }

    /// How long the list is of which these are the first bytes; none if they are of nothing known.
    fn length(head: &[u8]) -> Option<u64> {
        let rest = head.strip_prefix(MAGIC)?.strip_prefix(&VERSION.to_le_bytes())?;
        rest.first_chunk().map(|length| u64::from_le_bytes(*length))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, checksum) = bytes.split_last_chunk::<4>()?;
        if List::length(body)? != bytes.len() as u64 || crc32c::crc32c(body) != u32::from_le_bytes(*checksum)
        {
            return None;
        }
        let mut reader = Reader(body.get(HEAD..)?);
        let digest = |reader: &mut Reader<'_>| reader.take(8)?.try_into().ok().map(u64::from_le_bytes);
        let mut list = List::default();
        for _ in 0..reader.varint()? {
            let (number, bytes) = (reader.varint()?, reader.varint()?);
            list.segments.push(SegmentFile { number, bytes, digest: digest(&mut reader)? });
        }
        for _ in 0..reader.varint()? {
            let id = std::str::from_utf8(reader.bytes()?).ok()?.to_owned();
            list.records.push(Entry { id, texts: digest(&mut reader)? });
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
    segments: &[SegmentFile],
    count: usize,
    records: impl Iterator<Item = (&'a str, u64)>,
) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    put_varint(&mut out, segments.len() as u64);
    for SegmentFile { number, bytes, digest } in segments {
        put_varint(&mut out, *number);
        put_varint(&mut out, *bytes);
        out.extend_from_slice(&digest.to_le_bytes());
    }
    put_varint(&mut out, count as u64);
    for (id, texts) in records {
        put_bytes(&mut out, id.as_bytes());
        out.extend_from_slice(&texts.to_le_bytes());
    }
    let length = (out.len() + 4) as u64;
    out[HEAD - 8..HEAD].copy_from_slice(&length.to_le_bytes());
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

    /// What is kept of a collection; none if there is nothing of use at this LSN.
    pub(super) fn find(&self, head: &Head, at: Lsn) -> Option<Found> {
        let list = List::decode(&self.read(&self.list(), List::length)?)?;
        let fields = texts::index(&head.texts).ok()??.fields().to_vec();
        let segment = |file: &SegmentFile| {
            let bundle = self.read(&self.segment(file.number), |_| Some(file.bytes))?;
            (xxh3_64(&bundle) == file.digest).then_some(bundle)
        };
        let bundles: Vec<Vec<u8>> = list.segments.iter().map(segment).collect::<Option<_>>()?;
        let text = TextIndex::open(fields, bundles).ok()?;
        let of_no_record = |slot: u64| usize::try_from(slot).is_ok_and(|slot| slot >= list.records.len());
        // Entries from the future are of another history, whose LSNs are yet to be given again.
        if text.stored().iter().any(|(slot, born)| of_no_record(*slot) || *born > at) {
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
            let file = match kept.files.get(id) {
                Some(file) => *file,
                None => {
                    let Some(bundle) = picture.text.bundle(*id) else { return Ok(None) };
                    let (number, bytes, digest) = (next, bundle.len() as u64, xxh3_64(&bundle));
                    self.write(&self.segment(number), &bundle)?;
                    next += 1;
                    SegmentFile { number, bytes, digest }
                }
            };
            new.files.insert(*id, file);
        }
        let segments: Vec<SegmentFile> =
            picture.segments.iter().filter_map(|id| new.files.get(id).copied()).collect();
        let records = (0..).zip(&picture.texts).map(|(ordinal, texts)| (picture.ids.get(ordinal), *texts));
        let list = encode(&segments, picture.texts.len(), records);
        let beside = self.list().with_extension("new");
        if files.exists(&beside)? {
            files.remove(&beside)?;
        }
        self.write(&beside, &list)?;
        files.rename(&beside, &self.list())?;
        files.sync_dir(&self.directory)?;
        for number in self.numbers()? {
            if segments.iter().all(|file| file.number != number) {
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

    /// A file of the length that its first bytes tell; none if it has another one, or cannot be read.
    fn read(&self, path: &Path, length: impl Fn(&[u8]) -> Option<u64>) -> Option<Vec<u8>> {
        let files = &*self.env.files;
        if !files.exists(path).ok()? {
            return None;
        }
        let file = files.open(path, OpenMode::Read).ok()?;
        let mut head = [0; HEAD];
        let read = file.read_at(0, &mut head).ok()?;
        let length = length(&head[..read]).filter(|length| file.len().is_ok_and(|len| len == *length))?;
        let mut bytes = vec![0; usize::try_from(length).ok()?];
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
