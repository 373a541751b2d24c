//! The keys of subjects: one file each under `keys/`, apart from the data that they seal.
//!
//! Format version 1 (little-endian): magic `ADBKEY` and the version in two digits, state byte (1 live, 2 destroyed), key id (16), key (32, zeros once
//! destroyed), length of the subject `u16`, the subject, CRC-32C of all that. Bodies are sealed with XChaCha20-Poly1305
//! (draft-irtf-cfrg-xchacha-03) under a random nonce: key id, nonce (24), ciphertext and tag.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use agentdb_env::{Env, OpenMode, entries};
use agentdb_types::{Code, Error, Id, Result};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::mutation::Seal;

const MAGIC: &[u8; 6] = b"ADBKEY";
const VERSION: u8 = 1;
const ID_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const LIVE: u8 = 1;
const DESTROYED: u8 = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubjectKey {
    id: [u8; ID_BYTES],
    /// `None` once destroyed.
    key: Option<[u8; KEY_BYTES]>,
}

pub(crate) struct Keyring {
    env: Env,
    dir: PathBuf,
    cache: Mutex<HashMap<String, SubjectKey>>,
}

impl Keyring {
    pub(crate) fn new(env: &Env, dir: &Path) -> Self {
        Keyring { env: env.clone(), dir: dir.to_owned(), cache: Mutex::default() }
    }

    /// Makes sure that the subject has a live key, durable before anything is sealed with it. A subject whose key was
    /// destroyed gets a new one: what was sealed before stays unreadable.
    pub(crate) fn ensure(&self, subject: &str) -> Result<()> {
        Id::check("subject", subject)?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match cache.get(subject) {
            Some(key) => Some(key.clone()),
            None => self.load(subject)?,
        };
        if let Some(key) = known.filter(|k| k.key.is_some()) {
            cache.insert(subject.to_owned(), key);
            return Ok(());
        }
        let (mut id, mut key) = ([0; ID_BYTES], [0; KEY_BYTES]);
        self.env.entropy.fill(&mut id);
        self.env.entropy.fill(&mut key);
        let fresh = SubjectKey { id, key: Some(key) };
        self.store(subject, &fresh)?;
        cache.insert(subject.to_owned(), fresh);
        Ok(())
    }

    #[cfg(test)]
    /// Destroys a subject's key: every body sealed with it is a tombstone from now on, in every copy of the log.
    pub(crate) fn destroy(&self, subject: &str) -> Result<bool> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = self.load(subject)?.filter(|k| k.key.is_some()) else { return Ok(false) };
        let gone = SubjectKey { id: known.id, key: None };
        self.store(subject, &gone)?;
        cache.insert(subject.to_owned(), gone);
        Ok(true)
    }

    fn file_name(subject: &str) -> String {
        let name = blake3::hash(subject.as_bytes()).to_hex();
        format!("{}.key", &name[..32])
    }

    fn missing(&self, subject: &str) -> Error {
        let path = self.dir.join(Self::file_name(subject));
        Error::new(Code::KeyMissing).with("subject", subject).with("path", path.display())
    }

    fn find(&self, subject: &str) -> Result<SubjectKey> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = cache.get(subject) {
            return Ok(key.clone());
        }
        let key = self.load(subject)?.ok_or_else(|| self.missing(subject))?;
        cache.insert(subject.to_owned(), key.clone());
        Ok(key)
    }

    fn load(&self, subject: &str) -> Result<Option<SubjectKey>> {
        let name = Self::file_name(subject);
        let path = self.dir.join(&name);
        // What is about to be sealed with it must not outlive it.
        entries::prove(&*self.env.files, &self.dir, &name)?;
        if !self.env.files.exists(&path)? {
            return Ok(None);
        }
        let file = self.env.files.open(&path, OpenMode::Read)?;
        let mut bytes = vec![0; usize::try_from(file.len()?.min(4096)).unwrap_or_default()];
        let read = file.read_at(0, &mut bytes)?;
        let corrupt = |what: &str| {
            Error::new(Code::FormatCorrupt)
                .with("path", path.display())
                .with("reason", format_args!("the key file of subject {subject} {what}"))
                .with("subject", subject)
        };
        match decode(&bytes[..read], &path) {
            Ok((name, key)) if name == subject => Ok(Some(key)),
            Ok(_) => Err(corrupt("holds the key of another one")),
            Err(err) if err.code() == Code::FormatCorrupt => {
                Err(corrupt("has a checksum or a form that does not hold"))
            }
            Err(err) => Err(err.with("subject", subject)),
        }
    }

    fn store(&self, subject: &str, key: &SubjectKey) -> Result<()> {
        let name = Self::file_name(subject);
        let path = self.dir.join(&name);
        let new = path.with_extension("new");
        if self.env.files.exists(&new)? {
            self.env.files.remove(&new)?;
        }
        let file = self.env.files.open(&new, OpenMode::CreateNew)?;
        file.write_at(0, &encode(subject, key))?;
        file.sync_data()?;
        entries::make(&*self.env.files, &self.dir, &name, || self.env.files.rename(&new, &path))
    }
}

