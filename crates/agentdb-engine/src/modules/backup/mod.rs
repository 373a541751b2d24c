//! Backups: a database at one LSN, taken while it is used, into a directory or an object store ([`Store`]).
//!
//! | object | what it is |
//! | --- | --- |
//! | `STORE` | version, id, whether it is sealed ([`vault`]) |
//! | `chunks/ab/abcd…` | up to 4 MiB of some file, under the hash of these bytes; what is there is not sent again |
//! | `manifests/NAME` | a backup or an archive: LSN, chain hash, digests, the chunks of its [`index`] ([`manifest`]) |
//! | `leases/…` | who is at work ([`lease`]) |
//!
//! # What a backup holds
//!
//! The memory tables are handed over and drained, so that the base of the rows stands at one LSN, the backup's. What goes
//! into it are the runs of that base, which never change, a manifest that names them, the log from the backup or archive that
//! it continues up to that LSN, the blobs that the rows refer to, and those that were put meanwhile and are still there.
//! Writers wait for none of it. While a backup is taken, the log is not trimmed and files of blobs are not removed.
//!
//! `keys/` is not in it: erasing a subject destroys its key, and a copy of the key would undo that. The rows at the backup's
//! LSN need no keys; restoring to a later LSN replays the log, and needs the keys of the subjects whose writes are in it.
//!
//! # What an archive holds
//!
//! A manifest without rows ([`archive`]): the segments of the log from the one on that holds the end of the backup or archive
//! before it, and the blobs that were put in that stretch. It continues that one: the log here holds its LSN with its chain
//! hash. Of a segment that has grown, the chunks that were sent before are named again ([`source`]): where the chain
//! hash is the same, the frames up to it lie at the same places, and what is sent is durable, so that no crash puts others
//! there.
//!
//! A log may be held for an archive ([`hold`]): the file `HOLD` says for which store. Nothing is trimmed then that this
//! handle has not sent there, or found there.
//!
//! # Why a backup is whole or not there
//!
//! The manifest is written last, when everything that it names is durable, and never changed. A backup that is killed
//! leaves chunks, which the next one finds, and a lease, which ends. Chunks that no manifest names are collected by
//! `backup.delete` and `backup.prune`, unless a manifest is damaged: what it needs is not known ([`survey`]).
//!
//! # Restoring
//!
//! A [`tree::Tree`] shows a backup as a directory, each chunk checked as it is read. To restore an LSN or a time between two
//! backups, the earlier one's rows and blobs are taken and the log of what continues it, cut at the end that was asked for
//! ([`choose`]). Where the one between is gone or damaged, the log of a later one may reach back far enough; its chain
//! hashes prove it. The file `RESTORING` stands in the new directory until everything is durable: no handle opens it before.
//! The restored database has an id of its own, since it and the one that was backed up may go separate ways.

mod archive;
mod choose;
mod create;
#[cfg(any(test, feature = "decoders"))]
pub(crate) mod decoders;
mod delete;
mod directory;
mod handle;
mod hold;
mod index;
mod lease;
mod list;
mod manifest;
mod place;
mod release;
mod restore;
mod source;
mod store;
mod survey;
#[cfg(test)]
mod tests;
mod tree;
mod upload;
mod vault;
mod verify;

pub use archive::{Archive, ArchiveJob, Archived};
pub use create::{BackupJob, Create, Progress};
pub use delete::{Delete, Deleted, Prune};
pub use directory::DirectoryStore;
pub use handle::Backups;
pub use list::{Damaged, List, Listed};
pub use manifest::{Backup, Kind, NamespaceDigest};
pub use release::{Release, Released};
pub use restore::{Restore, Restored};
pub use store::Store;
pub use vault::StoreKey;
pub use verify::{Problem, Verified, Verify};

pub(crate) use hold::LogHold;
pub(crate) use lease::OwnLeases;
pub(crate) use place::check_new as check_new_database;
pub(crate) use restore::RESTORING;

use agentdb_types::{Code, Error};

use crate::operation::{Operation, Shape};

const CHUNKS: &str = "chunks/";
const MANIFESTS: &str = "manifests/";
const LEASES: &str = "leases/";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::shaped::<Archive>(Shape::Long),
        Operation::shaped::<Create>(Shape::Long),
        Operation::shaped::<Delete>(Shape::Long),
        Operation::shaped::<List>(Shape::Long),
        Operation::shaped::<Prune>(Shape::Long),
        Operation::shaped::<Release>(Shape::Long),
        Operation::shaped::<Restore>(Shape::Long),
        Operation::shaped::<Verify>(Shape::Long),
    ]
}

fn corrupt(place: &str, object: &str, reason: &str) -> Error {
    Error::new(Code::BackupCorrupt).with("store", place).with("object", object).with("reason", reason)
}

fn busy(place: &str, reason: &str) -> Error {
    Error::new(Code::BackupsBusy).with("store", place).with("reason", reason)
}

fn not_found(place: &str, name: &str) -> Error {
    Error::new(Code::BackupNotFound).with("store", place).with("backup", name)
}
