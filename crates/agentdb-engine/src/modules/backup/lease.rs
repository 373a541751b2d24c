//! Leases keep a backup and a collection of chunks apart: a backup relies on chunks that no manifest names yet.
//!
//! A lease is an object `leases/backup-ID` or `leases/collect-ID` whose contents are the time at which it ends (format
//! version 1: RFC 3339, nothing else); renewed, it is `…-ID-1`, `…-ID-2`. Whoever takes one puts it first and looks at the
//! others' then: of two that must not run together, the second at least sees the first.
//!
//! # Why no chunk goes that a backup needs
//!
//! Whoever takes a lease removes those that have ended, and looks again until there was none to remove. A collection begins
//! only if no lease but its own is there, a backup if none of a collection is. Who was stopped for longer than its lease
//! finds that it is gone, and stops: it looks when it renews it, by putting the new one before it looks whether the
//! old one is still there; a collection before each deletion, too; a backup after it has put its manifest, which it takes
//! back then. So either the one that was stopped sees that its lease was removed, or the one that came sees the
//! renewed one. What remains is a collection that is stopped in the middle of a single request for longer than a lease, and
//! clocks that differ by as much.
//!
//! # Leases of the dead
//!
//! A process that is killed leaves its lease, which keeps a collection waiting until it ends. The next backup of the same
//! database need not wait: it holds the lock on the database's directory, so that no earlier handle of it lives, and the
//! directory tells which leases those handles took ([`OwnLeases`], in the file `LEASES`: a store's id and a lease's, a
//! line each). It removes them. If the directory was copied while a backup was under way, the copy removes a lease whose
//! holder lives; that backup stops then, as above, and nothing is lost.
//! A lease that a killed collection has left is nobody's to remove: a collection opens no database. It ends after its time.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use agentdb_env::{Env, OpenMode};
use agentdb_types::{Result, Timestamp};

use super::vault::Vault;
use super::{LEASES, busy};

/// How long a lease lasts unless it is renewed: 15 minutes.
const LASTS_US: i64 = 15 * 60 * 1_000_000;
/// Digits of a lease's id, and of a store's.
const ID_DIGITS: usize = 32;
/// Bytes of the file of own leases that are looked at.
const FILE_BYTES: u64 = 64 << 10;

/// Who takes a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Backup,
    Collection,
}

impl Holder {
    fn prefix(self) -> &'static str {
        match self {
            Holder::Backup => "backup-",
            Holder::Collection => "collect-",
        }
    }

    /// The object of a lease that was renewed so often.
    fn object(self, id: &str, renewals: u32) -> String {
        let renewed = if renewals == 0 { String::new() } else { format!("-{renewals}") };
        format!("{LEASES}{}{id}{renewed}", self.prefix())
    }

    fn is_of(self, object: &str) -> bool {
        object.strip_prefix(LEASES).is_some_and(|name| name.starts_with(self.prefix()))
    }
}

/// A lease that is held.
pub(crate) struct Lease {
    holder: Holder,
    id: String,
    renewals: u32,
    ends: Timestamp,
}

impl Lease {
    /// The id of a lease to take.
    pub(crate) fn new_id(vault: &Vault) -> String {
        let mut random = [0; 16];
        vault.env.entropy.fill(&mut random);
        format!("{:032x}", u128::from_be_bytes(random))
    }

