//! Backups of databases in one place.

#[cfg(feature = "object-stores")]
mod object_store;

use std::path::Path;
use std::sync::Arc;

use agentdb_engine::modules::backup::{
    self, Deleted, DirectoryStore, Listed, Progress, Restore, Restored, Store, StoreKey, Verified,
};
use agentdb_env::{Env, OpenMode};
use agentdb_types::{Code, Error, Result};

/// The backups in one place: a directory, or, with the feature `object-stores`, an S3, Google Cloud or Azure bucket.
#[derive(Clone)]
pub struct Backups {
    backups: backup::Backups,
}

impl Backups {
    /// Opens a place: a directory, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`. Credentials and
    /// endpoints come from the environment, under the names that the clouds' own tools use (`AWS_…`, `GOOGLE_…`, `AZURE_…`).
    ///
    /// `key_file` holds 32 bytes, or 64 hexadecimal digits: what is put there is sealed with that key.
    ///
    /// # Errors
    /// [`Code::BackupPlace`], [`Code::BackupKey`], [`Code::BackupStore`]; errors of files.
    ///
    /// ```
    /// # use agentdb::{Backups, Code};
    /// # let dir = tempfile::tempdir().unwrap();
    /// let backups = Backups::open(dir.path().to_str().unwrap(), None)?;
    /// assert_eq!(backups.list().unwrap_err().code(), Code::BackupStoreNotFound);
    /// assert_eq!(Backups::open("ftp://example.org/", None).err().unwrap().code(), Code::BackupPlace);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn open(place: &str, key_file: Option<&Path>) -> Result<Self> {
        let env = Env::real();
        let key = key_file.map(|path| read_key(&env, place, path)).transpose()?;
        Ok(Backups { backups: backup::Backups::open(&env, store(&env, place)?, key)? })
    }

    /// The backups and archives, oldest first, and those whose manifests are damaged.
    ///
    /// # Errors
    /// [`Code::BackupStoreNotFound`], [`Code::BackupStore`].
    ///
    /// ```
    /// # use agentdb::{Backups, Database};
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = Database::open(dir.path().join("db"))?;
    /// let backups = Backups::open(dir.path().join("backups").to_str().unwrap(), None)?;
    /// let taken = db.backup(&backups, false, &mut |_progress| {})?;
    /// let listed = backups.list()?;
    /// assert_eq!((listed.items, listed.damaged), (vec![taken], vec![]));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn list(&self) -> Result<Listed> {
        self.backups.list()
    }

    /// Reads one backup, or all, and reports everything that does not hold.
    ///
    /// # Errors
    /// [`Code::BackupStoreNotFound`], [`Code::BackupNotFound`], [`Code::BackupStore`].
    ///
    /// ```
    /// # use agentdb::{Backups, Database};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = Database::open(dir.path().join("db"))?;
    /// # let backups = Backups::open(dir.path().join("backups").to_str().unwrap(), None)?;
    /// # db.backup(&backups, false, &mut |_progress| {})?;
    /// let report = backups.verify(None, &mut |_progress| {})?;
    /// assert!(report.problems.is_empty() && report.chunks > 0);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn verify(&self, backup: Option<&str>, progress: &mut dyn FnMut(Progress)) -> Result<Verified> {
        self.backups.verify(backup, progress)
    }

    /// Restores a database into a new directory: as it was at a backup, at an LSN, or at a time.
    ///
    /// # Errors
    /// [`Code::BackupNotFound`], [`Code::RestorePointNotFound`], [`Code::RestoreNotEmpty`], [`Code::BackupCorrupt`],
    /// [`Code::BackupStore`]; errors of files. No handle opens a directory whose restore was not finished.
    ///
    /// ```
    /// # use agentdb::{Backups, Database, json};
    /// use agentdb::modules::backup::Restore;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = Database::open(dir.path().join("db"))?;
    /// # let backups = Backups::open(dir.path().join("backups").to_str().unwrap(), None)?;
    /// # let new = dir.path().join("new").to_str().unwrap().to_owned();
    /// db.namespace("default")?.state("agent-7").put("plan", json!(1)).wait()?;
    /// let taken = db.backup(&backups, false, &mut |_progress| {})?;
    /// let restore = Restore { dir: new.clone(), ..Restore::default() };
    /// assert_eq!(backups.restore(&restore, &mut |_progress| {})?.lsn, taken.lsn);
    /// let restored = Database::open(new)?;
    /// assert_eq!(restored.namespace("default")?.state("agent-7").get("plan")?.unwrap().value, 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn restore(&self, request: &Restore, progress: &mut dyn FnMut(Progress)) -> Result<Restored> {
        self.backups.restore(request, progress)
    }

    /// Deletes a backup or an archive, whole or damaged, and the chunks that no other one needs: none, as long as another one
    /// is damaged.
    ///
    /// # Errors
    /// [`Code::BackupStoreNotFound`], [`Code::BackupNotFound`], [`Code::BackupsBusy`], [`Code::BackupStore`].
    ///
    /// ```
    /// # use agentdb::{Backups, Database};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = Database::open(dir.path().join("db"))?;
    /// # let backups = Backups::open(dir.path().join("backups").to_str().unwrap(), None)?;
    /// let taken = db.backup(&backups, false, &mut |_progress| {})?;
    /// assert!(backups.delete(&taken.name)?.chunks > 0);
    /// assert!(backups.list()?.items.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn delete(&self, backup: &str) -> Result<Deleted> {
        self.backups.delete(backup)
    }

    /// Deletes all but the newest backups of each database, the archives that lead on from none that stays, and the chunks
    /// that nothing else needs.
    ///
    /// # Errors
    /// Those of [`Backups::delete`]; [`Code::InvalidValue`] if none is to be kept.
    ///
    /// ```
    /// # use agentdb::{Backups, Database};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = Database::open(dir.path().join("db"))?;
    /// # let backups = Backups::open(dir.path().join("backups").to_str().unwrap(), None)?;
    /// db.backup(&backups, false, &mut |_progress| {})?;
    /// let last = db.backup(&backups, false, &mut |_progress| {})?;
    /// backups.prune(1)?;
    /// assert_eq!(backups.list()?.items, [last]);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn prune(&self, keep: u64) -> Result<Deleted> {
        self.backups.prune(keep)
    }

    pub(crate) fn engine(&self) -> &backup::Backups {
        &self.backups
    }
}

