//! The file `FORMAT`: what makes a directory a database. One line of JSON and its checksum.

use std::path::Path;

use agentdb_env::{Env, OpenMode};
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
        let mut bytes = vec![0; file.len()?.min(MAX_BYTES) as usize];
        let read = file.read_at(0, &mut bytes)?;
        let corrupt = |reason: &str| {
            Error::new(Code::FormatCorrupt).with("path", path.display()).with("reason", reason)
        };
        let text = std::str::from_utf8(&bytes[..read]).map_err(|_| corrupt("it is not text"))?;
        let mut lines = text.lines();
        let (line, checksum) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        if checksum != self::checksum(line) {
            return Err(corrupt("its checksum does not hold"));
        }
        let format: Format = serde_json::from_str(line).map_err(|_| corrupt("it is not of its form"))?;
        if format.agentdb > VERSION {
            return Err(Error::new(Code::FormatTooNew)
                .with("path", path.display())
                .with("actual", format.agentdb)
                .with("supported", VERSION));
        }
        Ok(Some(format))
    }

    /// Makes the directory a database: the last step of creating one, atomic.
    pub(crate) fn create(env: &Env, dir: &Path) -> Result<Format> {
        let mut random = [0; 10];
        env.entropy.fill(&mut random);
        let id = Id::uuid7(env.clock.wall().millis(), random);
        let format = Format { agentdb: VERSION, id: id.into() };
        let line = serde_json::to_string(&format).unwrap_or_default();
        let text = format!("{line}\n{}\n", checksum(&line));
        let new = dir.join("FORMAT.new");
        if env.files.exists(&new)? {
            env.files.remove(&new)?;
        }
        let file = env.files.open(&new, OpenMode::CreateNew)?;
        file.write_at(0, text.as_bytes())?;
        file.sync_data()?;
        env.files.rename(&new, &dir.join("FORMAT"))?;
        env.files.sync_dir(dir)?;
        Ok(format)
    }
}

fn checksum(line: &str) -> String {
    format!("{:08x}", crc32c::crc32c(line.as_bytes()))
}