    /// Takes a lease, unless someone holds one that does not go with it.
    pub(crate) fn take(vault: &Vault, holder: Holder, id: String) -> Result<Lease> {
        let lease = Self::put(vault, holder, id, 0)?;
        // Ended ones are gone then; whoever came meanwhile is seen.
        let alone = loop {
            match lease.look(vault) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(err) => break Err(err),
            }
        };
        match alone {
            Ok(()) => Ok(lease),
            Err(err) => {
                lease.release(vault)?;
                Err(err)
            }
        }
    }

    /// Removes the leases of backups that are known to be dead.
    pub(crate) fn remove_dead(vault: &Vault, ids: &[String]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let is_dead = |object: &String| {
            let name =
                object.strip_prefix(LEASES).and_then(|name| name.strip_prefix(Holder::Backup.prefix()));
            name.is_some_and(|name| ids.iter().any(|id| name.starts_with(id.as_str())))
        };
        let dead: Vec<String> = vault.store.list(LEASES)?.into_iter().filter(is_dead).collect();
        if dead.is_empty() { Ok(()) } else { vault.store.delete(&dead) }
    }

    fn put(vault: &Vault, holder: Holder, id: String, renewals: u32) -> Result<Lease> {
        let ends = Timestamp::from_micros(vault.env.clock.wall().micros().saturating_add(LASTS_US))?;
        vault.store.put_if_absent(&holder.object(&id, renewals), &encode(ends))?;
        Ok(Lease { holder, id, renewals, ends })
    }

    fn object(&self) -> String {
        self.holder.object(&self.id, self.renewals)
    }

    /// Refuses if another lease stands in the way; whether one that had ended was removed.
    fn look(&self, vault: &Vault) -> Result<bool> {
        let (now, own) = (vault.env.clock.wall(), self.object());
        let mut removed = false;
        for object in vault.store.list(LEASES)?.into_iter().filter(|object| *object != own) {
            let Some(contents) = vault.store.get(&object)? else { continue };
            // One whose contents say nothing has just been made, or is of a newer version: it is respected.
            let ends = decode(&contents);
            if ends.is_some_and(|ends| ends < now) {
                vault.store.delete(std::slice::from_ref(&object))?;
                removed = true;
                continue;
            }
            let of_a_backup = Holder::Backup.is_of(&object);
            if self.holder == Holder::Backup && of_a_backup {
                continue;
            }
            let who = if of_a_backup { "a backup" } else { "a collection of chunks" };
            let until = ends.map_or("some time".to_owned(), |ends| ends.to_string());
            let reason = format!("{who} runs there, or was killed: its lease ({object}) lasts until {until}");
            return Err(busy(vault.store.place(), &reason));
        }
        Ok(removed)
    }

    /// Renews the lease when a third of it has passed.
    pub(crate) fn keep(&mut self, vault: &Vault) -> Result<()> {
        let left = self.ends.micros() - vault.env.clock.wall().micros();
        if left > LASTS_US / 3 * 2 && left <= LASTS_US {
            return Ok(());
        }
        let next = Self::put(vault, self.holder, self.id.clone(), self.renewals + 1)?;
        if let Err(err) = self.check(vault) {
            next.release(vault)?;
            return Err(err);
        }
        std::mem::replace(self, next).release(vault)
    }

    /// Whether nobody has taken the lease for one that ended.
    pub(crate) fn check(&self, vault: &Vault) -> Result<()> {
        match vault.store.get(&self.object())? {
            Some(_) => Ok(()),
            None => Err(busy(vault.store.place(), "the lease of this process ended while it was stopped")),
        }
    }

    pub(crate) fn release(self, vault: &Vault) -> Result<()> {
        vault.store.delete(&[self.object()])
    }
}

/// The contents of a lease that ends then.
pub(crate) fn encode(ends: Timestamp) -> Vec<u8> {
    ends.to_string().into_bytes()
}

/// When a lease with these contents ends.
pub(crate) fn decode(contents: &[u8]) -> Option<Timestamp> {
    std::str::from_utf8(contents).ok()?.parse().ok()
}

/// The leases that the handles of a database took, by its directory. What the file says is a help: losing it makes a
/// collection wait.
pub(crate) struct OwnLeases {
    env: Env,
    path: PathBuf,
    known: Mutex<Option<Known>>,
}

/// A store's id, and a lease's.
type Line = (String, String);

#[derive(Default)]
struct Known {
    /// Those of handles that are gone.
    dead: Vec<Line>,
    /// Those of this handle.
    live: Vec<Line>,
}

impl OwnLeases {
    pub(crate) fn new(env: &Env, dir: &Path) -> Self {
        OwnLeases { env: env.clone(), path: dir.join("LEASES"), known: Mutex::default() }
    }

    /// Notes a lease that is about to be taken; returns the leases in this store whose holders are dead. The lock on the
    /// database's directory is held.
    pub(crate) fn note(&self, store: &str, id: &str) -> Vec<String> {
        self.change(|known| {
            known.live.push((store.to_owned(), id.to_owned()));
            let dead = known.dead.iter().filter(|(of, _)| of == store);
            dead.map(|(_, id)| id.clone()).collect()
        })
    }

    /// Forgets leases that are not there any more.
    pub(crate) fn forget(&self, ids: &[String]) {
        self.change(|known| {
            known.live.retain(|(_, id)| !ids.contains(id));
            known.dead.retain(|(_, id)| !ids.contains(id));
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_with(|| Known { dead: self.read(), live: Vec::new() });
        let before = lines(known);
        let answer = change(known);
        let after = lines(known);
        if before != after {
            // Without the file, the leases end by themselves.
            let _ = self.write(&after);
        }
        answer
    }

    fn read(&self) -> Vec<Line> {
        let read = || -> Result<Vec<u8>> {
            if !self.env.files.exists(&self.path)? {
                return Ok(Vec::new());
            }
            let file = self.env.files.open(&self.path, OpenMode::Read)?;
            let mut bytes = vec![0; file.len()?.min(FILE_BYTES) as usize];
            let read = file.read_at(0, &mut bytes)?;
            bytes.truncate(read);
            Ok(bytes)
        };
        let is_id = |text: &str| text.len() == ID_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
        let text = String::from_utf8(read().unwrap_or_default()).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        lines
            .filter(|(store, lease)| is_id(store) && is_id(lease))
            .map(|(store, lease)| (store.to_owned(), lease.to_owned()))
            .collect()
    }

    fn write(&self, text: &str) -> Result<()> {
        let files = &self.env.files;
        if files.exists(&self.path)? {
            files.remove(&self.path)?;
        }
        if text.is_empty() {
            return Ok(());
        }
        files.open(&self.path, OpenMode::CreateNew)?.write_at(0, text.as_bytes())
    }
}

fn lines(known: &Known) -> String {
    known.dead.iter().chain(&known.live).map(|(store, lease)| format!("{store} {lease}\n")).collect()
}
