//! `backup.list`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::survey::Survey;
use super::{Backup, Backups, Problem};
use crate::operation::{About, Effect, Request, Scope};

/// Lists the backups and archives in a store.
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
    /// The backups and archives, oldest first.
    pub items: Vec<Backup>,
    /// Those whose manifests cannot be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<Damaged>,
}

/// A backup or an archive whose manifest cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Damaged {
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub problem: Problem,
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "backup.list",
        doc: "Lists the backups and archives in a store, oldest first, and names those whose manifests are damaged. No database is opened.",
        effect: Effect::Read,
        scope: Scope::Database,
        permission: "backup.read",
        resource: &["store"],
        sensitive: &[],
        errors: &[
            Code::BackupKey,
            Code::BackupPlace,
            Code::BackupStoreNotFound,
            Code::BackupStore,
            Code::BackupCorrupt,
        ],
    };
}

impl Backups {
    /// The backups and archives, oldest first, and those that are damaged.
    ///
    /// # Errors
    /// [`Code::BackupStoreNotFound`] if no backup was ever taken there; those of the store.
    pub fn list(&self) -> Result<Listed> {
        self.vault.check_exists()?;
        let Survey { whole, damaged } = Survey::of(&self.vault)?;
        Ok(Listed {
            items: whole.into_iter().map(|manifest| manifest.backup).collect(),
            damaged: damaged
                .iter()
                .map(|(name, err)| Damaged { name: name.clone(), problem: err.into() })
                .collect(),
        })
    }
}
