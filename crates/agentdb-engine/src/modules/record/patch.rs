//! `record.patch`.

use std::collections::BTreeMap;

use agentdb_types::{Code, Duration, Error, Lsn, Result, Timestamp, json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::vector::{Given, check_named, encode, store_named, store_vector, weigh_named};
use super::{Place, Record, check_version, find, key, learn, not_found, schedule, sparse, vector_key};
use crate::encoder::Encoded;
use crate::modules::collection::Head;
use crate::modules::state::merge;
use crate::modules::{check_inline, collection, encode_value, given, given_json, weigh};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{Engine, NamespaceId, SparseVector, numbers, row_json};

/// Changes parts of a record. What is not given stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// The collection.
    pub collection: String,
    /// The id.
    pub record: String,
    /// A JSON object, merged into the payload (RFC 7396): given fields are replaced, null removes one, the others stay.
    #[serde(default, deserialize_with = "given_json", skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// The new text, up to 1 MiB; null to have none. Without a vector, and if the collection has an encoder, it is encoded.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub text: Option<Option<String>>,
    /// The new vector; null to have none. It stays if neither a vector nor a text that is encoded is given.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub vector: Option<Option<Vec<f32>>>,
    /// Named vectors to replace or add, or with null to remove.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vectors: BTreeMap<String, Option<Vec<f32>>>,
    /// Sparse vectors to replace or add, or with null to remove.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sparse: BTreeMap<String, Option<SparseVector>>,
    /// Microseconds from now until the record expires; null to keep it for ever.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub ttl_us: Option<Option<Duration>>,
    /// The version that the record must have; any if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<Lsn>,
    /// The vector of the text, made on the way to the engine.
    #[serde(skip)]
    #[doc(hidden)]
    pub encoded: Option<Encoded>,
}

/// The answer to [`Patch`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Patched {
    /// The payload after the patch.
    pub payload: Map<String, Value>,
    /// The version of the record.
    pub version: Lsn,
    /// When it expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Patch {
    /// A patch of a record that changes nothing yet.
    pub fn new(collection: impl Into<String>, record: impl Into<String>) -> Self {
        Patch { collection: collection.into(), record: record.into(), ..Self::default() }
    }
}

impl Request for Patch {
    type Response = Patched;
    const ABOUT: About = About {
        name: "record.patch",
        doc: "Changes parts of a record: merges a patch into its payload (RFC 7396), replaces its text, vector or time to live, or removes them (null). What is not given stays; the vector does unless a vector, or a text that the collection encodes, is given.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "record.write",
        resource: &["collection", "record"],
        sensitive: &["vector", "vectors", "sparse", "text", "payload"],
        errors: &[
            Code::CollectionNotFound,
            Code::RecordNotFound,
            Code::InvalidPatch,
            Code::DimensionMismatch,
            Code::VectorNotFinite,
            Code::VectorZero,
            Code::VersionMismatch,
            Code::NoEncoder,
            Code::ValueTooLarge,
            Code::DepthExceeded,
            Code::TtlOutOfRange,
            Code::VectorUnknown,
            Code::FieldTypeMismatch,
            Code::FieldUndeclared,
            Code::TooManyFields,
        ],
    };
}

impl WriteRequest for Patch {
    fn prepare_in(&mut self, engine: &Engine, namespace: NamespaceId) -> Result<()> {
        if self.vector.is_none() {
            let text = self.text.as_ref().and_then(|text| text.as_deref());
            self.encoded = encode(engine, namespace, &self.collection, (None, text))?;
        }
        Ok(())
    }

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Patched> {
        let mut head = collection::shared(tx, &self.collection)?;
        let number = head.number;
        let key = key(tx, number, &self.record)?;
        let found = find(tx, &key)?;
        check_version(&self.record, found.as_ref(), self.expected_version)?;
        let (_, mut record) = found.ok_or_else(|| not_found(&self.collection, &self.record))?;
        if let Some(patch) = &self.payload {
            merge_payload(&mut record, patch)?;
            learn(tx, &self.collection, &mut head, &record.payload)?;
        }
        if let Some(text) = &self.text {
            check_inline("text", text.as_ref().map_or(0, String::len))?;
            record.text.clone_from(text);
        }
        let given = Given {
            vector: self.vector.as_ref().and_then(|vector| vector.as_deref()),
            text: self.text.as_ref().filter(|_| self.vector.is_none()).and_then(|text| text.as_deref()),
            encoded: self.encoded.as_ref(),
        };
        let vector = given.vector_for(&head)?;
        if vector.is_some() || self.vector.is_some() {
            if let Some(slot) = record.slot.filter(|_| !planted::is(Bug::PatchedVectorStays)) {
                tx.delete(vector_key(tx, number, slot))?;
            }
            record.slot = vector.map(|made| store_vector(tx, number, &self.record, made)).transpose()?;
        }
        self.patch_named(tx, &head, &mut record)?;
        sparse::patch(&head, &self.collection, &self.sparse, &mut record.sparse)?;
        if let Some(ttl) = self.ttl_us {
            record.expires = ttl.map(|ttl| tx.now().after(ttl)).transpose()?;
            if let Some(expires) = record.expires {
                schedule(tx, &self.collection, &head, &key, expires)?;
            }
        }
        record.updated = tx.now();
        numbers::tell(tx, Remains::Collection, number, &self.collection);
        tx.put(key, row_json::encode(&record)?)?;
        Ok(Patched { payload: record.payload, version: tx.lsn(), expires: record.expires })
    }

    fn weight(&self) -> usize {
        let vector = self.vector.iter().flatten().map(|v| 4 * v.len()).sum::<usize>();
        let encoded = self.encoded.as_ref().map_or(0, |encoded| 4 * encoded.vector.len());
        let payload = self.payload.as_ref().map_or(0, weigh);
        let named = weigh_named(self.vectors.iter().map(|(name, vector)| (name, vector.as_deref())));
        let sparse = sparse::weigh(self.sparse.iter().map(|(name, vector)| (name, vector.as_ref())));
        let text = self.text.iter().flatten().map(String::len).sum::<usize>();
        512 + vector + named + sparse + encoded + text + payload
    }
}

impl Patch {
    fn patch_named(&self, tx: &mut Tx<'_>, head: &Head, record: &mut Record) -> Result<()> {
        let given = self.vectors.iter().map(|(name, vector)| (name, vector.as_deref()));
        check_named(head, &self.collection, given.clone())?;
        for (name, _) in given.clone() {
            if let Some(Place(number, slot)) = record.named.remove(name) {
                tx.delete(vector_key(tx, number, slot))?;
            }
        }
        let kept = given.filter_map(|(name, vector)| Some((name, vector?)));
        record.named.extend(store_named(tx, head, &self.record, kept)?);
        Ok(())
    }
}

fn merge_payload(record: &mut Record, patch: &Value) -> Result<()> {
    if !patch.is_object() {
        let reason = "the patch of a payload must be a JSON object";
        return Err(Error::new(Code::InvalidPatch).with("reason", reason));
    }
    json::check_depth("payload", patch)?;
    let mut payload = Value::Object(std::mem::take(&mut record.payload));
    merge(&mut payload, patch);
    encode_value("payload", &payload)?;
    if let Value::Object(payload) = payload {
        record.payload = payload;
    }
    Ok(())
}
