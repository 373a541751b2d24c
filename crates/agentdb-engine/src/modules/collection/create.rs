//! `collection.create`.

use std::collections::BTreeMap;

use agentdb_types::{Code, Error, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::vectors::{self, VectorSettings};
use super::{Head, SparseSettings, TextSettings, Undeclared, key, schema, sparse, texts};
use crate::encoder::dimension_with;
use crate::filter::Fields;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::read::Read;
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{Engine, numbers, row_json};
use agentdb_vector::{Dimension, Metric};

/// Creates a collection.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
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
    /// Further vectors of its records, by name: up to 64. The caller gives these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vectors: BTreeMap<String, VectorSettings>,
    /// Sparse vectors of its records, by name: up to 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sparse: BTreeMap<String, SparseSettings>,
    /// Types of fields of payloads, by path: names joined by dots.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub fields: Fields,
    /// What becomes of fields that are not declared: their type is inferred from the first value if not given.
    #[serde(default)]
    pub undeclared: Undeclared,
    /// Texts that are searched by words: `text`, the record's own, and fields of the payload that hold strings, by path. The
    /// record's own text alone if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<BTreeMap<String, TextSettings>>,
    /// What it is for.
    #[serde(default)]
    pub description: String,
}

impl Create {
    /// A collection without vectors yet.
    pub fn new(collection: impl Into<String>) -> Self {
        Create { collection: collection.into(), ..Self::default() }
    }
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
        errors: &[
            Code::CollectionExists,
            Code::DimensionOutOfRange,
            Code::NoEncoder,
            Code::InvalidName,
            Code::TooManyVectors,
            Code::TooManyFields,
        ],
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
        vectors::check_all(&self.vectors)?;
        sparse::check_all(&self.sparse)?;
        schema::check(&self.fields)?;
        self.texts.as_ref().map_or(Ok(()), |texts| texts::check(texts, &self.fields))?;
        let number = numbers::allot(tx, Remains::Collection, "collections", &self.collection)?;
        let head = Head {
            number,
            dimension,
            metric: self.metric.unwrap_or(Metric::Cosine),
            encoder: self.encoder.clone(),
            description: self.description.clone(),
            created: tx.now(),
            expiring: false,
            vectors: vectors::allot_all(tx, &self.vectors)?,
            sparse: sparse::allot_all(tx, &self.sparse)?,
            fields: self.fields.clone(),
            undeclared: self.undeclared,
            texts: self.texts.clone().unwrap_or_else(texts::unsaid),
            indexed_since: tx.lsn(),
        };
        tx.put_bookkeeping(key, row_json::encode(&head)?)?;
        Ok(Created { number, created: head.created })
    }

    fn weight(&self) -> usize {
        256 + self.description.len() + 64 * (self.vectors.len() + self.sparse.len())
    }
}
