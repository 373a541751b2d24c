//! Leases keep a backup and a collection of chunks apart: a backup relies on chunks that no manifest names yet.
//!
//! A lease is an object `leases/backup-…` or `leases/collect-…` whose contents are the time at which it ends. Whoever takes
//! one puts it first and looks at the others' then: of two that must not run together, the second at least sees the first.
//!
//! # Why no chunk goes that a backup needs
//!
//! A collection removes leases that have ended, looks at all leases once more, and begins only if none but its own is
//! there. A backup that was stopped for longer than its lease finds that its lease is gone: it looks when it renews it,
//! by putting the new one before it looks whether the old one is still there, and after it has put its manifest, which it
//! takes back then. A collection that finds that its own is gone stops. What remains is a collection that is stopped in the
//! middle of a single request for longer than a lease, and clocks that differ by as much.

use agentdb_types::{Result, Timestamp};

use super::vault::Vault;
use super::{LEASES, busy};

/// How long a lease lasts unless it is renewed: 15 minutes.
const LASTS_US: i64 = 15 * 60 * 1_000_000;

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
}

/// A lease that is held.
pub(crate) struct Lease {
    holder: Holder,
    object: String,
    ends: Timestamp,
}

impl Lease {
    /// Takes a lease, unless someone holds one that does not go with it.
    pub(crate) fn take(vault: &Vault, holder: Holder) -> Result<Lease> {
        let lease = Self::put(vault, holder)?;
        let alone = lease.look(vault, holder == Holder::Collection);
        // Expired ones are gone now; whoever came meanwhile is seen.
        let alone = alone.and_then(|()| match holder {
            Holder::Collection => lease.look(vault, false),
            Holder::Backup => Ok(()),
        });
        match alone {
            Ok(()) => Ok(lease),
            Err(err) => {
                lease.release(vault)?;
                Err(err)
            }
        }
    }

    fn put(vault: &Vault, holder: Holder) -> Result<Lease> {
        let mut random = [0; 16];
        vault.env.entropy.fill(&mut random);
        let object = format!("{LEASES}{}{:032x}", holder.prefix(), u128::from_be_bytes(random));
        let ends = Timestamp::from_micros(vault.env.clock.wall().micros().saturating_add(LASTS_US))?;
        vault.store.put_if_absent(&object, ends.to_string().as_bytes())?;
        Ok(Lease { holder, object, ends })
    }

    /// Refuses if another lease stands in the way. Those that have ended are removed first if `remove` says so, and are
    /// none to a backup; a collection cannot go on beside any.
    fn look(&self, vault: &Vault, remove: bool) -> Result<()> {
        let now = vault.env.clock.wall();
        for object in vault.store.list(LEASES)? {
            let of_a_backup = object.starts_with(&format!("{LEASES}{}", Holder::Backup.prefix()));
            if object == self.object || (self.holder == Holder::Backup && of_a_backup) {
                continue;
            }
            let ends = vault.store.get(&object)?;
            // One whose contents say nothing has just been made, or is of a newer version: it is respected.
            let ends = ends.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.parse::<Timestamp>().ok());
            if remove && ends.is_some_and(|ends| ends < now) {
                vault.store.delete(std::slice::from_ref(&object))?;
                continue;
            }
            if self.holder == Holder::Backup && ends.is_some_and(|ends| ends < now) {
                continue;
            }
            let who = if of_a_backup { "a backup" } else { "a collection of chunks" };
            let until = ends.map_or("some time".to_owned(), |ends| ends.to_string());
            let reason = format!("{who} runs there, or was killed: its lease ({object}) lasts until {until}");
            return Err(busy(vault.store.place(), &reason));
        }
        Ok(())
    }

    /// Renews the lease when a third of it has passed.
    pub(crate) fn keep(&mut self, vault: &Vault) -> Result<()> {
        let left = self.ends.micros() - vault.env.clock.wall().micros();
        if left > LASTS_US / 3 * 2 && left <= LASTS_US {
            return Ok(());
        }
        let next = Self::put(vault, self.holder)?;
        if let Err(err) = self.check(vault) {
            next.release(vault)?;
            return Err(err);
        }
        std::mem::replace(self, next).release(vault)
    }

    /// Whether nobody has taken the lease for one that ended.
    pub(crate) fn check(&self, vault: &Vault) -> Result<()> {
        match vault.store.get(&self.object)? {
            Some(_) => Ok(()),
            None => Err(busy(vault.store.place(), "the lease of this process ended while it was stopped")),
        }
    }

    pub(crate) fn release(self, vault: &Vault) -> Result<()> {
        vault.store.delete(&[self.object])
    }
}