/// The store at a place.
fn store(env: &Env, place: &str) -> Result<Arc<dyn Store>> {
    match place.split_once("://") {
        None if place.is_empty() => Err(not_a_place(place, "it is empty")),
        None => Ok(Arc::new(DirectoryStore::new(env, Path::new(place))?)),
        #[cfg(feature = "object-stores")]
        Some((scheme, rest)) => Ok(Arc::new(object_store::BucketStore::open(place, scheme, rest)?)),
        #[cfg(not(feature = "object-stores"))]
        Some(_) => Err(not_a_place(place, "this build has no object stores (feature `object-stores`)")),
    }
}

fn not_a_place(place: &str, reason: impl std::fmt::Display) -> Error {
    Error::new(Code::BackupPlace).with("store", place).with("reason", reason)
}

/// The key in a file.
fn read_key(env: &Env, place: &str, path: &Path) -> Result<StoreKey> {
    let file = env.files.open(path, OpenMode::Read)?;
    // More than the longest form tells a longer file.
    let mut bytes = [0; 68];
    let read = file.read_at(0, &mut bytes)?;
    let raw = <StoreKey>::try_from(&bytes[..read]).ok();
    let key =
        raw.or_else(|| std::str::from_utf8(&bytes[..read]).ok().and_then(|text| parse_hex(text.trim())));
    key.ok_or_else(|| {
        let reason =
            format_args!("the key file {} holds neither 32 bytes nor 64 hexadecimal digits", path.display());
        Error::new(Code::BackupKey).with("store", place).with("reason", reason)
    })
}

fn parse_hex(text: &str) -> Option<StoreKey> {
    let mut key = StoreKey::default();
    (text.len() == 2 * key.len() && text.is_ascii()).then_some(())?;
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(key)
}
