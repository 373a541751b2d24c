//! `namespace.create`.

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DEFAULT, Head, allot, check_name, head, key};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::read::Read;
use crate::row_json;
use crate::tx::Tx;

/// Creates a namespace.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// The name: letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
}

/// The answer to [`Create`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The number under which its rows are kept.
    pub number: u64,
}

impl Request for Create {
    type Response = Created;
    const ABOUT: About = About {
        name: "namespace.create",
        doc: "Creates a namespace, whose rows, indexes and blobs are apart from every other's.",
        effect: Effect::Write,
        scope: Scope::Database,
        permission: "namespace.manage",
        resource: &["name"],
        sensitive: &["description"],
        errors: &[Code::NamespaceExists, Code::InvalidName, Code::ValueTooLarge],
    };
}

impl WriteRequest for Create {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Created> {
        check_name("name", &self.name)?;
        crate::modules::check_inline("description", self.description.len())?;
        if self.name == DEFAULT || head(tx, &self.name)?.is_some() {
            return Err(Error::new(Code::NamespaceExists).with("name", &self.name));
        }
        let number = allot(tx)?;
        let head = Head { number, created: tx.now(), description: self.description.clone() };
        tx.put_bookkeeping(key(&self.name), row_json::encode(&head)?)?;
        Ok(Created { number })
    }

    fn weight(&self) -> usize {
        256 + self.description.len()
    }
}
