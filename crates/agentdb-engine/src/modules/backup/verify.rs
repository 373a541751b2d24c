//! `backup.verify`: whether backups are whole, without restoring them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use agentdb_log::{chain_at, verify as verify_log};
use agentdb_types::{Code, Error, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::create::Progress;
use super::index::Index;
use super::manifest::{Backup, Kind, Manifest};
use super::survey::is_unreadable;
use super::tree::{Cache, Tree};
use super::vault::{ChunkName, Vault, chunk_object};
use super::{Backups, not_found};
use crate::mutation;
use crate::operation::{About, Effect, Request, Scope};
use crate::rows::{Base, BaseOptions};

pub use crate::modules::database::Problem;

/// Files that are named as those of a damaged chunk.
const NAMED: usize = 8;

/// Verifies backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// Where the backups are: a directory, or `s3://BUCKET/PREFIX`, `gs://…`, `az://…`.
    pub store: String,
    /// Only this backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// A file that holds the key of a sealed store: 32 bytes, or 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
}

/// What a verification of backups found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verified {
    /// The names of the backups that were read.
    pub backups: Vec<String>,
    /// Chunks that were read, each once.
    pub chunks: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Everything that does not hold: the damaged objects, and the files in them.
    pub problems: Vec<Problem>,
}

impl Request for Verify {
    type Response = Verified;
    const ABOUT: About = About {
        name: "backup.verify",
        doc: "Reads every chunk of one backup, or of all in a store, and checks it; then the chain of the log, the checksums of the rows, the digest of every namespace and the blobs, as a restored database would have them. Nothing is restored or changed, and no database is opened.",
        effect: Effect::Read,
        scope: Scope::Database,
        permission: "backup.read",
        resource: &["store"],
        sensitive: &[],
        errors: &[
            Code::BackupKey,
            Code::BackupPlace,
            Code::BackupStoreNotFound,
            Code::BackupNotFound,
            Code::BackupStore,
        ],
    };
}

impl Backups {
    /// Verifies one backup, or all. Damage is no error but a problem in the report. `progress` hears how far it is.
    ///
    /// # Errors
    /// [`Code::BackupNotFound`] if there is none; [`Code::BackupStoreNotFound`]; those of the store.
    pub fn verify(&self, backup: Option<&str>, progress: &mut dyn FnMut(Progress)) -> Result<Verified> {
        self.vault.check_exists()?;
        let mut job = Job {
            backups: self,
            report: Verified::default(),
            chunks: HashMap::new(),
            cache: Arc::default(),
            progress,
        };
        let names = match backup {
            Some(name) => vec![name.to_owned()],
            None => Manifest::names(&self.vault)?.into_iter().rev().collect(),
        };
        for name in names {
            let found = job.backup(&name)?;
            if !found && backup.is_some() {
                return Err(not_found(self.place(), &name));
            }
        }
        if job.report.backups.is_empty() && job.report.problems.is_empty() {
            return Err(not_found(self.place(), "at all"));
        }
        Ok(job.report)
    }
}

struct Job<'a> {
    backups: &'a Backups,
    report: Verified,
    /// The chunks that were read, and whether they hold.
    chunks: HashMap<ChunkName, bool>,
    cache: Arc<Cache>,
    progress: &'a mut dyn FnMut(Progress),
}

