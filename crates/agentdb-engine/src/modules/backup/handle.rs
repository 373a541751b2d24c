//! The backups in one store.

use std::sync::Arc;

use agentdb_env::Env;
use agentdb_types::Result;

use super::store::Store;
use super::vault::{StoreKey, Vault};

/// The backups in one store, opened with its key if it is sealed.
#[derive(Clone)]
pub struct Backups {
    pub(super) vault: Arc<Vault>,
}

impl Backups {
    /// Opens a store. One that holds no backups yet becomes a store of backups, sealed if there is a key, with the first.
    ///
    /// # Errors
    /// [`Code::BackupKey`](agentdb_types::Code::BackupKey) if the key is missing, wrong, or there is no need of one;
    /// [`Code::FormatTooNew`](agentdb_types::Code::FormatTooNew); those of the store.
    pub fn open(env: &Env, store: Arc<dyn Store>, key: Option<StoreKey>) -> Result<Self> {
        Ok(Backups { vault: Arc::new(Vault::open(env, store, key)?) })
    }

    pub(super) fn place(&self) -> &str {
        self.vault.store.place()
    }
}
