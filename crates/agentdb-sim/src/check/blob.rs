//! Reading blobs, bytes included.

use agentdb_engine::modules::blob::{List, Stat};
use agentdb_env::sim::Random;
use agentdb_types::Code;
use serde_json::{Value, json};

use super::{Check, View};
use crate::model::blob::CONTENTS;

impl View<'_> {
    pub(super) fn blobs(&self, dice: &mut Random) -> Check {
        let entries: Vec<Value> = self.model.blobs.values().map(|blob| blob.entry()).collect();
        self.lists::<List>(&json!({}), &entries, dice)?;
        let prefix = &CONTENTS[0].1[..1];
        let starting = entries.iter().filter(|e| e["blob"].as_str().is_some_and(|b| b.starts_with(prefix)));
        let starting: Vec<Value> = starting.cloned().collect();
        self.lists::<List>(&json!({"prefix": prefix}), &starting, dice)?;
        for (address, blob) in self.model.blobs.iter() {
            self.expect::<Stat>(&json!({"blob": address}), &blob.entry())?;
            self.bytes(address, &CONTENTS[blob.content].0)?;
        }
        for (_, address) in CONTENTS.iter().filter(|(_, a)| !self.model.blobs.contains_key(a)) {
            self.refuses::<Stat>(&json!({"blob": address}), Code::BlobNotFound)?;
        }
        self.refuses::<Stat>(&json!({"blob": "no address"}), Code::InvalidValue)
    }

    /// The bytes are there as long as a row refers to them, and for an hour more.
    fn bytes(&self, address: &str, expected: &[u8]) -> Check {
        let Some(latest) = self.latest else { return Ok(()) };
        let due = || latest.dues.get(address).is_some_and(|due| *due > self.latest_now);
        let must_be_there = latest.blobs.contains_key(address) || due();
        match self.engine.open_blob(self.snapshot, address).and_then(|reader| reader.read_all()) {
            Ok(bytes) if bytes == expected => Ok(()),
            Ok(bytes) => Err(format!("the blob {address} has other bytes, {} of them", bytes.len())),
            Err(err) if err.code() == Code::BlobNotFound && !must_be_there => Ok(()),
            Err(err) => Err(format!("reading the blob {address}: {err}")),
        }
    }
}
