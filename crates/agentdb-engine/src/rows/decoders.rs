//! The decoders of the files of rows, for tests that feed them anything, and runs taken apart and put together again.

#[cfg(test)]
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use agentdb_env::sim::World;
use agentdb_types::{Lsn, Result};

use super::Direction;
use super::block::{self, Block};
use super::cache::BlockCache;
use super::manifest::Manifest;
use super::memtable::Version;
use super::packed::{self, Stored};
use super::run::{FOOTER_BYTES, HEADER_BYTES, Run, file_name};
use super::run_iter::RunIter;
use super::run_writer::RunWriter;

/// The bytes with their last four made the checksum of the others.
pub(crate) fn repaired(bytes: &[u8]) -> Vec<u8> {
    let mut repaired = bytes.to_vec();
    if let Some((fields, crc)) = repaired.split_last_chunk_mut::<4>() {
        *crc = crc32c::crc32c(fields).to_le_bytes();
    }
    repaired
}

/// A block, as read and with its checksum set right.
pub(crate) fn block(bytes: &[u8]) -> bool {
    let decodes = |bytes: &[u8]| {
        let Some(block) = Block::decode(bytes.into()) else { return false };
        let mut rows: Vec<Version> = Vec::new();
        for index in 0..block.len() {
            let (Some(entry), Some(key)) = (block.entry(index), block.key_at(index)) else { return false };
            if !block.is_whole(&entry) || rows.last().is_some_and(|(last, ..)| *last >= key) {
                return false;
            }
            rows.push((key, entry.lsn, entry.body.map(Arc::from)));
        }
        for (index, (key, ..)) in rows.iter().enumerate() {
            assert_eq!(block.find(key), Some((index, true)));
        }
        let mut again = Vec::new();
        block::encode(&rows, &mut again);
        let again = Block::decode(again.into()).expect("a block that was encoded decodes");
        assert_eq!(again.len(), rows.len());
        true
    };
    let raw = decodes(bytes);
    decodes(&repaired(bytes)) || raw
}

/// A packed block, as read and with its checksum set right.
pub(crate) fn packed(bytes: &[u8]) -> bool {
    let decodes = |bytes: &[u8]| {
        let stored = Stored { bytes: bytes.into(), packed: true };
        let named = stored.clone().damaged_keys();
        let Some(block) = stored.decode() else { return false };
        let rows: Option<Vec<Version>> = (0..block.len())
            .map(|index| {
                let (entry, key) = (block.entry(index)?, block.key_at(index)?);
                block.is_whole(&entry).then(|| (key, entry.lsn, entry.body.map(Arc::from)))
            })
            .collect();
        assert_eq!(rows.is_none(), !named.is_empty(), "a row that does not hold is named");
        let Some(rows) = rows.filter(|rows| rows.windows(2).all(|pair| pair[0].0 < pair[1].0)) else {
            return false;
        };
        let mut again = Vec::new();
        let packed = packed::encode(&rows, &mut again);
        let again =
            Stored { bytes: again.into(), packed }.decode().expect("a block that was encoded decodes");
        assert_eq!(again.len(), rows.len());
        true
    };
    let raw = decodes(bytes);
    decodes(&repaired(bytes)) || raw
}

/// A manifest, as read and with its checksum set right.
pub(crate) fn manifest(bytes: &[u8]) -> bool {
    let decodes = |bytes: &[u8]| {
        let Some(manifest) = Manifest::parse(bytes) else { return false };
        assert_eq!(manifest.encode(), bytes);
        true
    };
    let raw = decodes(bytes);
    decodes(&repaired(bytes)) || raw
}

const DIR: &str = "/rows";

fn open(bytes: &[u8]) -> Result<Arc<Run>> {
    let world = World::new(1);
    let path = Path::new(DIR).join(file_name(1));
    world.write_file(&path, bytes).expect("a simulated disk takes any bytes");
    Run::open(&world.env(), Path::new(DIR), 1).map(Arc::new)
}

