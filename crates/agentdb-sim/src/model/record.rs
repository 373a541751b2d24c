//! Collections and their records.

use std::collections::BTreeMap;
use std::rc::Rc;

use agentdb_types::{Code, limits};
use serde_json::{Map, Value, json};

use super::{
    Decision, Moment, Namespace, check_id, check_name, check_size, check_value, given_map, given_text,
    is_live, merge, text, time, with,
};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Collection {
    /// Components of the vectors; none if the records have no vectors.
    pub(crate) dimension: Option<usize>,
    pub(crate) metric: String,
    description: String,
    created: i64,
    /// The LSN at which it was created.
    pub(super) born: u64,
    number: u64,
    /// How many vectors were ever put: equal scores come in their order.
    slots: u64,
    pub(crate) records: BTreeMap<String, Rc<Record>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(super) text: Option<String>,
    pub(super) payload: Map<String, Value>,
    pub(crate) vector: Option<Vec<f32>>,
    pub(super) slot: u64,
    created: i64,
    pub(super) updated: i64,
    expires: Option<i64>,
    pub(crate) version: u64,
}

impl Collection {
    /// What the database tells of it, but for the number of its records.
    pub(crate) fn entry(&self, collection: &str) -> Value {
        let entry = json!({
            "collection": collection, "metric": self.metric, "description": self.description,
            "created": time(self.created),
        });
        with(entry, &[("dimension", self.dimension.map(Value::from))])
    }

    /// The records that have not expired, by id.
    pub(crate) fn live(&self, now: i64) -> impl Iterator<Item = (&String, &Rc<Record>)> {
        self.records.iter().filter(move |(_, record)| record.live(now))
    }

    /// Refuses a vector that a record of the collection cannot have.
    fn check_given(&self, vector: Option<&Vec<f32>>) -> Result<(), Code> {
        match (vector, self.dimension) {
            (Some(_), None) => Err(Code::InvalidValue),
            (Some(vector), Some(dimension)) => self.check(dimension, vector),
            (None, _) => Ok(()),
        }
    }

    /// Refuses a vector that the collection cannot hold or be searched for.
    pub(super) fn check(&self, dimension: usize, vector: &[f32]) -> Result<(), Code> {
        check_vector(dimension, &self.metric, vector)
    }
}

/// Refuses a vector that cannot be compared so.
pub(super) fn check_vector(dimension: usize, metric: &str, vector: &[f32]) -> Result<(), Code> {
    if vector.len() != dimension {
        return Err(Code::DimensionMismatch);
    }
    if vector.iter().any(|x| !x.is_finite()) {
        return Err(Code::VectorNotFinite);
    }
    if metric == "cosine" && vector.iter().all(|x| *x == 0.0) {
        return Err(Code::VectorZero);
    }
    Ok(())
}

impl Record {
    pub(crate) fn live(&self, now: i64) -> bool {
        is_live(self.expires, now)
    }

    pub(crate) fn entry(&self, record: &str, include_vector: bool) -> Value {
        let entry = json!({
            "record": record, "payload": self.payload, "version": self.version,
            "created": time(self.created), "updated": time(self.updated),
        });
        let vector = self.vector.as_ref().filter(|_| include_vector).map(|v| json!(v));
        with(
            entry,
            &[
                ("text", self.text.clone().map(Value::String)),
                ("vector", vector),
                ("expires", self.expires.map(time)),
            ],
        )
    }
}

/// The vector of a request, as the database reads it.
fn vector(fields: &Value) -> Option<Vec<f32>> {
    let components = fields["vector"].as_array()?;
    Some(components.iter().map(|x| x.as_f64().unwrap_or_default() as f32).collect())
}

impl Namespace {
    fn collection(&self, name: &str) -> Result<&Rc<Collection>, Code> {
        check_name(name)?;
        self.collections.get(name).ok_or(Code::CollectionNotFound)
    }

