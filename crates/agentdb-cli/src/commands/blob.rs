//! `agentdb blob put` and `agentdb blob get`: bytes from a file and to standard output.

use std::io::{ErrorKind, Write};
use std::path::Path;

use agentdb::modules::blob::{Get, Put};
use agentdb::{Code, Error, Result, Value, decode};

use crate::context::Context;
use crate::{arguments, output};

pub(super) fn put(context: &Context, request: Value, path: &str) -> Result<()> {
    let about: Put = decode(request)?;
    let mut file = if path == "-" { None } else { Some(FileReader::open(Path::new(path))?) };
    let db = context.open(true)?;
    let namespace = context.namespace(&db)?;
    let stored = match &mut file {
        Some(file) => namespace.put_blob(file, about, context.options.clone())?,
        None => namespace.put_blob(&mut std::io::stdin().lock(), about, context.options.clone())?,
    };
    let response = serde_json::to_value(&stored.response).unwrap_or_default();
    output::answer(&response, context.json)
}

pub(super) fn get(context: &Context, request: Value) -> Result<()> {
    let Get { blob, offset, length } = decode(request)?;
    let db = context.open(false)?;
    let namespace = context.namespace(&db)?;
    let mut reader = namespace.open_blob(&namespace.snapshot()?, &blob)?;
    let bytes = reader.entry().bytes;
    if offset > bytes {
        let reason = format_args!("the blob has {bytes} bytes");
        return Err(Error::new(Code::InvalidValue).with("field", "offset").with("reason", reason));
    }
    let mut at = offset;
    let mut left = length.unwrap_or(u64::MAX).min(bytes - offset);
    let mut out = std::io::stdout().lock();
    let mut piece = vec![0; 256 << 10];
    loop {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        let read = if wanted == 0 { 0 } else { reader.read_at(at, &mut piece[..wanted])? };
        if read == 0 {
            return Ok(());
        }
        at += read as u64;
        left -= read as u64;
        match out.write_all(&piece[..read]) {
            Ok(()) => {}
            Err(err) if err.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(err) => {
                return Err(Error::new(Code::Io)
                    .with("operation", "write")
                    .with("path", "standard output")
                    .with("reason", err));
            }
        }
    }
}

/// A file of the user's, read from start to end.
pub(super) struct FileReader {
    file: std::sync::Arc<dyn agentdb_env::File>,
    at: u64,
}

impl FileReader {
    fn open(path: &Path) -> Result<Self> {
        Ok(FileReader::new(arguments::open(path)?))
    }

    pub(super) fn new(file: std::sync::Arc<dyn agentdb_env::File>) -> Self {
        FileReader { file, at: 0 }
    }
}

impl std::io::Read for FileReader {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(self.at, out).map_err(std::io::Error::other)?;
        self.at += read as u64;
        Ok(read)
    }
}
