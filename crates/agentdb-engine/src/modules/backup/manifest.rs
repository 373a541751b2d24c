//! The manifest: what one backup is. It is written last, so that a backup is there as a whole or not at all.
//!
//! Format version 1: a line of JSON, the BLAKE3 hash of that line in hexadecimal digits on the next.

use agentdb_types::{Code, Error, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MANIFESTS;
use super::index::{self, Index};
use super::vault::{Vault, parse_hex};

const VERSION: u32 = 1;

/// What a manifest stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The rows, the log from the one before on, and the blobs: it can be restored by itself.
    Backup,
    /// The log from the one before on, and the blobs that were put in that stretch.
    Archive,
}

impl Kind {
    /// The end of the names of this kind.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Kind::Backup => "",
            Kind::Archive => "-log",
        }
    }
}

/// What stands in the names of a database's backups: six digits that its id gives, behind a dash. Two databases may share
/// them; a manifest says whose it is.
pub(crate) fn tag(database: &str) -> String {
    format!("-{}", &blake3::hash(database.as_bytes()).to_hex()[..6])
}

/// By what names are sorted, the oldest first: the time to the second, the LSN, then the name.
pub(crate) fn age(name: &str) -> (&str, u64, &str) {
    let mut parts = name.splitn(3, '-');
    let (time, lsn) = (parts.next().unwrap_or_default(), parts.next().and_then(|lsn| lsn.parse().ok()));
    (time, lsn.unwrap_or_default(), name)
}

/// A backup or an archive, as its manifest tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Backup {
    /// Its name.
    pub name: String,
    /// Which of the two it is.
    pub kind: Kind,
    /// The id of the database.
    pub database: String,
    /// The LSN that it restores to.
    pub lsn: Lsn,
    /// The chain hash of the log there.
    pub chain: String,
    /// Log time there.
    pub time: Timestamp,
    /// When it was taken: whatever had been committed by then is in it.
    pub taken: Timestamp,
    /// The first LSN of the log that it holds.
    pub log_from: Lsn,
    /// The backup or the archive whose log this one continues: LSNs and times between the two can be restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<String>,
    /// The namespaces, and the digests of their rows; none in an archive.
    pub namespaces: Vec<NamespaceDigest>,
    /// How many files it holds.
    pub files: u64,
    /// Bytes of these files, zeros at the ends of segments left out.
    pub bytes: u64,
    /// Bytes that were sent for it: the rest was there.
    pub sent_bytes: u64,
}

/// The digest of a namespace's rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamespaceDigest {
    /// The namespace's number.
    pub number: u64,
    /// The digest: 64 hexadecimal digits.
    pub digest: String,
}

/// What the object holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) version: u32,
    /// The version of the database's directory.
    pub(crate) format: u32,
    #[serde(flatten)]
    pub(crate) backup: Backup,
    /// The chunks of the index, by name.
    pub(crate) index: Vec<String>,
}

impl Manifest {
    pub(crate) fn new(backup: Backup, index: Vec<String>) -> Self {
        Manifest { version: VERSION, format: crate::format::VERSION, backup, index }
    }

    pub(crate) fn object(name: &str) -> String {
        format!("{MANIFESTS}{name}")
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let line = serde_json::to_string(self).unwrap_or_default();
        format!("{line}\n{}\n", blake3::hash(line.as_bytes()).to_hex()).into_bytes()
    }

    /// What the bytes say; `None` if they are damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Manifest> {
        let (line, rest) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
        let holds = rest.strip_suffix('\n')? == blake3::hash(line.as_bytes()).to_hex().as_str();
        holds.then(|| serde_json::from_str(line).ok())?
    }

    /// The manifest of this name; `None` if there is none.
    pub(crate) fn read(vault: &Vault, name: &str) -> Result<Option<Manifest>> {
        let object = Self::object(name);
        let Some(bytes) = vault.read(&object)? else { return Ok(None) };
        let damaged = || vault.corrupt(&object, "its hash or its form does not hold");
        let manifest = Self::decode(&bytes).filter(|m| m.backup.name == name).ok_or_else(damaged)?;
        if manifest.version != VERSION || manifest.format != crate::format::VERSION {
            return Err(Error::new(Code::FormatTooNew)
                .with("path", format_args!("{}/{object}", vault.store.place()))
                .with("actual", manifest.version.max(manifest.format))
                .with("supported", VERSION));
        }
        Ok(Some(manifest))
    }

    /// The names of the manifests in a store, newest first: a name begins with its time.
    pub(crate) fn names(vault: &Vault) -> Result<Vec<String>> {
        let objects = vault.store.list(MANIFESTS)?;
        let mut names: Vec<String> =
            objects.iter().filter_map(|o| o.strip_prefix(MANIFESTS)).map(str::to_owned).collect();
        names.sort_unstable_by(|a, b| age(b).cmp(&age(a)));
        Ok(names)
    }

    /// The files of the backup.
    pub(crate) fn files(&self, vault: &Vault) -> Result<Index> {
        let mut index = Index::new();
        for name in &self.index {
            let object = Self::object(&self.backup.name);
            let chunk =
                parse_hex(name).ok_or_else(|| vault.corrupt(&object, "it names no chunk of the index"))?;
            let piece = vault.chunk(&chunk).map_err(|err| err.with("files", "the index of the backup"))?;
            index::decode(&piece, &mut index).ok_or_else(|| {
                vault.corrupt(&super::vault::chunk_object(&chunk), "the index is malformed")
            })?;
        }
        Ok(index)
    }
}
