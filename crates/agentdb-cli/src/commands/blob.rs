//! `agentdb upload` and `agentdb download`.

use std::io::{ErrorKind, Write};
use std::path::Path;

use agentdb::modules::blob::Put;
use agentdb::{Code, Error, Result};
use clap::ArgMatches;

use crate::context::Context;
use crate::output;

pub(super) fn upload(context: &Context, matches: &ArgMatches) -> Result<()> {
    let path = matches.get_one::<String>("file").cloned().unwrap_or_default();
    let about = Put { media_type: matches.get_one::<String>("media-type").cloned(), ..Put::default() };
    let db = context.open(true)?;
    let namespace = context.namespace(&db)?;
    let stored = if path == "-" {
        namespace.put_blob(&mut std::io::stdin().lock(), about, context.options.clone())?
    } else {
        let mut file = FileReader::open(Path::new(&path))?;
        namespace.put_blob(&mut file, about, context.options.clone())?
    };
    let response = serde_json::to_value(&stored.response).unwrap_or_default();
    output::answer(&response, context.json)
}

pub(super) fn download(context: &Context, matches: &ArgMatches) -> Result<()> {
    let address = matches.get_one::<String>("blob").cloned().unwrap_or_default();
    let db = context.open(false)?;
    let namespace = context.namespace(&db)?;
    let mut reader = namespace.open_blob(&namespace.snapshot()?, &address)?;
    let mut out = std::io::stdout().lock();
    let mut piece = vec![0; 256 << 10];
    loop {
        let read = reader.read_next(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
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
struct FileReader {
    file: std::sync::Arc<dyn agentdb_env::File>,
    at: u64,
}

impl FileReader {
    fn open(path: &Path) -> Result<Self> {
        let file = agentdb_env::Env::real().files.open(path, agentdb_env::OpenMode::Read)?;
        Ok(FileReader { file, at: 0 })
    }
}

impl std::io::Read for FileReader {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(self.at, out).map_err(std::io::Error::other)?;
        self.at += read as u64;
        Ok(read)
    }
}
