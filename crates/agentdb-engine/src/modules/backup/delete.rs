//! `backup.delete`, `backup.prune`, and collecting the chunks that no backup needs any more.

use std::collections::{BTreeMap, HashMap, HashSet};

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lease::{Holder, Lease};
use super::manifest::{Kind, Manifest};
use super::survey::{Survey, is_unreadable};
use super::vault::{ChunkName, DELETED, parse_chunk_object, parse_hex};
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
    /// How many backups of each database to keep, the newest; the archives that lead on from them stay, too.
    pub keep: u64,
    /// A file that holds the key of a sealed store: 32 bytes, or 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
}

/// The answer to [`Delete`] and [`Prune`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// The names of the backups and archives that went.
    pub backups: Vec<String>,
    /// How many chunks went with them, those that killed backups had left included.
    pub chunks: u64,
    /// Backups and archives that stay and are damaged. Nobody knows which chunks they need: as long as there is one, no
    /// chunk goes. `backup.delete` with its name deletes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
}

const ERRORS: &[Code] = &[
    Code::BackupKey,
    Code::BackupPlace,
    Code::BackupStoreNotFound,
    Code::BackupNotFound,
    Code::BackupsBusy,
    Code::BackupStore,
    Code::BackupCorrupt,
];

impl Request for Delete {
    type Response = Deleted;
    const ABOUT: About = About {
        name: "backup.delete",
        doc: "Deletes a backup or an archive, whole or damaged, and the chunks that no other one needs. LSNs between its neighbours can be restored no longer. No database is opened.",
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
        doc: "Deletes all but the newest backups of each database in a store, the archives that lead on from none of those that stay, and the chunks that nothing else needs. No database is opened.",
        effect: Effect::Write,
        scope: Scope::Database,
        permission: "backup.delete",
        resource: &["store"],
        sensitive: &[],
        errors: ERRORS,
    };
}

/// Which of the manifests to delete.
type Choice<'a> = dyn FnMut(&Survey) -> Result<Vec<String>> + 'a;

impl Backups {
    /// Deletes a backup or an archive, damaged or not, and the chunks that no other one needs: none, as long as another one
    /// is damaged.
    ///
    /// # Errors
    /// [`Code::BackupNotFound`], [`Code::BackupStoreNotFound`]; [`Code::BackupsBusy`] while a backup is taken in this store;
    /// those of the store.
    pub fn delete(&self, name: &str) -> Result<Deleted> {
        self.delete_if(&mut |survey| match survey.named(name).is_some() || survey.is_damaged(name) {
            true => Ok(vec![name.to_owned()]),
            false => Err(not_found(self.place(), name)),
        })
    }

    /// Deletes all but the newest `keep` backups of each database, the archives that lead on from none that stays, and the
    /// chunks that nothing else needs: none, as long as something is damaged.
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
        self.delete_if(&mut |survey| Ok(old(survey, keep)))
    }

    fn delete_if(&self, choose: &mut Choice<'_>) -> Result<Deleted> {
        self.vault.check_exists()?;
        self.vault.store.settle()?;
        let mut lease = Lease::take(&self.vault, Holder::Collection, Lease::new_id(&self.vault))?;
        let deleted = self.delete_leased(&mut lease, choose);
        // A failure tells more than a lease that stays until it ends.
        let released = lease.release(&self.vault);
        let deleted = deleted?;
        released.map(|()| deleted)
    }

    fn delete_leased(&self, lease: &mut Lease, choose: &mut Choice<'_>) -> Result<Deleted> {
        let store = &self.vault.store;
        let survey = Survey::of(&self.vault)?;
        let backups = choose(&survey)?;
        for name in &backups {
            let object = Manifest::object(name);
            // Overwritten first: if its removal comes undone, it is no manifest of chunks that are gone.
            store.put(&object, DELETED.to_vec())?;
            store.flush()?;
            store.delete(&[object])?;
        }
        let (needed, damaged) = self.needed(survey, &backups)?;
        let chunks = if damaged.is_empty() { self.collect(lease, &needed)? } else { 0 };
        store.tidy()?;
        Ok(Deleted { backups, chunks, damaged })
    }

    /// The chunks that what is left needs, and those of which that is not known.
    fn needed(&self, survey: Survey, gone: &[String]) -> Result<(HashSet<ChunkName>, Vec<String>)> {
        let mut needed = HashSet::new();
        if planted::is(Bug::SharedChunksCollected) {
            return Ok((needed, Vec::new()));
        }
        let mut damaged: Vec<String> =
            survey.damaged.into_iter().map(|(name, _)| name).filter(|name| !gone.contains(name)).collect();
        for manifest in survey.whole.into_iter().filter(|m| !gone.contains(&m.backup.name)) {
            needed.extend(manifest.index.iter().filter_map(|name| parse_hex(name)));
            match manifest.files(&self.vault) {
                Ok(files) => {
                    needed
                        .extend(files.values().flat_map(|entry| entry.chunks.iter().map(|chunk| chunk.name)));
                }
                Err(err) if is_unreadable(&err) => damaged.push(manifest.backup.name),
                Err(err) => return Err(err),
            }
        }
        Ok((needed, damaged))
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

/// All but the newest backups of each database, and the archives that lead on from none of those.
fn old(survey: &Survey, keep: u64) -> Vec<String> {
    let mut kept: HashMap<&str, bool> = HashMap::new();
    let mut by_database: BTreeMap<&str, u64> = BTreeMap::new();
    let backups = survey.whole.iter().rev().map(|m| &m.backup);
    for backup in backups.filter(|backup| backup.kind == Kind::Backup) {
        let newer = by_database.entry(&backup.database).or_default();
        kept.insert(&backup.name, *newer < keep);
        *newer += 1;
    }
    // Oldest first: what an archive continues is known before it.
    for archive in survey.whole.iter().map(|m| &m.backup).filter(|b| b.kind == Kind::Archive) {
        let leads = archive.continues.as_deref().is_some_and(|before| {
            // What lies behind a damaged one may lead further.
            kept.get(before).copied().unwrap_or_else(|| survey.is_damaged(before))
        });
        kept.insert(&archive.name, leads);
    }
    let is_old = |name: &&String| kept.get(name.as_str()) == Some(&false);
    survey.whole.iter().map(|m| &m.backup.name).filter(is_old).cloned().collect()
}