impl Job<'_> {
    fn problem(&mut self, backup: &str, err: Error) {
        self.report.problems.push((&err.with("backup", backup)).into());
    }

    /// Verifies a backup; false if there is none of this name.
    fn backup(&mut self, name: &str) -> Result<bool> {
        let vault = self.backups.vault.clone();
        let manifest = match Manifest::read(&vault, name) {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return Ok(false),
            Err(err) if is_unreadable(&err) => {
                self.problem(name, err);
                return Ok(true);
            }
            Err(err) => return Err(err),
        };
        self.report.backups.push(name.to_owned());
        let files = match manifest.files(&vault) {
            Ok(files) => files,
            Err(err) if is_unreadable(&err) => {
                self.problem(name, err);
                return Ok(true);
            }
            Err(err) => return Err(err),
        };
        if self.chunks(name, &files)? {
            self.contents(&manifest, files)?;
        }
        Ok(true)
    }

    /// The one that a backup continues, if it is there and whole.
    fn before(&self, backup: &Backup) -> Result<Option<Backup>> {
        let Some(before) = &backup.continues else { return Ok(None) };
        match Manifest::read(&self.backups.vault, before) {
            Ok(before) => Ok(before.map(|manifest| manifest.backup)),
            Err(err) if is_unreadable(&err) => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Reads the chunks of a backup; whether all of them hold.
    fn chunks(&mut self, backup: &str, files: &Index) -> Result<bool> {
        let mut needed: BTreeMap<ChunkName, (u32, Vec<&str>)> = BTreeMap::new();
        for (path, entry) in files {
            for chunk in &entry.chunks {
                needed.entry(chunk.name).or_insert((chunk.bytes, Vec::new())).1.push(path);
            }
        }
        let total = needed.values().map(|(bytes, _)| u64::from(*bytes)).sum();
        let (mut sound, mut done) = (true, 0);
        for (name, (bytes, paths)) in needed {
            let holds = match self.chunks.get(&name) {
                Some(holds) => *holds,
                None => self.chunk(backup, &name, bytes, &paths)?,
            };
            sound &= holds;
            done += u64::from(bytes);
            (self.progress)(Progress { done, total, sent: 0 });
        }
        Ok(sound)
    }

    fn chunk(&mut self, backup: &str, name: &ChunkName, bytes: u32, paths: &[&str]) -> Result<bool> {
        let vault = &self.backups.vault;
        let read = vault.chunk(name).and_then(|contents| {
            let fits = contents.len() == bytes as usize;
            fits.then_some(())
                .ok_or_else(|| vault.corrupt(&chunk_object(name), "its length is not that of the index"))
        });
        let holds = match read {
            Ok(()) => true,
            Err(err) if is_unreadable(&err) => {
                let mut files = paths.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
                if paths.len() > NAMED {
                    files.push_str(&format!(" and {} more", paths.len() - NAMED));
                }
                self.problem(backup, err.with("files", files));
                false
            }
            Err(err) => return Err(err),
        };
        self.report.chunks += 1;
        self.report.bytes += u64::from(bytes);
        self.chunks.insert(*name, holds);
        Ok(holds)
    }

    /// Reads a backup as the database that it restores to.
    fn contents(&mut self, manifest: &Manifest, files: Index) -> Result<()> {
        let backup = &manifest.backup;
        let blobs: Vec<String> = files.keys().filter(|path| path.starts_with("blobs/")).cloned().collect();
        let env = Tree::env(&self.backups.vault, files, &self.cache);
        let mut problems = Vec::new();
        let before = self.before(backup)?;
        if let Err(err) = log(&env, &self.backups.vault, backup, before.as_ref()) {
            problems.push(err);
        }
        if backup.kind == Kind::Backup
            && let Err(err) = rows(&env, manifest, &mut problems)
        {
            problems.push(err);
        }
        for path in blobs {
            problems.extend(blob(&env, &path).err());
        }
        for err in problems {
            if !is_unreadable(&err) {
                return Err(err);
            }
            self.problem(&backup.name, err);
        }
        Ok(())
    }
}

/// Checks every frame of the log, that it goes on from the end of the one before, and that it ends as the manifest says.
fn log(env: &agentdb_env::Env, vault: &Vault, backup: &Backup, before: Option<&Backup>) -> Result<()> {
    let mut chain = None;
    let log = verify_log(env, Path::new("/log"), &mut |group| {
        if before.is_some_and(|before| before.lsn == group.last_lsn()) {
            chain = Some(group.chain);
        }
        mutation::entries(&group.body, group.count, group.first_lsn).map(drop)
    })?;
    let wrong = |reason: &str| Err(vault.corrupt(&Manifest::object(&backup.name), reason));
    // No frame at all: the log of a database into which nothing was written.
    if log.groups == 0 && backup.lsn == Lsn::ZERO {
        return Ok(());
    }
    if log.head.lsn != backup.lsn
        || log.head.chain.to_string() != backup.chain
        || log.first_lsn != backup.log_from
    {
        let (from, to) = (log.first_lsn, log.head.lsn);
        return wrong(&format!("the log is that from LSN {from} to {to}, not what the manifest says"));
    }
    let Some(before) = before else { return Ok(()) };
    let chain = match chain {
        None => chain_at(env, Path::new("/log"), before.lsn)?,
        found => found,
    };
    match chain {
        Some(chain) if chain.to_string() == before.chain => Ok(()),
        _ => wrong(&format!("its log does not go on from the end of {}", before.name)),
    }
}

/// Checks the runs, and the digests that the rows in them have.
fn rows(env: &agentdb_env::Env, manifest: &Manifest, problems: &mut Vec<Error>) -> Result<()> {
    let backup = &manifest.backup;
    let base = Base::open(env, Path::new("/rows"), BaseOptions::default())?.snapshot();
    base.check(&mut |row| problems.extend(row.err()), &|| false);
    if base.position.lsn != backup.lsn || base.position.chain.to_string() != backup.chain {
        return Err(Error::new(Code::ViewAhead)
            .with("rows", base.position.lsn)
            .with("rows_chain", base.position.chain)
            .with("reason", format_args!("the backup is of LSN {}", backup.lsn)));
    }
    if !problems.is_empty() {
        return Ok(());
    }
    let mut expected: BTreeMap<u64, &str> =
        backup.namespaces.iter().map(|n| (n.number, n.digest.as_str())).collect();
    for namespace in base.namespaces()? {
        let (_, computed, rows) = base.rehash(namespace)?;
        let digest = computed.digest().to_string();
        let told = expected.remove(&namespace.number()).unwrap_or("none");
        if rows > 0 && told != digest {
            problems.push(mismatch(namespace.number(), &digest, told));
        }
    }
    problems.extend(expected.into_iter().map(|(number, told)| mismatch(number, "none", told)));
    Ok(())
}

fn mismatch(namespace: u64, actual: &str, expected: &str) -> Error {
    Error::new(Code::DigestMismatch)
        .with("namespace", namespace)
        .with("actual", actual)
        .with("expected", expected)
}

/// Checks that a blob's bytes hash to its address.
fn blob(env: &agentdb_env::Env, path: &str) -> Result<()> {
    let file = env.files.open(&Path::new("/").join(path), agentdb_env::OpenMode::Read)?;
    let (mut hasher, mut buffer, mut at) = (blake3::Hasher::new(), vec![0; 1 << 20], 0);
    loop {
        let read = file.read_at(at, &mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        at += read as u64;
    }
    let address = path.rsplit('/').next().unwrap_or(path);
    if hasher.finalize().to_hex().as_str() == address {
        return Ok(());
    }
    Err(crate::modules::blob::corrupt(address, "its bytes do not hash to its address"))
}
