//! `backup.list`.

use agentdb_types::Code;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Backup;
use crate::operation::{About, Effect, Request, Scope};

/// Lists the backups in a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Where the backups are: a directory, or `s3://BUCKET/PREFIX`, `gs://…`, `az://…`.
    pub store: String,
    /// A file that holds the key of a sealed store: 32 bytes, or 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
}

/// The answer to [`List`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The backups, oldest first.
    pub items: Vec<Backup>,
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "backup.list",
        doc: "Lists the backups in a store, oldest first. No database is opened.",
        effect: Effect::Read,
        scope: Scope::Database,
        permission: "backup.read",
        resource: &["store"],
        sensitive: &[],
        errors: &[
            Code::BackupKey,
            Code::BackupPlace,
            Code::BackupsBusy,
            Code::BackupStore,
            Code::BackupCorrupt,
        ],
    };
}