pub(crate) fn encode(subject: &str, key: &SubjectKey) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(format!("{VERSION:02}").as_bytes());
    out.push(if key.key.is_some() { LIVE } else { DESTROYED });
    out.extend_from_slice(&key.id);
    out.extend_from_slice(&key.key.unwrap_or_default());
    out.extend_from_slice(&(subject.len() as u16).to_le_bytes());
    out.extend_from_slice(subject.as_bytes());
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    out
}

/// The subject and the key in the bytes of a key file.
pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<(String, SubjectKey)> {
    let corrupt = || {
        Error::new(Code::FormatCorrupt)
            .with("path", path.display())
            .with("reason", "the key file's checksum or form does not hold")
    };
    let (fields, crc) = bytes.split_last_chunk::<4>().ok_or_else(corrupt)?;
    if crc32c::crc32c(fields) != u32::from_le_bytes(*crc) {
        return Err(corrupt());
    }
    let rest = fields.strip_prefix(MAGIC).ok_or_else(corrupt)?;
    let (digits, rest) = rest.split_first_chunk::<2>().ok_or_else(corrupt)?;
    let version = digits.iter().try_fold(0, |n, d| d.is_ascii_digit().then(|| n * 10 + (d - b'0')));
    match version.ok_or_else(corrupt)? {
        VERSION => {}
        0 => return Err(corrupt()),
        newer => {
            return Err(Error::new(Code::FormatTooNew)
                .with("path", path.display())
                .with("actual", newer)
                .with("supported", VERSION));
        }
    }
    decode_fields(rest).ok_or_else(corrupt)
}

fn decode_fields(rest: &[u8]) -> Option<(String, SubjectKey)> {
    let (&state, rest) = rest.split_first()?;
    let (id, rest) = rest.split_first_chunk::<ID_BYTES>()?;
    let (key, rest) = rest.split_first_chunk::<KEY_BYTES>()?;
    let (len, name) = rest.split_first_chunk::<2>()?;
    let key = match state {
        LIVE => Some(*key),
        DESTROYED if *key == [0; KEY_BYTES] => None,
        _ => return None,
    };
    let subject = String::from_utf8(name.to_vec()).ok().filter(|s| Id::check("subject", s).is_ok())?;
    (usize::from(u16::from_le_bytes(*len)) == name.len()).then_some((subject, SubjectKey { id: *id, key }))
}

impl Seal for Keyring {
    fn seal(&self, subject: &str, context: &[u8], body: &[u8]) -> Result<Vec<u8>> {
        let found = self.find(subject)?;
        let key = found.key.ok_or_else(|| self.missing(subject))?;
        let mut nonce = [0; NONCE_BYTES];
        self.env.entropy.fill(&mut nonce);
        let cipher = XChaCha20Poly1305::new(&key.into());
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: body, aad: context })
            .map_err(|_| self.missing(subject))?;
        Ok([&found.id[..], &nonce, &sealed].concat())
    }

    fn open(&self, subject: &str, context: &[u8], sealed: &[u8]) -> Result<Option<Vec<u8>>> {
        let corrupt = || {
            Error::new(Code::FormatCorrupt)
                .with("path", "a sealed body of the log")
                .with("reason", "it does not open with its subject's key")
        };
        let (id, rest) = sealed.split_first_chunk::<ID_BYTES>().ok_or_else(corrupt)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(corrupt)?;
        let found = self.find(subject)?;
        // Sealed with an earlier key of the subject, which was destroyed before this one was made.
        let Some(key) = found.key.filter(|_| found.id == *id) else { return Ok(None) };
        let cipher = XChaCha20Poly1305::new(&key.into());
        let payload = Payload { msg: body, aad: context };
        cipher.decrypt(&XNonce::from(*nonce), payload).map(Some).map_err(|_| corrupt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_opens_until_its_key_is_destroyed_and_never_after() {
        let world = agentdb_env::sim::World::new(1);
        let (env, dir) = (world.env(), PathBuf::from("/keys"));
        env.files.create_dir_all(&dir).unwrap();
        let ring = Keyring::new(&env, &dir);
        ring.ensure("ann").unwrap();
        let sealed = ring.seal("ann", b"row", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|w| w == b"secret"));
        assert_eq!(ring.open("ann", b"row", &sealed).unwrap().unwrap(), b"secret");
        assert_eq!(ring.open("ann", b"other", &sealed).unwrap_err().code(), Code::FormatCorrupt);
        // Another handle reads the same key.
        let other = Keyring::new(&env, &dir);
        assert_eq!(other.open("ann", b"row", &sealed).unwrap().unwrap(), b"secret");
        assert!(other.destroy("ann").unwrap());
        assert_eq!(other.open("ann", b"row", &sealed).unwrap(), None);
        // A new key does not open what the old one sealed.
        other.ensure("ann").unwrap();
        assert_eq!(other.open("ann", b"row", &sealed).unwrap(), None);
        assert_eq!(other.open("bob", b"row", &sealed).unwrap_err().code(), Code::KeyMissing);
    }
}
