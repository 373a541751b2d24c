//! `collection.create`.

use agentdb_types::{Code, Error, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Head, key};
use crate::encoder::dimension_with;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::read::Read;
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{Engine, numbers, row_json};
use agentdb_vector::{Dimension, Metric};

/// Creates a collection.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// The name: letters, digits, `_`, `-` and `.`.
    pub collection: String,
    /// Components of its vectors, 1 to 8,192. Without a dimension and an encoder, its records have no vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<usize>,
    /// How vectors are compared; the cosine if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// The id of the text encoder that makes vectors of records' texts. If the handle has an encoder it must be that one, and
    /// the dimension may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub description: String,
}

/// The answer to [`Create`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The number under which its rows are kept.
    pub number: u64,
    /// When it was created.
    pub created: Timestamp,
}

impl Request for Create {
    type Response = Created;
    const ABOUT: About = About {
        name: "collection.create",
        doc: "Creates a collection of records with text, payload and, if it has a dimension or an encoder, one vector each.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "collection.manage",
        resource: &["collection"],
        sensitive: &["description"],
        errors: &[Code::CollectionExists, Code::DimensionOutOfRange, Code::NoEncoder, Code::InvalidName],
    };
}

impl WriteRequest for Create {
    fn prepare(&mut self, engine: &Engine) -> Result<()> {
        self.dimension = dimension_with(engine, self.encoder.as_deref(), self.dimension)?;
        Ok(())
    }

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Created> {
        let key = key(tx, &self.collection)?;
        crate::modules::check_inline("description", self.description.len())?;
        let dimension = self.dimension.map(Dimension::new).transpose()?;
        if tx.get(&key)?.is_some() {
            return Err(Error::new(Code::CollectionExists).with("collection", &self.collection));
        }
        let number = numbers::allot(tx, Remains::Collection, "collections", &self.collection)?;
        let head = Head {
            number,
            dimension,
            metric: self.metric.unwrap_or(Metric::Cosine),
            encoder: self.encoder.clone(),
            description: self.description.clone(),
            created: tx.now(),
            expiring: false,
        };
        tx.put_bookkeeping(key, row_json::encode(&head)?)?;
        Ok(Created { number, created: head.created })
    }

    fn weight(&self) -> usize {
        256 + self.description.len()
    }
}