    pub(super) fn collection_operation(
        &mut self,
        name: &str,
        fields: &Value,
        moment: &mut Moment<'_>,
    ) -> Decision {
        let called = text(fields, "collection");
        if name == "collection.delete" {
            let number = self.collection(&called)?.number;
            Rc::make_mut(&mut self.collections).remove(&called);
            return Ok((json!({"number": number}), true));
        }
        check_name(&called)?;
        let description = text(fields, "description");
        check_size(description.len())?;
        let dimension = fields["dimension"].as_u64().map(|d| d as usize);
        if dimension.is_some_and(|d| !(1..=limits::DIMENSION).contains(&d)) {
            return Err(Code::DimensionOutOfRange);
        }
        if self.collections.contains_key(&called) {
            return Err(Code::CollectionExists);
        }
        self.collections_created += 1;
        let (created, number) = (moment.now, self.collections_created);
        let metric = given_text(fields, "metric").unwrap_or_else(|| "cosine".to_owned());
        let records = BTreeMap::new();
        let born = moment.lsn;
        let collection =
            Collection { dimension, metric, description, created, born, number, slots: 0, records };
        Rc::make_mut(&mut self.collections).insert(called, Rc::new(collection));
        Ok((json!({"number": number, "created": time(created)}), true))
    }

    pub(super) fn record_operation(
        &mut self,
        name: &str,
        fields: &Value,
        moment: &mut Moment<'_>,
    ) -> Decision {
        let called = text(fields, "collection");
        let mut collection = self.collection(&called)?.clone();
        let id = match given_text(fields, "record") {
            Some(id) => id,
            None => moment.new_id(),
        };
        check_id(&id)?;
        let before = collection.records.get(&id).filter(|r| r.live(moment.now)).cloned();
        let version = before.as_ref().map_or(0, |r| r.version);
        if fields["expected_version"].as_u64().is_some_and(|expected| expected != version) {
            return Err(Code::VersionMismatch);
        }
        let (response, wrote) = match name {
            "record.delete" => {
                if before.is_some() {
                    Rc::make_mut(&mut collection).records.remove(&id);
                }
                (json!({"deleted": before.is_some()}), before.is_some())
            }
            "record.patch" => {
                let before = Rc::unwrap_or_clone(before.ok_or(Code::RecordNotFound)?);
                (patch(Rc::make_mut(&mut collection), id, before, fields, moment)?, true)
            }
            _ => (put(Rc::make_mut(&mut collection), id, before.as_deref(), fields, moment)?, true),
        };
        if wrote {
            Rc::make_mut(&mut self.collections).insert(called, collection);
        }
        Ok((response, wrote))
    }
}

fn put(
    collection: &mut Collection,
    id: String,
    before: Option<&Record>,
    fields: &Value,
    moment: &mut Moment<'_>,
) -> Result<Value, Code> {
    let (text, payload) = (given_text(fields, "text"), given_map(fields, "payload"));
    check_size(text.as_ref().map_or(0, String::len))?;
    check_value(&Value::Object(payload.clone()))?;
    let vector = vector(fields);
    collection.check_given(vector.as_ref())?;
    let expires = moment.expiry(&fields["ttl_us"])?;
    if vector.is_some() {
        collection.slots += 1;
    }
    let record = Record {
        text,
        payload,
        vector,
        slot: collection.slots,
        created: before.map_or(moment.now, |r| r.created),
        updated: moment.now,
        expires,
        version: moment.lsn,
    };
    let stored = json!({"record": id, "version": moment.lsn, "created": before.is_none()});
    collection.records.insert(id, Rc::new(record));
    Ok(with(stored, &[("expires", expires.map(time))]))
}

fn patch(
    collection: &mut Collection,
    id: String,
    mut record: Record,
    fields: &Value,
    moment: &Moment<'_>,
) -> Result<Value, Code> {
    if let Some(patch) = fields.get("payload").filter(|patch| !patch.is_null()) {
        merge(&mut record.payload, patch.as_object().ok_or(Code::InvalidPatch)?);
        check_value(&Value::Object(record.payload.clone()))?;
    }
    if let Some(text) = given_text(fields, "text") {
        check_size(text.len())?;
        record.text = Some(text);
    }
    if let Some(vector) = vector(fields) {
        collection.check_given(Some(&vector))?;
        collection.slots += 1;
        (record.vector, record.slot) = (Some(vector), collection.slots);
    }
    if let Some(ttl) = fields.get("ttl_us") {
        record.expires = moment.expiry(ttl)?;
    }
    (record.updated, record.version) = (moment.now, moment.lsn);
    let patched = json!({"payload": record.payload, "version": moment.lsn});
    let patched = with(patched, &[("expires", record.expires.map(time))]);
    collection.records.insert(id, Rc::new(record));
    Ok(patched)
}
