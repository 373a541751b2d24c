//! `item.put`.

use std::collections::BTreeMap;

use agentdb_types::{Code, Duration, Error, Id, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::index::{self, Settings, not_indexed};
use super::path::{key_of, parts};
use super::row::{Expiry, Head};
use super::{check_version, fields, find, remove, vector_key};
use crate::encoder::{EncodedTexts, no_encoder};
use crate::key::{Key, NamespaceId};
use crate::modules::collection::slots_counter;
use crate::modules::{encode_fields, weigh_fields};
use crate::operation::{About, Effect, Request, Scope, WriteRequest, encode_json};
use crate::read::Read;
use crate::tx::Tx;
use crate::vectors::VectorRow;
use crate::{Engine, Snapshot, Table, sweep};

/// Stores an item, replacing the one of the same path and key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// The path: 1 to 32 segments of 1 to 512 bytes, kept exactly.
    pub path: Vec<String>,
    /// The key under the path: 1 to 512 bytes.
    pub key: String,
    /// The value: a JSON object, up to 1 MiB and 32 deep.
    pub value: Map<String, Value>,
    /// Microseconds until the item expires, counted anew by every item.touch; it stays for ever if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_us: Option<Duration>,
    /// Whether the item is found by its texts, or by which: false, true, or paths into the value such as `title`, `a.b`,
    /// `c[*].d`, and `$` for all of it. What the index says if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Indexing>,
    /// The caller’s own vectors by names of the caller’s choice, 100 at most, instead of those of texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vectors: BTreeMap<String, Vec<f32>>,
    /// The version that the item must have, 0 for absent (insert only); any if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<Lsn>,
    /// The vectors of its texts, made on the way to the sequencer.
    #[serde(skip)]
    #[doc(hidden)]
    pub encoded: Option<EncodedTexts>,
}

/// Whether an item is found by its texts, or by which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Indexing {
    /// By the fields that the index names, or by nothing.
    Whether(bool),
    /// By these fields.
    Fields(Vec<String>),
}

/// The answer to [`Put`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stored {
    /// The version of the item.
    pub version: Lsn,
    /// Whether there was none before.
    pub created: bool,
    /// When it expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// By how many vectors it is found.
    pub vectors: usize,
}

impl Put {
    /// An item without a time to live, found as the index says.
    pub fn new(path: Vec<String>, key: impl Into<String>, value: Map<String, Value>) -> Self {
        Put {
            path,
            key: key.into(),
            value,
            ttl_us: None,
            index: None,
            vectors: BTreeMap::new(),
            expected_version: None,
            encoded: None,
        }
    }

    /// The texts to encode under an index with these settings.
    fn texts(&self, settings: &Settings) -> Result<Vec<String>> {
        let fields = match &self.index {
            Some(Indexing::Fields(fields)) => fields,
            Some(Indexing::Whether(true)) => &settings.fields,
            None if settings.default => &settings.fields,
            None | Some(Indexing::Whether(false)) => return Ok(Vec::new()),
        };
        fields::texts(&fields::parse(fields)?, &Value::Object(self.value.clone()))
    }

    /// Whether the put itself asks for vectors.
    fn asks(&self) -> bool {
        !matches!(&self.index, None | Some(Indexing::Whether(false))) || !self.vectors.is_empty()
    }

    /// The vectors to store, and the encoder that made them: the caller's own are taken as made by the index's.
    fn vectors_for(&self, settings: &Settings) -> Result<(Vec<Vec<f32>>, String)> {
        let encoder = settings.encoder.clone().unwrap_or_default();
        let vectors: Vec<Vec<f32>> = if !self.vectors.is_empty() {
            if self.index == Some(Indexing::Whether(false)) {
                return Err(Error::new(Code::InvalidValue)
                    .with("field", "vectors")
                    .with("reason", "the item is not to be found by any: index is false"));
            }
            fields::check_count(self.vectors.len())?;
            self.vectors.keys().try_for_each(|name| Id::check("vectors", name))?;
            self.vectors.values().cloned().collect()
        } else if settings.encoder.is_none() {
            if self.asks() {
                return Err(not_indexed("the index has no encoder, and no vectors are given"));
            }
            Vec::new()
        } else {
            let texts = self.texts(settings)?;
            texts.iter().map(|text| self.encoded(text, &encoder)).collect::<Result<_>>()?
        };
        vectors.iter().try_for_each(|vector| settings.dimension.check(vector, settings.metric))?;
        Ok((vectors, encoder))
    }

