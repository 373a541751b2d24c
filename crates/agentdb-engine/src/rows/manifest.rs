//! The manifest: which runs make up the rows, and where in the log they stand. It is replaced as a whole, by a rename.
//! Format version 1 (little-endian):
//!
//! | part | |
//! | --- | --- |
//! | magic | `ADBMANIF` |
//! | version | `u32` |
//! | generation | `u64`: grows with every manifest |
//! | position | LSN `u64`, chain hash (32), log time `i64` |
//! | next run | `u64`: numbers from here on were never used |
//! | levels | count `u32`; for each the count of its runs `u32`, and for each run its number `u64` and the generation that brought it `u64`; level 0 newest first, the others in the order of their keys |
//! | checksum | CRC-32C of everything before it, `u32` |

use std::path::{Path, PathBuf};

use agentdb_env::{Env, OpenMode};
use agentdb_types::{ChainHash, Code, Error, Lsn, Result, Timestamp};

use super::base::Position;

/// The version of manifests that this build writes.
const MANIFEST_VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"ADBMANIF";
const FILE: &str = "MANIFEST";
/// More than any manifest of runs that one machine can hold.
const MOST_BYTES: u64 = 64 << 20;

/// A run as the manifest names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RunEntry {
    pub(super) number: u64,
    /// The generation of the manifest that brought it.
    pub(super) generation: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) generation: u64,
    pub(super) position: Position,
    pub(super) next_run: u64,
    pub(super) levels: Vec<Vec<RunEntry>>,
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

impl Manifest {
    /// Reads the manifest; `None` if there is none.
    pub(super) fn read(env: &Env, dir: &Path) -> Result<Option<Self>> {
        let path = path(dir);
        if !env.files.exists(&path)? {
            return Ok(None);
        }
        let file = env.files.open(&path, OpenMode::Read)?;
        let mut bytes = vec![0; file.len()?.min(MOST_BYTES) as usize];
        let read = file.read_at(0, &mut bytes)?;
        bytes.truncate(read);
        let corrupt = |reason: &str| {
            Error::new(Code::FormatCorrupt).with("path", path.display()).with("reason", reason)
        };
        let fields = checked(&bytes).ok_or_else(|| corrupt("its checksum or its magic does not hold"))?;
        let version = fields.first_chunk().map_or(0, |v| u32::from_le_bytes(*v));
        if version != MANIFEST_VERSION {
            return Err(Error::new(Code::FormatTooNew)
                .with("path", path.display())
                .with("actual", version)
                .with("supported", MANIFEST_VERSION));
        }
        Self::decode(&fields[4..]).map(Some).ok_or_else(|| corrupt("it is malformed"))
    }

    /// Replaces the manifest, durably.
    pub(super) fn write(&self, env: &Env, dir: &Path) -> Result<()> {
        let new = dir.join("MANIFEST.new");
        if env.files.exists(&new)? {
            env.files.remove(&new)?;
        }
        let file = env.files.open(&new, OpenMode::CreateNew)?;
        file.write_at(0, &self.encode())?;
        file.sync_data()?;
        env.files.rename(&new, &path(dir))?;
        env.files.sync_dir(dir)
    }

    /// The manifest that the bytes are, in this version.
    #[cfg(any(test, feature = "decoders"))]
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = checked(bytes)?.split_first_chunk()?;
        (u32::from_le_bytes(*version) == MANIFEST_VERSION).then(|| Self::decode(rest)).flatten()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&MANIFEST_VERSION.to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.position.lsn.0.to_le_bytes());
        out.extend_from_slice(&self.position.chain.0);
        out.extend_from_slice(&self.position.time.micros().to_le_bytes());
        out.extend_from_slice(&self.next_run.to_le_bytes());
        out.extend_from_slice(&(self.levels.len() as u32).to_le_bytes());
        for level in &self.levels {
            out.extend_from_slice(&(level.len() as u32).to_le_bytes());
            for run in level {
                out.extend_from_slice(&run.number.to_le_bytes());
                out.extend_from_slice(&run.generation.to_le_bytes());
            }
        }
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    /// What [`Manifest::encode`] wrote behind the version, without the checksum.
    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut long = || {
            let (head, rest) = bytes.split_first_chunk()?;
            bytes = rest;
            Some(u64::from_le_bytes(*head))
        };
        let (generation, lsn) = (long()?, Lsn(long()?));
        let mut chain = ChainHash::default();
        for part in chain.0.chunks_exact_mut(8) {
            part.copy_from_slice(&long()?.to_le_bytes());
        }
        let time = Timestamp::from_micros(i64::try_from(long()?).ok()?).ok()?;
        let next_run = long()?;
        let mut count = || {
            let (head, rest) = bytes.split_first_chunk()?;
            bytes = rest;
            Some(u32::from_le_bytes(*head))
        };
        let mut levels = Vec::new();
        for _ in 0..count()? {
            let mut level = Vec::new();
            for _ in 0..count()? {
                let mut long = || Some(u64::from(count()?) | u64::from(count()?) << 32);
                level.push(RunEntry { number: long()?, generation: long()? });
            }
            levels.push(level);
        }
        let position = Position { lsn, chain, time };
        bytes.is_empty().then_some(Manifest { generation, position, next_run, levels })
    }
}

/// What stands between magic and checksum, if they hold.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (fields, crc) = bytes.split_last_chunk::<4>()?;
    let rest = fields.strip_prefix(MAGIC).filter(|rest| rest.len() >= 4)?;
    (crc32c::crc32c(fields) == u32::from_le_bytes(*crc)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_manifest_reads_back_as_written(
            generation: u64, lsn: u64, next_run: u64,
            levels in prop::collection::vec(prop::collection::vec((any::<u64>(), any::<u64>()), 0..4), 0..4),
        ) {
            let run = |(number, generation)| RunEntry { number, generation };
            let levels = levels.into_iter().map(|level| level.into_iter().map(run).collect()).collect();
            let position = Position { lsn: Lsn(lsn), chain: ChainHash([7; 32]), time: Timestamp::default() };
            let manifest = Manifest { generation, position, next_run, levels };
            let bytes = manifest.encode();
            prop_assert_eq!(Manifest::parse(&bytes), Some(manifest));
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = (Manifest::parse(&bytes), Manifest::decode(&bytes));
        }
    }
}
