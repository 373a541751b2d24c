//! `state.increment`.

use agentdb_types::{Code, Error, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Ttl, find, row_key, store};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Adds to an integer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Increment {
    /// Whose state: 1 to 512 bytes. No agent of this name need be registered.
    pub owner: String,
    /// The key among the owner's: 1 to 512 bytes.
    pub key: String,
    /// What to add; 1 if not given. Negative to subtract.
    #[serde(default = "one")]
    pub by: i64,
}

fn one() -> i64 {
    1
}

/// The answer to [`Increment`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Incremented {
    /// The value after the addition.
    pub value: i64,
    /// Its version.
    pub version: Lsn,
}

impl Request for Increment {
    type Response = Incremented;
    const ABOUT: About = About {
        name: "state.increment",
        doc: "Adds to an integer; an absent value counts as 0. The time to live stays.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "state.write",
        resource: &["owner", "key"],
        sensitive: &["value"],
        errors: &[Code::InvalidPatch],
    };
}

impl WriteRequest for Increment {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Incremented> {
        let key = row_key(tx, &self.owner, &self.key)?;
        let before = find(tx, &key)?;
        let refuse = |reason: &str| Error::new(Code::InvalidPatch).with("reason", reason);
        let old = match &before {
            Some(state) => state.value.as_i64().ok_or_else(|| refuse("the value is not a 64-bit integer"))?,
            None => 0,
        };
        let value = old.checked_add(self.by).ok_or_else(|| refuse("the sum exceeds a 64-bit integer"))?;
        let stored = store(tx, key, before.as_ref(), &value.into(), Ttl::Keep)?;
        Ok(Incremented { value, version: stored.version })
    }
}
