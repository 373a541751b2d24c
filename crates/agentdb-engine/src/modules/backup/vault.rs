//! The objects of a store as they are written: clear or sealed, with a name that their contents give, and checked when
//! they are read.
//!
//! Object, format version 1: version byte, a byte that is 0 for clear and 1 for sealed, then the contents; a sealed one is a
//! random nonce (24 bytes), then ciphertext and tag of XChaCha20-Poly1305, which covers the object's name and the id of
//! the store. A chunk's name is the BLAKE3 hash of its clear contents; in a sealed store the keyed one, so that nobody
//! without the key can tell from a name whether contents that they guess are there.
//!
//! An object that is being deleted holds [`DELETED`] and nothing else, so that its removal may come undone: an empty one, or
//! any other that is cut short, is damaged.
//!
//! The object `STORE` is made with the first backup: a line of JSON (`agentdb_backups`, the version; `id`; `key_check` if it
//! is sealed), and the line's CRC-32C.

use std::path::Path;
use std::sync::Arc;

use agentdb_env::{Env, OpenMode};
use agentdb_types::{Code, Error, Result};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};

use super::store::Store;
use super::{CHUNKS, MANIFESTS, corrupt};
use crate::format::checksum;

const HEAD: &str = "STORE";
/// How the contents of `STORE` begin.
const HEAD_START: &[u8; 18] = b"{\"agentdb_backups\"";
const VERSION: u32 = 1;
const OBJECT_VERSION: u8 = 1;
const CLEAR: u8 = 0;
const SEALED: u8 = 1;
const NONCE_BYTES: usize = 24;
/// What an object holds that is being deleted.
pub(super) const DELETED: &[u8] = b"deleted from these AgentDB backups\n";

/// The key of a sealed store.
pub type StoreKey = [u8; 32];

/// The name of a chunk: a hash of its contents.
pub(crate) type ChunkName = [u8; 32];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) agentdb_backups: u32,
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key_check: Option<String>,
}

impl Head {
    pub(crate) fn encode(&self) -> String {
        let line = serde_json::to_string(self).unwrap_or_default();
        format!("{line}\n{}\n", checksum(&line))
    }

    /// What the bytes of the object say; `None` if they are damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Head> {
        let (line, rest) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
        (rest.strip_suffix('\n')? == checksum(line)).then(|| serde_json::from_str(line).ok())?
    }
}

/// The keys that are derived from the store's.
struct Keys {
    names: [u8; 32],
    contents: XChaCha20Poly1305,
}

/// A store, and what is needed to read and write its objects.
pub(crate) struct Vault {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) env: Env,
    pub(crate) id: String,
    keys: Option<Keys>,
    /// What is to be written as `STORE` with the first backup.
    unwritten: Option<Head>,
}

impl Vault {
    /// Opens a store, or makes ready a new one.
    pub(crate) fn open(env: &Env, store: Arc<dyn Store>, key: Option<StoreKey>) -> Result<Self> {
        let found = match store.get(HEAD)? {
            Some(bytes) => Some(read_head(&*store, &bytes)?),
            None if store.list(MANIFESTS)?.is_empty() => None,
            None => return Err(corrupt(store.place(), HEAD, "it is missing beside backups")),
        };
        let mut random = [0; 16];
        env.entropy.fill(&mut random);
        let fresh = |key: Option<StoreKey>| {
            let id = format!("{:032x}", u128::from_be_bytes(random));
            Head { agentdb_backups: VERSION, key_check: key.map(|key| key_check(&key, &id)), id }
        };
        let head = found.clone().unwrap_or_else(|| fresh(key));
        check_key(&*store, &head, key)?;
        let keys = key.map(|key| Keys {
            names: blake3::derive_key("AgentDB backups v1: names of chunks", &key),
            contents: XChaCha20Poly1305::new(
                &blake3::derive_key("AgentDB backups v1: contents", &key).into(),
            ),
        });
        let unwritten = found.is_none().then(|| head.clone());
        Ok(Vault { store, env: env.clone(), id: head.id, keys, unwritten })
    }

    /// Makes sure that the store has its head. Two that make the first backup at once may both have made one ready: the
    /// second one finds that it is too late.
    pub(crate) fn ensure_head(&self) -> Result<()> {
        let Some(head) = &self.unwritten else { return Ok(()) };
        if self.store.put_if_absent(HEAD, head.encode().as_bytes())? {
            return Ok(());
        }
        let there = self.store.get(HEAD)?.and_then(|bytes| Head::decode(&bytes));
        if there.as_ref() == Some(head) {
            return Ok(());
        }
        Err(self.made_meanwhile())
    }

    /// Refuses a place where no backup was ever taken.
    pub(crate) fn check_exists(&self) -> Result<()> {
        let Some(head) = &self.unwritten else { return Ok(()) };
        match self.store.get(HEAD)?.map(|bytes| Head::decode(&bytes)) {
            None => Err(Error::new(Code::BackupStoreNotFound).with("store", self.store.place())),
            Some(there) if there.as_ref() == Some(head) => Ok(()),
            Some(_) => Err(self.made_meanwhile()),
        }
    }

    fn made_meanwhile(&self) -> Error {
        super::busy(self.store.place(), "another process has just made the first backup there")
    }

    /// The name of the chunk with these contents.
    pub(crate) fn chunk_name(&self, contents: &[u8]) -> ChunkName {
        match &self.keys {
            Some(keys) => *blake3::keyed_hash(&keys.names, contents).as_bytes(),
            None => *blake3::hash(contents).as_bytes(),
        }
    }

