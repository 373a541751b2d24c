//! `namespace.delete`.

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DEFAULT, head, key, not_found};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::sweep::{self, Remains};
use crate::tx::Tx;

/// Deletes a namespace with everything in it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The name.
    pub name: String,
}

/// The answer to [`Delete`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// The number that it had. Its rows are invisible from now on, and deleted in the background.
    pub number: u64,
}

impl Request for Delete {
    type Response = Deleted;
    const ABOUT: About = About {
        name: "namespace.delete",
        doc: "Deletes a namespace with everything in it. It is gone at once; its rows are deleted in the background.",
        effect: Effect::Write,
        scope: Scope::Database,
        permission: "namespace.manage",
        resource: &["name"],
        sensitive: &[],
        errors: &[Code::NamespaceNotFound, Code::InvalidValue],
    };
}

impl WriteRequest for Delete {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Deleted> {
        if self.name == DEFAULT {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "name")
                .with("reason", "the namespace `default` cannot be deleted"));
        }
        let head = head(tx, &self.name)?.ok_or_else(|| not_found(&self.name))?;
        tx.delete(key(&self.name))?;
        sweep::discard(tx, Remains::Namespace, head.number, &self.name)?;
        Ok(Deleted { number: head.number })
    }
}
