//! `database.digest`.

use agentdb_types::{Code, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Snapshot;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};

/// Computes the digest of a namespace's rows.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Digest {}

/// The answer to [`Digest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Digested {
    /// The LSN at which the rows are what the digest tells.
    pub lsn: Lsn,
    /// The digest: 64 hexadecimal digits.
    pub digest: String,
}

impl Request for Digest {
    type Response = Digested;
    const ABOUT: About = About {
        name: "database.digest",
        doc: "Computes the digest of the namespace’s rows: equal for two replicas at one LSN that hold the same rows, different if any row differs.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "database.read",
        resource: &[],
        sensitive: &[],
        errors: &[Code::RowsCorrupt],
    };
}

impl ReadRequest for Digest {
    fn read(&self, snapshot: &Snapshot) -> Result<Digested> {
        Ok(Digested { lsn: snapshot.lsn(), digest: snapshot.digest()?.to_string() })
    }
}