    /// Puts a chunk; returns the bytes that were sent.
    pub(crate) fn put_chunk(&self, name: &ChunkName, contents: &[u8]) -> Result<u64> {
        let object = chunk_object(name);
        let bytes = self.seal(&object, contents)?;
        let sent = bytes.len() as u64;
        self.store.put(&object, bytes)?;
        Ok(sent)
    }

    /// The contents of a chunk, checked.
    pub(crate) fn chunk(&self, name: &ChunkName) -> Result<Vec<u8>> {
        let object = chunk_object(name);
        let contents = self.read(&object)?.ok_or_else(|| self.corrupt(&object, "it is missing"))?;
        if self.chunk_name(&contents) != *name {
            return Err(self.corrupt(&object, "its contents do not hash to its name"));
        }
        Ok(contents)
    }

    /// Puts an object that there must not be yet.
    pub(crate) fn put_new(&self, object: &str, contents: &[u8]) -> Result<()> {
        if self.store.put_if_absent(object, &self.seal(object, contents)?)? {
            return Ok(());
        }
        Err(super::busy(self.store.place(), "another process has just used the same name"))
    }

    /// The contents of an object as it was put; `None` if there is none, or it is being deleted.
    pub(crate) fn read(&self, object: &str) -> Result<Option<Vec<u8>>> {
        match self.store.get(object)? {
            Some(bytes) if bytes != DELETED => self.open_object(object, &bytes).map(Some),
            _ => Ok(None),
        }
    }

    pub(crate) fn corrupt(&self, object: &str, reason: &str) -> Error {
        corrupt(self.store.place(), object, reason)
    }

    fn context(&self, object: &str) -> Vec<u8> {
        format!("{}\n{object}", self.id).into_bytes()
    }

    pub(super) fn seal(&self, object: &str, contents: &[u8]) -> Result<Vec<u8>> {
        let Some(keys) = &self.keys else {
            return Ok([&[OBJECT_VERSION, CLEAR], contents].concat());
        };
        let mut nonce = [0; NONCE_BYTES];
        self.env.entropy.fill(&mut nonce);
        let payload = Payload { msg: contents, aad: &self.context(object) };
        let sealed = keys
            .contents
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| self.corrupt(object, "it cannot be sealed"))?;
        Ok([&[OBJECT_VERSION, SEALED][..], &nonce, &sealed].concat())
    }

    pub(super) fn open_object(&self, object: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        match (bytes, &self.keys) {
            ([OBJECT_VERSION, CLEAR, contents @ ..], None) => Ok(contents.to_vec()),
            ([OBJECT_VERSION, SEALED, rest @ ..], Some(keys)) => {
                let opened = rest.split_first_chunk::<NONCE_BYTES>().and_then(|(nonce, sealed)| {
                    let payload = Payload { msg: sealed, aad: &self.context(object) };
                    keys.contents.decrypt(&XNonce::from(*nonce), payload).ok()
                });
                opened.ok_or_else(|| self.corrupt(object, "it does not open with the store's key"))
            }
            ([OBJECT_VERSION, ..], _) => Err(self.corrupt(object, "its form is not that of the store")),
            ([], _) => Err(self.corrupt(object, "it is empty")),
            _ => Err(self.corrupt(object, "its version is none that this build writes")),
        }
    }
}

pub(crate) fn chunk_object(name: &ChunkName) -> String {
    let hex = hex(name);
    format!("{CHUNKS}{}/{hex}", &hex[..2])
}

/// The chunk that an object is, if its name is that of one.
pub(crate) fn parse_chunk_object(object: &str) -> Option<ChunkName> {
    let (part, name) = object.strip_prefix(CHUNKS)?.split_once('/')?;
    parse_hex(name).filter(|_| name.starts_with(part))
}

pub(crate) fn hex(bytes: &ChunkName) -> String {
    blake3::Hash::from(*bytes).to_hex().to_string()
}

pub(crate) fn parse_hex(text: &str) -> Option<ChunkName> {
    // One spelling alone.
    blake3::Hash::from_hex(text).ok().filter(|hash| hash.to_hex().as_str() == text).map(Into::into)
}

/// Whether a directory is a store of backups, damaged or not.
pub(super) fn is_store(env: &Env, dir: &Path) -> Result<bool> {
    let path = dir.join(HEAD);
    if !env.files.exists(&path)? {
        return Ok(false);
    }
    // Something else may have this name.
    let mut start = [0; HEAD_START.len()];
    let read = env.files.open(&path, OpenMode::Read).and_then(|file| file.read_at(0, &mut start));
    Ok(read.is_ok() && start == *HEAD_START)
}

fn read_head(store: &dyn Store, bytes: &[u8]) -> Result<Head> {
    let head = Head::decode(bytes)
        .ok_or_else(|| corrupt(store.place(), HEAD, "its checksum or its form does not hold"))?;
    if head.agentdb_backups != VERSION {
        return Err(Error::new(Code::FormatTooNew)
            .with("path", format_args!("{}/{HEAD}", store.place()))
            .with("actual", head.agentdb_backups)
            .with("supported", VERSION));
    }
    Ok(head)
}

fn key_check(key: &StoreKey, id: &str) -> String {
    let material = [&key[..], id.as_bytes()].concat();
    hex(&blake3::derive_key("AgentDB backups v1: check of the key", &material))
}

fn check_key(store: &dyn Store, head: &Head, key: Option<StoreKey>) -> Result<()> {
    let reason = match (&head.key_check, key) {
        (None, None) => return Ok(()),
        (Some(check), Some(key)) if key_check(&key, &head.id) == *check => return Ok(()),
        (Some(_), Some(_)) => "it was sealed with another key",
        (Some(_), None) => "it is sealed, and no key was given",
        (None, Some(_)) => "it is not sealed, and a key was given",
    };
    Err(Error::new(Code::BackupKey).with("store", store.place()).with("reason", reason))
}
