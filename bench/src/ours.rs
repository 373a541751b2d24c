//! AgentDB, embedded.

use std::future::{Future, IntoFuture};
use std::path::Path;
use std::pin::Pin;

use agentdb::modules::state::{Get, Put};
use agentdb::{Database, Namespace, Value, WriteBatch};
use anyhow::Result;

use crate::Store;

pub struct Ours {
    pub db: Database,
    namespace: Namespace,
}

impl Ours {
    pub fn open(dir: &Path) -> Result<Self> {
        let db = Database::open(dir)?;
        let namespace = db.namespace("default")?;
        Ok(Ours { db, namespace })
    }
}

impl Store for Ours {
    fn put(&self, _: usize, key: &str, value: &str) -> Result<()> {
        self.namespace.write(Put::new("bench", key, Value::String(value.to_owned()))).wait()?;
        Ok(())
    }

    fn load(&self, pairs: &[(String, String)]) -> Result<()> {
        let puts =
            pairs.iter().map(|(key, value)| Put::new("bench", key.as_str(), Value::String(value.clone())));
        puts.fold(self.namespace.batch(), WriteBatch::push).wait()?;
        Ok(())
    }

    fn get(&self, key: &str) -> Result<Option<String>> {
        match self.namespace.read(Get::new("bench", key)) {
            Ok(entry) => Ok(entry.value.as_str().map(str::to_owned)),
            Err(err) if err.code() == agentdb::Code::StateNotFound => Ok(None),
            Err(err) => Err(err.into()),
        }
    }

    /// Waits until no full memory table is left: what has drained stays drained, the active table may hold rows for ever.
    fn settle(&self) -> Result<()> {
        const ACTIVE: u64 = 33 << 20;
        while self.db.stats()?.memory_bytes > ACTIVE {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Ours {
    /// Begins a put, to be awaited.
    pub fn start(&self, key: String, value: String) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        let put = self.namespace.write(Put::new("bench", key, Value::String(value))).into_future();
        Box::pin(async move { Ok(put.await.map(drop)?) })
    }
}