/// A whole run, as read and with the checksum of header and footer set right. One that holds is written again the same.
pub(crate) fn run(bytes: &[u8]) -> bool {
    let decodes = |bytes: &[u8]| {
        let Ok(run) = open(bytes) else { return false };
        let mut whole = true;
        let checked = run.check(&mut |row| whole &= row.is_ok(), &|| false);
        let rows = rows_of(&run);
        whole &= checked.is_ok() && rows.is_ok();
        if whole {
            assert!(write(rows.unwrap_or_default()) == bytes, "a run that holds is written again otherwise");
        }
        whole
    };
    let mut repaired = bytes.to_vec();
    if let Some((rest, footer)) = repaired.split_last_chunk_mut::<FOOTER_BYTES>()
        && let Some(header) = rest.get(..HEADER_BYTES)
    {
        let crc = crc32c::crc32c_append(crc32c::crc32c(header), &footer[..36]);
        footer[36..40].copy_from_slice(&crc.to_le_bytes());
    }
    let raw = decodes(bytes);
    decodes(&repaired) || raw
}

fn rows_of(run: &Arc<Run>) -> Result<Vec<Version>> {
    let cache = Arc::new(BlockCache::new(1 << 16));
    RunIter::new(run, &cache, &[], None, Direction::Forward).collect()
}

/// The bytes of a run of these rows.
fn write(rows: Vec<Version>) -> Vec<u8> {
    let world = World::new(1);
    let dir = Path::new(DIR);
    world.env().files.create_dir_all(dir).expect("a directory");
    let mut writer = RunWriter::create(&world.env(), dir, 1, usize::MAX).expect("a file");
    rows.into_iter().for_each(|row| writer.push(row).expect("a row"));
    writer.finish(&world.env(), dir).expect("a run of at least one row");
    world.read_file(&dir.join(file_name(1))).expect("the file")
}

/// Changes a row of a run: its key, LSN, and body unless it is deleted.
type ChangeRow<'a> = &'a mut dyn FnMut(&[u8], &mut Lsn, &mut Option<Vec<u8>>);

/// The run with its rows changed. `None` if the bytes are no run.
pub fn rewrite_run(bytes: &[u8], change: ChangeRow<'_>) -> Option<Vec<u8>> {
    let mut rows = rows_of(&open(bytes).ok()?).ok()?;
    for (key, lsn, body) in &mut rows {
        let mut bytes = body.as_deref().map(<[u8]>::to_vec);
        change(key, lsn, &mut bytes);
        *body = bytes.map(Arc::from);
    }
    Some(write(rows))
}

/// Where in a run's file a key lies. `None` if the run does not have it.
#[cfg(test)]
pub(crate) fn place(bytes: &[u8], key: &[u8]) -> Option<Place> {
    let run = open(bytes).ok()?;
    let index = run.blocks_up_to(key).checked_sub(1)?;
    let (start, stored) = run.stored(index).ok()?;
    let moved = |part: Range<usize>| start as usize + part.start..start as usize + part.end;
    if stored.packed {
        let [head, rest, bodies] = stored.place(key)?;
        return Some(Place { entry: moved(head), rest: moved(rest), bodies: Some(moved(bodies)) });
    }
    let block = stored.decode()?;
    let (at, found) = block.find(key)?;
    let (entry, rest) = block.place(at).filter(|_| found)?;
    Some(Place { entry: moved(entry), rest: moved(rest), bodies: None })
}

/// Where a row lies in a run's file.
#[cfg(test)]
pub(crate) struct Place {
    /// All of it, or all but its body.
    pub(crate) entry: Range<usize>,
    /// The key's rest in it.
    pub(crate) rest: Range<usize>,
    /// The bodies of its block, if that is packed.
    pub(crate) bodies: Option<Range<usize>>,
}

/// The first block of a run as it is in memory, and the first packed one as it lies in the file, for a corpus.
#[cfg(test)]
pub(crate) fn blocks(bytes: &[u8]) -> [Vec<u8>; 2] {
    let run = open(bytes).expect("a run");
    let stored: Vec<Stored> = (0..run.blocks()).map(|block| run.stored(block).expect("a block").1).collect();
    let packed = stored.iter().find(|stored| stored.packed).expect("a packed block");
    let rows: Vec<Version> = rows_of(&run).expect("rows").into_iter().take(4).collect();
    let mut plain = Vec::new();
    block::encode(&rows, &mut plain);
    [plain, packed.bytes.to_vec()]
}
