//! Sharing files between namespaces.

use std::collections::BTreeSet;
use std::sync::Arc;

use agentdb_env::File;
use agentdb_types::Result;

use super::corrupt;
use crate::NamespaceId;
use crate::engine::Core;

/// Gives `to` the files of these addresses that `from` has, durably, then does what refers to them. The collector leaves them
/// alone until that is done.
pub(crate) fn share(
    core: &Arc<Core>,
    from: NamespaceId,
    to: NamespaceId,
    addresses: &[String],
    refer: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let blobs = &core.blobs;
    let _announced: Vec<_> = addresses.iter().map(|address| blobs.announce(to, address)).collect();
    let mut dirs = BTreeSet::new();
    for address in addresses {
        one(core, from, to, address)?;
        dirs.insert(&address[..2]);
    }
    for address in dirs {
        blobs.sync(to, address).inspect_err(|err| core.poison(err))?;
    }
    refer()
}

/// Another name of the same file; where files can have but one, a copy.
fn one(core: &Arc<Core>, from: NamespaceId, to: NamespaceId, address: &str) -> Result<()> {
    let blobs = &core.blobs;
    if blobs.open_file(to, address)?.is_some() {
        return Ok(());
    }
    let file = blobs.open_file(from, address)?;
    let file = file.ok_or_else(|| corrupt(address, "its file is missing"))?;
    blobs.ensure_dirs(to, address)?;
    if blobs.link(from, to, address).is_ok() {
        return Ok(());
    }
    let mut received = blobs.receive(&mut Bytes { file, at: 0 })?;
    if received.address != address {
        return Err(corrupt(address, "its bytes do not hash to its address"));
    }
    received.place(blobs, to)
}

/// A file from its beginning.
struct Bytes {
    file: Arc<dyn File>,
    at: u64,
}

impl std::io::Read for Bytes {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(self.at, out).map_err(std::io::Error::other)?;
        self.at += read as u64;
        Ok(read)
    }
}
