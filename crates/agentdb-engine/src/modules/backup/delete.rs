//! `backup.delete`, `backup.prune`, and collecting the chunks that no backup needs any more.

use std::collections::{BTreeMap, HashSet};

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lease::{Holder, Lease};
use super::manifest::Manifest;
use super::vault::{ChunkName, parse_chunk_object, parse_hex};
use super::{Backups, CHUNKS, not_found};
use crate::operation::{About, Effect, Request, Scope};
use crate::planted::{self, Bug};

/// Chunks removed at once.
const BATCH: usize = 256;

/// Deletes a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// Where the backups are: a directory, or `s3://BUCKET/PREFIX`, `gs://…`, `az://…`.
    pub store: String,
    /// The backup's name.
    pub backup: String,
    /// A file that holds the key of a sealed store: 32 bytes, or 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
}

/// Deletes old backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prune {
    /// Where the backups are: a directory, or `s3://BUCKET/PREFIX`, `gs://…`, `az://…`.
    pub store: String,
    /// How many backups of each database to keep, the newest.
    pub keep: u64,
    /// A file that holds the key of a sealed store: 32 bytes, or 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
}

/// The answer to [`Delete`] and [`Prune`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// The names of the backups that went.
    pub backups: Vec<String>,
    /// How many chunks went with them, those that killed backups had left included.
    pub chunks: u64,
}

const ERRORS: &[Code] = &[
    Code::BackupKey,
    Code::BackupPlace,
    Code::BackupNotFound,
    Code::BackupsBusy,
    Code::BackupStore,
    Code::BackupCorrupt,
];

impl Request for Delete {
    type Response = Deleted;
    const ABOUT: About = About {
        name: "backup.delete",
        doc: "Deletes a backup, and the chunks that no other one needs. LSNs between its neighbours can be restored no longer. No database is opened.",
        effect: Effect::Write,
        scope: Scope::Database,
        permission: "backup.delete",
        resource: &["store", "backup"],
        sensitive: &[],
        errors: ERRORS,
    };
}

impl Request for Prune {
    type Response = Deleted;
    const ABOUT: About = About {
        name: "backup.prune",
        doc: "Deletes all but the newest backups of each database in a store, and the chunks that no other one needs. No database is opened.",
        effect: Effect::Write,
        scope: Scope::Database,
        permission: "backup.delete",
        resource: &["store"],
        sensitive: &[],
        errors: ERRORS,
    };
}

impl Backups {
    /// Deletes a backup, and the chunks that no other one needs.
    ///
    /// # Errors
    /// [`Code::BackupNotFound`]; [`Code::BackupsBusy`] while a backup is taken in this store; [`Code::BackupCorrupt`] if a
    /// manifest is damaged: which chunks it needs is not known then; those of the store.
    pub fn delete(&self, name: &str) -> Result<Deleted> {
        self.delete_if(&mut |manifests| {
            let found = manifests.iter().find(|m| m.backup.name == name);
            found.map(|m| vec![m.backup.name.clone()]).ok_or_else(|| not_found(self.place(), name))
        })
    }

    /// Deletes all but the newest `keep` backups of each database, and the chunks that no other one needs.
    ///
    /// # Errors
    /// Those of [`Backups::delete`]; [`Code::InvalidValue`] if none is to be kept.
    pub fn prune(&self, keep: u64) -> Result<Deleted> {
        if keep == 0 {
            return Err(Error::new(Code::InvalidValue).with("field", "keep").with(
                "reason",
                "at least one backup stays; backup.delete deletes the last one by its name",
            ));
        }
        self.delete_if(&mut |manifests| {
            let mut by_database: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for manifest in manifests.iter().rev() {
                by_database.entry(&manifest.backup.database).or_default().push(&manifest.backup.name);
            }
            let old = by_database.values().flat_map(|names| names.iter().skip(keep as usize));
            Ok(old.map(|name| (*name).to_owned()).collect())
        })
    }

    fn delete_if(&self, choose: &mut dyn FnMut(&[Manifest]) -> Result<Vec<String>>) -> Result<Deleted> {
        self.vault.store.settle()?;
        let mut lease = Lease::take(&self.vault, Holder::Collection)?;
        let deleted = self.delete_leased(&mut lease, choose);
        // A failure tells more than a lease that stays until it ends.
        let released = lease.release(&self.vault);
        let deleted = deleted?;
        released.map(|()| deleted)
    }

    fn delete_leased(
        &self,
        lease: &mut Lease,
        choose: &mut dyn FnMut(&[Manifest]) -> Result<Vec<String>>,
    ) -> Result<Deleted> {
        let store = &self.vault.store;
        let manifests = Manifest::all(&self.vault)?;
        let backups = choose(&manifests)?;
        for name in &backups {
            let object = Manifest::object(name);
            // Emptied first: if its removal comes undone, it is no manifest of chunks that are gone.
            store.put(&object, Vec::new())?;
            store.flush()?;
            store.delete(&[object])?;
        }
        let kept = manifests.into_iter().filter(|m| !backups.contains(&m.backup.name));
        let needed =
            if planted::is(Bug::SharedChunksCollected) { HashSet::new() } else { self.needed(kept)? };
        let chunks = self.collect(lease, &needed)?;
        store.tidy()?;
        Ok(Deleted { backups, chunks })
    }

    /// The chunks that manifests name.
    fn needed(&self, manifests: impl Iterator<Item = Manifest>) -> Result<HashSet<ChunkName>> {
        let mut needed = HashSet::new();
        for manifest in manifests {
            needed.extend(manifest.index.iter().filter_map(|name| parse_hex(name)));
            let files = manifest.files(&self.vault)?;
            needed.extend(files.values().flat_map(|entry| entry.chunks.iter().map(|chunk| chunk.name)));
        }
        Ok(needed)
    }

    fn collect(&self, lease: &mut Lease, needed: &HashSet<ChunkName>) -> Result<u64> {
        let store = &self.vault.store;
        let is_garbage =
            |object: &String| parse_chunk_object(object).is_some_and(|name| !needed.contains(&name));
        let garbage: Vec<String> = store.list(CHUNKS)?.into_iter().filter(is_garbage).collect();
        for batch in garbage.chunks(BATCH) {
            lease.keep(&self.vault)?;
            lease.check(&self.vault)?;
            store.delete(batch)?;
        }
        Ok(garbage.len() as u64)
    }
}