    /// The vector of a text, made before the put was queued.
    fn encoded(&self, text: &str, encoder: &str) -> Result<Vec<f32>> {
        match &self.encoded {
            Some(encoded) if encoded.encoder == encoder => {
                encoded.vectors.get(text).cloned().ok_or_else(|| {
                    let reason = "it was changed while the put was on its way";
                    Error::new(Code::ItemIndexMismatch).with("reason", reason)
                })
            }
            own => Err(no_encoder(encoder, own.as_ref().map(|e| &*e.encoder))),
        }
    }
}

impl Request for Put {
    type Response = Stored;
    const ABOUT: About = About {
        name: "item.put",
        doc: "Stores an item, replacing the one of the same path and key, its vectors and its time to live included.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "item.write",
        resource: &["path", "key"],
        sensitive: &["value", "vectors"],
        errors: &[
            Code::PathLength,
            Code::VersionMismatch,
            Code::ValueTooLarge,
            Code::DepthExceeded,
            Code::TtlOutOfRange,
            Code::ItemsNotIndexed,
            Code::ItemIndexMismatch,
            Code::TooManyVectors,
            Code::DimensionMismatch,
            Code::VectorNotFinite,
            Code::VectorZero,
            Code::NoEncoder,
        ],
    };
}

impl WriteRequest for Put {
    fn prepare_in(&mut self, engine: &Engine, namespace: NamespaceId) -> Result<()> {
        self.encoded = engine.encode_all(&[])?;
        let Some(own) = engine.text_encoder().filter(|_| self.vectors.is_empty()) else { return Ok(()) };
        // The settings, whatever the time; a namespace that is gone is found out by the sequencer, and so is a value that
        // cannot be stored.
        let core = &engine.core;
        let rows = Snapshot::new(core.clone(), core.rows.reader(), namespace, Timestamp::default());
        let settings = index::find(&rows)?.filter(|settings| settings.encoder.as_deref() == Some(own.id()));
        let Some(settings) = settings else { return Ok(()) };
        let sound = encode_fields("value", &self.value).is_ok();
        if let Some(texts) = self.texts(&settings).ok().filter(|_| sound) {
            self.encoded = engine.encode_all(&texts)?;
        }
        Ok(())
    }

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Stored> {
        let key = key_of(tx, &self.path, &self.key)?;
        let before = find(tx, &key)?;
        check_version(&self.key, before.as_ref(), self.expected_version)?;
        let json = encode_fields("value", &self.value)?;
        let (index, (vectors, encoder)) = match index::find(tx)? {
            Some(settings) => (settings.number, self.vectors_for(&settings)?),
            None if self.asks() => return Err(not_indexed("they have no index")),
            None => (0, Default::default()),
        };
        let ends = self.ttl_us.map(|ttl| tx.now().after(ttl)).transpose()?;
        remove(tx, &key)?;
        let slots = store_vectors(tx, index, &key, vectors, &encoder)?;
        if let (Some(ends), Some(ttl)) = (ends, self.ttl_us) {
            tx.put_bookkeeping(key.in_table(Table::ItemExpiry), Expiry { ends, ttl }.encode())?;
            sweep::schedule(tx, ends, &key)?;
        }
        let head = Head {
            created: before.as_ref().map_or(tx.now(), |item| item.head.created),
            updated: tx.now(),
            expiring: ends.is_some(),
            index: if slots.is_empty() { 0 } else { index },
            slots,
        };
        tx.put(key, head.encode(&json))?;
        let vectors = head.slots.len();
        Ok(Stored { version: tx.lsn(), created: before.is_none(), expires: ends, vectors })
    }

    fn weight(&self) -> usize {
        let path: usize = self.path.iter().map(|segment| 32 + segment.len()).sum();
        let vectors = self.vectors.iter().map(|(name, vector)| 64 + name.len() + 4 * vector.len());
        let encoded = self.encoded.iter().flat_map(|encoded| &encoded.vectors);
        let encoded = encoded.map(|(text, vector)| 64 + text.len() + 4 * vector.len());
        512 + path + weigh_fields(&self.value) + vectors.sum::<usize>() + encoded.sum::<usize>()
    }
}

/// Stores an item's vectors in slots of their own. A vector's row names the item: its path, and its key as the last.
pub(super) fn store_vectors(
    tx: &mut Tx<'_>,
    index: u64,
    key: &Key,
    vectors: Vec<Vec<f32>>,
    encoder: &str,
) -> Result<Vec<u64>> {
    let (mut place, last) = parts(key)?;
    place.push(last);
    let record = encode_json(&place)?.to_string();
    let mut slots = Vec::with_capacity(vectors.len());
    for vector in vectors {
        let slot = tx.add(slots_counter(tx, index), 1)?.unsigned_abs();
        tx.put_new(vector_key(tx, index, slot), VectorRow::encoded(&record, encoder, &vector))?;
        slots.push(slot);
    }
    Ok(slots)
}
