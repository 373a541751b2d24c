//! `record.put`.

use std::collections::BTreeMap;

use agentdb_types::{Code, Duration, Id, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::vector::{Given, check_named, encode, store_named, store_vector, weigh_named};
use super::{Record, check_version, content, decode, key, learn, replace, schedule, sparse};
use crate::encoder::Encoded;
use crate::modules::collection;
use crate::modules::weigh_fields;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::read::Read;
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{Engine, NamespaceId, SparseVector, numbers};

/// Stores a record, replacing the one of the same id.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// The collection.
    pub collection: String,
    /// The id; a new UUID if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The vector, as many components as the collection has dimensions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// Further vectors, by the names that the collection has for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vectors: BTreeMap<String, Vec<f32>>,
    /// Sparse vectors, by the names that the collection has for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sparse: BTreeMap<String, SparseVector>,
    /// The text, up to 1 MiB. Without a vector, and if the collection has an encoder, it is encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Fields to filter by and to give back: a JSON object, up to 1 MiB and 32 deep.
    #[serde(default)]
    pub payload: Map<String, Value>,
    /// Microseconds until the record expires; it stays for ever if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_us: Option<Duration>,
    /// The version that the record must have, 0 for absent (insert only); any if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<Lsn>,
    /// The vector of the text, made on the way to the engine.
    #[serde(skip)]
    #[doc(hidden)]
    pub encoded: Option<Encoded>,
}

/// The answer to [`Put`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stored {
    /// The id.
    pub record: String,
    /// The version of the record.
    pub version: Lsn,
    /// Whether there was none before.
    pub created: bool,
    /// When it expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Put {
    /// A record of a collection with nothing in it yet.
    pub fn new(collection: impl Into<String>) -> Self {
        Put {
            collection: collection.into(),
            record: None,
            vector: None,
            vectors: BTreeMap::new(),
            sparse: BTreeMap::new(),
            text: None,
            payload: Map::new(),
            ttl_us: None,
            expected_version: None,
            encoded: None,
        }
    }
}

impl Request for Put {
    type Response = Stored;
    const ABOUT: About = About {
        name: "record.put",
        doc: "Stores a record, replacing the one of the same id.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "record.write",
        resource: &["collection", "record"],
        sensitive: &["vector", "vectors", "sparse", "text", "payload"],
        errors: &[
            Code::CollectionNotFound,
            Code::DimensionMismatch,
            Code::VectorNotFinite,
            Code::VectorZero,
            Code::VersionMismatch,
            Code::NoEncoder,
            Code::ValueTooLarge,
            Code::TtlOutOfRange,
            Code::VectorUnknown,
            Code::FieldTypeMismatch,
            Code::FieldUndeclared,
            Code::TooManyFields,
        ],
    };
}

impl WriteRequest for Put {
    fn prepare_in(&mut self, engine: &Engine, namespace: NamespaceId) -> Result<()> {
        let given = (self.vector.as_deref(), self.text.as_deref());
        self.encoded = encode(engine, namespace, &self.collection, given)?;
        Ok(())
    }

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Stored> {
        let mut head = collection::shared(tx, &self.collection)?;
        let id = match &self.record {
            Some(id) => Id::new("record", id.as_str())?,
            None => tx.new_id(),
        };
        let key = key(tx, head.number, id.as_str())?;
        let stored = tx.get(&key)?;
        let before = stored.as_ref().map(|row| decode(row, tx.now())).transpose()?.flatten();
        check_version(id.as_str(), before.as_ref(), self.expected_version)?;
        let content = content(self.text.as_deref(), &self.payload)?;
        let given = Given {
            vector: self.vector.as_deref(),
            text: self.text.as_deref(),
            encoded: self.encoded.as_ref(),
        };
        let vector = given.vector_for(&head)?;
        let named = || self.vectors.iter().map(|(name, vector)| (name, &vector[..]));
        check_named(&head, &self.collection, named().map(|(name, vector)| (name, Some(vector))))?;
        let sparse = sparse::of(&head, &self.collection, &self.sparse)?;
        learn(tx, &self.collection, &mut head, &self.payload)?;
        let expires = self.ttl_us.map(|ttl| tx.now().after(ttl)).transpose()?;
        let number = head.number;
        numbers::tell(tx, Remains::Collection, number, &self.collection);
        if stored.is_some() {
            replace(tx, number, key.clone())?;
        }
        let slot = vector.map(|v| store_vector(tx, number, id.as_str(), v)).transpose()?;
        let named = store_named(tx, &head, id.as_str(), named())?;
        if let Some(expires) = expires {
            schedule(tx, &self.collection, &head, &key, expires)?;
        }
        let record = Record {
            created: before.as_ref().map_or(tx.now(), |(_, r)| r.created),
            updated: tx.now(),
            expires,
            slot,
            named,
            sparse,
            text: None,
            payload: Map::new(),
        };
        tx.put(key, record.encode_with(&content)?)?;
        tx.add(collection::records_counter(tx, number), 1)?;
        Ok(Stored { record: id.into(), version: tx.lsn(), created: before.is_none(), expires })
    }

    fn weight(&self) -> usize {
        let vector = self.vector.as_ref().map_or(0, |v| 4 * v.len());
        let encoded = self.encoded.as_ref().map_or(0, |encoded| 4 * encoded.vector.len());
        let named = weigh_named(self.vectors.iter().map(|(name, vector)| (name, Some(&vector[..]))));
        512 + vector
            + named
            + sparse::weigh(self.sparse.iter().map(|(name, vector)| (name, Some(vector))))
            + encoded
            + self.text.as_ref().map_or(0, String::len)
            + weigh_fields(&self.payload)
    }
}
