//! A batch of things that go.

use agentdb_types::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Noun, Policy};
use crate::key::Key;
use crate::operation::{About, Request, WriteRequest};
use crate::sweep::internal;
use crate::tx::Tx;

/// Rows deleted in one batch.
pub(super) const BATCH: usize = 500;
/// What the log calls a batch of retention.
pub(crate) const OPERATION: &str = "internal.retain";

/// Where something was found that may go. It is judged again when it is decided.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Retain {
    pub(super) noun: Noun,
    pub(super) keys: Vec<Vec<u8>>,
}

impl Request for Retain {
    type Response = ();
    const ABOUT: About = internal(OPERATION);
}

impl WriteRequest for Retain {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<()> {
        // By the policy that there is: somebody may want to keep them longer by now, or less long.
        let policy = Policy::load(tx, self.noun)?;
        let mut left = BATCH;
        for key in &self.keys {
            if left == 0 {
                break;
            }
            let deleted = self.noun.remove(tx, policy, &Key::from_bytes(key.clone()), left)?;
            left = left.saturating_sub(deleted);
        }
        Ok(())
    }

    fn weight(&self) -> usize {
        self.keys.iter().map(|key| 32 + key.len()).sum()
    }
}
