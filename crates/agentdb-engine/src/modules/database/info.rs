//! `database.info`.

use agentdb_types::{Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::{Snapshot, format, modules};

/// Asks for the figures of the open database.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Info {}

/// The figures of an open database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Information {
    /// The database's id.
    pub id: String,
    /// The version of the directory's format.
    pub format: u32,
    /// The last published LSN.
    pub lsn: Lsn,
    /// The LSN up to which the log is durable.
    pub synced: Lsn,
    /// The LSN up to which the base of the rows, its files on the disk, holds everything.
    pub drained: Lsn,
    /// Bytes of rows in memory that are on their way to the base.
    pub memory_bytes: u64,
    /// Bytes that the payloads of collections take in memory that were filtered or searched, about.
    #[serde(default)]
    pub record_index_bytes: u64,
    /// Bytes of the base’s files.
    pub base_bytes: u64,
    /// How many runs, its files, there are.
    pub base_runs: u64,
    /// Bytes of the log’s segments.
    pub log_bytes: u64,
    /// The place of backups that the log is held for: no segment goes that was not sent there (`backup.archive`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_held_for: Option<String>,
    /// The LSN up to which this handle knows a held log to be there; zero before its first archive or backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_archived: Option<Lsn>,
    /// How many namespaces there are, `default` included and the system’s own left out.
    pub namespaces: u64,
    /// Groups committed since opening.
    pub groups: u64,
    /// Mutations committed since opening.
    pub mutations: MutationCounts,
}

/// Mutations by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MutationCounts {
    /// Rows written as a whole.
    pub put: u64,
    /// Rows deleted.
    pub delete: u64,
    /// Counters added to.
    pub add: u64,
    /// Rows changed in part.
    pub splice: u64,
}

impl Request for Info {
    type Response = Information;
    const ABOUT: About = About {
        name: "database.info",
        doc: "Tells the figures of the open database: id, format, LSNs, bytes, counts.",
        effect: Effect::Read,
        scope: Scope::Database,
        permission: "database.read",
        resource: &[],
        sensitive: &[],
        errors: &[],
    };
}

impl ReadRequest for Info {
    fn read(&self, snapshot: &Snapshot) -> Result<Information> {
        let core = &snapshot.core;
        let stats = core.stats()?;
        let (log_held_for, log_archived) = stats.held_for.unzip();
        let [put, delete, add, splice] = stats.mutations;
        Ok(Information {
            id: core.format.id.clone(),
            format: format::VERSION,
            lsn: stats.lsn,
            synced: stats.synced,
            drained: stats.drained,
            memory_bytes: stats.memory_bytes,
            record_index_bytes: stats.record_index_bytes,
            base_bytes: stats.base_bytes,
            base_runs: stats.base_runs,
            log_bytes: stats.log_bytes,
            log_held_for,
            log_archived,
            namespaces: modules::namespace::all(snapshot)?.len() as u64 - 1,
            groups: stats.groups,
            mutations: MutationCounts { put, delete, add, splice },
        })
    }
}
