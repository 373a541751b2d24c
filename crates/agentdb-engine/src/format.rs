//! The file `FORMAT`: what makes a directory a database. One line of JSON and its checksum.

use std::path::Path;

use agentdb_env::{Env, OpenMode, entries};
use agentdb_types::{Code, Error, Id, Result};
use serde::{Deserialize, Serialize};

/// The version of the directory's layout that this build writes and reads.
pub(crate) const VERSION: u32 = 1;
const MAX_BYTES: u64 = 4096;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Format {
    pub(crate) agentdb: u32,
    /// The database's id.
    pub(crate) id: String,
}

impl Format {
    /// Reads `FORMAT`; `None` if there is none.
    pub(crate) fn read(env: &Env, dir: &Path) -> Result<Option<Format>> {
        let path = dir.join("FORMAT");
        if !env.files.exists(&path)? {
            return Ok(None);
        }
        let file = env.files.open(&path, OpenMode::Read)?;
        // One byte more than there may be tells a longer file.
        let mut bytes = vec![0; file.len()?.min(MAX_BYTES + 1) as usize];
        let read = file.read_at(0, &mut bytes)?;
        Self::decode(&bytes[..read], &path).map(Some)
    }

    /// What the bytes of the file at `path` say.
    pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Format> {
        let corrupt = |reason: &str| {
            Error::new(Code::FormatCorrupt).with("path", path.display()).with("reason", reason)
        };
        if bytes.len() as u64 > MAX_BYTES {
            return Err(corrupt("it is longer than it may be"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| corrupt("it is not text"))?;
        let lines = text.split_once('\n').and_then(|(line, rest)| Some((line, rest.strip_suffix('\n')?)));
        let Some((line, checksum)) = lines else { return Err(corrupt("it is not two lines")) };
        if checksum != self::checksum(line) {
            return Err(corrupt("its checksum does not hold"));
        }
        let format: Format = serde_json::from_str(line).map_err(|_| corrupt("it is not of its form"))?;
        if format.agentdb == 0 || Id::check("id", &format.id).is_err() {
            return Err(corrupt("it is not of its form"));
        }
        if format.agentdb > VERSION {
            return Err(Error::new(Code::FormatTooNew)
                .with("path", path.display())
                .with("actual", format.agentdb)
                .with("supported", VERSION));
        }
        Ok(format)
    }

    /// The text of the file.
    pub(crate) fn encode(&self) -> Result<String> {
        let line = serde_json::to_string(self)
            .map_err(|e| Error::new(Code::InvalidJson).with("field", "FORMAT").with("reason", e))?;
        Ok(format!("{line}\n{}\n", checksum(&line)))
    }

    /// Makes the directory a database: the last step of creating one, atomic.
    pub(crate) fn create(env: &Env, dir: &Path) -> Result<Format> {
        let mut random = [0; 10];
        env.entropy.fill(&mut random);
        let id = Id::uuid7(env.clock.wall().millis(), random);
        let format = Format { agentdb: VERSION, id: id.into() };
        let text = format.encode()?;
        let new = dir.join("FORMAT.new");
        if env.files.exists(&new)? {
            env.files.remove(&new)?;
        }
        let file = env.files.open(&new, OpenMode::CreateNew)?;
        file.write_at(0, text.as_bytes())?;
        file.sync_data()?;
        entries::make(&*env.files, dir, "FORMAT", || env.files.rename(&new, &dir.join("FORMAT")))?;
        Ok(format)
    }
}

pub(crate) fn checksum(line: &str) -> String {
    format!("{:08x}", crc32c::crc32c(line.as_bytes()))
}
