//! Collections and their records.

use std::collections::BTreeMap;
use std::rc::Rc;

use agentdb_types::{Code, limits};
use serde_json::{Map, Value, json};

use super::sparse::Sparse;
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
    pub(super) number: u64,
    /// The named vectors of its records.
    pub(crate) spaces: BTreeMap<String, Space>,
    /// The numbers of its sparse vectors, by name.
    pub(crate) sparse: BTreeMap<String, u64>,
    /// The types of fields, as the first values told.
    fields: BTreeMap<String, &'static str>,
    /// How many vectors were ever put: equal scores come in their order.
    slots: u64,
    pub(crate) records: BTreeMap<String, Rc<Record>>,
}

/// A named vector that records of a collection may have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Space {
    number: u64,
    pub(crate) dimension: usize,
    pub(crate) metric: String,
}

/// A vector of a record under a name: of which space, in which slot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    space: u64,
    pub(super) slot: u64,
    pub(super) vector: Vec<f32>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(super) text: Option<String>,
    pub(super) payload: Map<String, Value>,
    pub(crate) vector: Option<Vec<f32>>,
    pub(super) slot: u64,
    named: BTreeMap<String, Named>,
    /// Its sparse vectors, by the numbers of their names.
    pub(super) sparse: BTreeMap<u64, Sparse>,
    created: i64,
    pub(super) updated: i64,
    expires: Option<i64>,
    /// What its links are linked to, from the first one on.
    pub(super) node: Option<u64>,
    pub(crate) version: u64,
}

impl Collection {
    /// What the database tells of it, but for the number of its records.
    pub(crate) fn entry(&self, collection: &str) -> Value {
        let entry = json!({
            "collection": collection, "metric": self.metric, "description": self.description,
            "created": time(self.created), "undeclared": "infer",
            "texts": {"text": {"weight": 1.0, "analyzer": "standard"}},
        });
        let settings = |space: &Space| json!({"dimension": space.dimension, "metric": space.metric});
        let vectors: Map<String, Value> =
            self.spaces.iter().map(|(name, space)| (name.clone(), settings(space))).collect();
        let vectors = (!vectors.is_empty()).then_some(Value::Object(vectors));
        let field = |kind: &&str| json!({"type": kind, "indexed": true, "inferred": true});
        let fields: Map<String, Value> =
            self.fields.iter().map(|(path, kind)| (path.clone(), field(kind))).collect();
        let fields = (!fields.is_empty()).then_some(Value::Object(fields));
        with(
            entry,
            &[
                ("dimension", self.dimension.map(Value::from)),
                ("vectors", vectors),
                ("sparse", self.sparse_settings()),
                ("fields", fields),
            ],
        )
    }

    /// How many rows its records' vectors take.
    pub(crate) fn vector_rows(&self) -> usize {
        let rows = |record: &Rc<Record>| usize::from(record.vector.is_some()) + self.named(record).count();
        self.records.values().map(rows).sum()
    }

    /// The named vectors of a record, of the names that there are.
    pub(super) fn named<'a>(
        &'a self,
        record: &'a Record,
    ) -> impl Iterator<Item = (&'a String, &'a Named)> + 'a {
        let there = |(name, named): &(&String, &Named)| {
            self.spaces.get(*name).is_some_and(|space| space.number == named.space)
        };
        record.named.iter().filter(there)
    }

    /// A record as it is told.
    pub(crate) fn record_entry(&self, id: &str, record: &Record, include_vector: bool) -> Value {
        let mut entry = record.entry(id, include_vector);
        let named: Map<String, Value> =
            self.named(record).map(|(name, named)| (name.clone(), json!(named.vector))).collect();
        if include_vector && !named.is_empty() {
            entry["vectors"] = Value::Object(named);
        }
        with(entry, &[("sparse", self.sparse_entry(record).filter(|_| include_vector))])
    }

    /// Learns the types of fields, and refuses values of others.
    fn learn(&mut self, above: &str, payload: &Map<String, Value>) -> Result<(), Code> {
        for (name, value) in payload {
            let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            let items = value.as_array().map_or(std::slice::from_ref(value), |items| &items[..]);
            let kind = items.first().and_then(type_of);
            let kind = kind.filter(|kind| items.iter().all(|item| type_of(item) == Some(*kind)));
            let known = self.fields.get(&path);
            match (known, kind, value) {
                (Some(known), Some(kind), _) if *known != kind => return Err(Code::FieldTypeMismatch),
                (None, Some(kind), _) => {
                    let within = |a: &str, b: &str| a.starts_with(&format!("{b}."));
                    if self.fields.keys().any(|other| within(other, &path) || within(&path, other)) {
                        return Err(Code::FieldTypeMismatch);
                    }
                    self.fields.insert(path, kind);
                }
                (_, None, Value::Object(object)) => self.learn(&path, object)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Refuses named vectors that a record of the collection cannot have.
    fn check_named(&self, fields: &Value) -> Result<(), Code> {
        for (name, vector) in given_map(fields, "vectors") {
            let space = self.spaces.get(&name).ok_or(Code::VectorUnknown)?;
            if let Some(vector) = components(&vector) {
                check_vector(space.dimension, &space.metric, &vector)?;
            }
        }
        Ok(())
    }

    /// The named vectors of a request, each in a slot of its own.
    fn store_named(&mut self, fields: &Value) -> BTreeMap<String, Named> {
        let mut stored = BTreeMap::new();
        for (name, vector) in given_map(fields, "vectors") {
            if let (Some(vector), Some(space)) = (components(&vector), self.spaces.get(&name)) {
                self.slots += 1;
                stored.insert(name, Named { space: space.number, slot: self.slots, vector });
            }
        }
        stored
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

    pub(crate) fn payload(&self) -> &Map<String, Value> {
        &self.payload
    }

    fn entry(&self, record: &str, include_vector: bool) -> Value {
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

fn type_of(value: &Value) -> Option<&'static str> {
    match value {
        Value::String(_) => Some("string"),
        Value::Number(_) => Some("number"),
        Value::Bool(_) => Some("boolean"),
        _ => None,
    }
}

/// The vector of a request, as the database reads it.
fn vector(fields: &Value) -> Option<Vec<f32>> {
    components(&fields["vector"])
}

fn components(vector: &Value) -> Option<Vec<f32>> {
    Some(vector.as_array()?.iter().map(|x| x.as_f64().unwrap_or_default() as f32).collect())
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
        match name {
            "collection.alter" => return self.alter(called, fields),
            "collection.delete" => {
                let number = self.collection(&called)?.number;
                Rc::make_mut(&mut self.collections).remove(&called);
                return Ok((json!({"number": number}), true));
            }
            "collection.rename" => {
                let mut collection = self.collection(&called)?.clone();
                let to = text(fields, "to");
                check_name(&to)?;
                if self.collections.contains_key(&to) {
                    return Err(Code::CollectionExists);
                }
                Rc::make_mut(&mut collection).born = moment.lsn;
                let response = json!({"number": collection.number});
                let collections = Rc::make_mut(&mut self.collections);
                collections.remove(&called);
                collections.insert(to, collection);
                return Ok((response, true));
            }
            "collection.truncate" => {
                let mut emptied = Collection::clone(self.collection(&called)?);
                self.collections_created += 1;
                (emptied.number, emptied.born) = (self.collections_created, moment.lsn);
                (emptied.slots, emptied.records) = (0, BTreeMap::new());
                for space in emptied.spaces.values_mut() {
                    self.collections_created += 1;
                    space.number = self.collections_created;
                }
                let response = json!({"number": emptied.number});
                Rc::make_mut(&mut self.collections).insert(called, Rc::new(emptied));
                return Ok((response, true));
            }
            _ => {}
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
        let given = given_map(fields, "vectors");
        given.keys().try_for_each(|name| check_name(name))?;
        self.collections_created += 1;
        let (created, number) = (moment.now, self.collections_created);
        let spaces = given.into_iter().map(|(name, settings)| (name, self.space(&settings))).collect();
        let sparse = given_map(fields, "sparse").into_iter().map(|(name, _)| {
            self.collections_created += 1;
            (name, self.collections_created)
        });
        let sparse = sparse.collect();
        let metric = given_text(fields, "metric").unwrap_or_else(|| "cosine".to_owned());
        let records = BTreeMap::new();
        let born = moment.lsn;
        let collection = Collection {
            dimension,
            metric,
            description,
            created,
            born,
            number,
            spaces,
            sparse,
            fields: BTreeMap::new(),
            slots: 0,
            records,
        };
        Rc::make_mut(&mut self.collections).insert(called, Rc::new(collection));
        Ok((json!({"number": number, "created": time(created)}), true))
    }

    /// The records that a deletion by a filter finds when it arrives.
    pub(crate) fn find_where(&self, fields: &Value, now: i64) -> Result<Vec<String>, Code> {
        let collection = self.collection(&text(fields, "collection"))?;
        Ok(collection.matching(&fields["filter"], now).into_iter().map(|(id, _)| id.clone()).collect())
    }

    fn delete_where(&mut self, fields: &Value, moment: &Moment<'_>) -> Decision {
        let called = text(fields, "collection");
        let mut collection = self.collection(&called)?.clone();
        let matching = collection.matching(&fields["filter"], moment.now);
        let going: Vec<String> = matching.into_iter().map(|(id, _)| id.clone()).collect();
        let going: Vec<String> = going.into_iter().filter(|id| moment.found.contains(id)).collect();
        for id in &going {
            Rc::make_mut(&mut collection).records.remove(id);
        }
        if !going.is_empty() {
            Rc::make_mut(&mut self.collections).insert(called, collection);
        }
        Ok((json!({"deleted": going.len(), "more": false}), !going.is_empty()))
    }

    fn alter(&mut self, called: String, fields: &Value) -> Decision {
        let mut altered = Collection::clone(self.collection(&called)?);
        if let Some(description) = given_text(fields, "description") {
            check_size(description.len())?;
            altered.description = description;
        }
        for (name, settings) in given_map(fields, "vectors") {
            check_name(&name)?;
            match altered.spaces.get(&name) {
                None if settings.is_null() => return Err(Code::VectorUnknown),
                Some(_) if settings.is_null() => drop(altered.spaces.remove(&name)),
                None => {
                    let space = self.space(&settings);
                    altered.spaces.insert(name, space);
                }
                Some(there) => {
                    let same = settings["dimension"] == json!(there.dimension)
                        && given_text(&settings, "metric").unwrap_or_else(|| "cosine".to_owned())
                            == there.metric;
                    if !same {
                        return Err(Code::VectorExists);
                    }
                }
            }
        }
        altered.alter_sparse(fields, || {
            self.collections_created += 1;
            self.collections_created
        })?;
        let response = json!({"number": altered.number});
        Rc::make_mut(&mut self.collections).insert(called, Rc::new(altered));
        Ok((response, true))
    }

    /// A named vector of these settings, which has a number.
    fn space(&mut self, settings: &Value) -> Space {
        self.collections_created += 1;
        let metric = given_text(settings, "metric").unwrap_or_else(|| "cosine".to_owned());
        let dimension = settings["dimension"].as_u64().unwrap_or_default() as usize;
        Space { number: self.collections_created, dimension, metric }
    }

    pub(super) fn record_operation(
        &mut self,
        name: &str,
        fields: &Value,
        moment: &mut Moment<'_>,
    ) -> Decision {
        if name == "record.delete_where" {
            return self.delete_where(fields, moment);
        }
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
    collection.check_named(fields)?;
    let sparse = collection.given_sparse(fields)?;
    collection.learn("", &payload)?;
    let expires = moment.expiry(&fields["ttl_us"])?;
    if vector.is_some() {
        collection.slots += 1;
    }
    let slot = collection.slots;
    let mut record = Record {
        text,
        payload,
        vector,
        slot,
        named: collection.store_named(fields),
        sparse: BTreeMap::new(),
        created: before.map_or(moment.now, |r| r.created),
        updated: moment.now,
        expires,
        node: before.and_then(|r| r.node),
        version: moment.lsn,
    };
    collection.change_sparse(&mut record, sparse);
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
    if let Some(patch) = fields.get("payload") {
        merge(&mut record.payload, patch.as_object().ok_or(Code::InvalidPatch)?);
        check_value(&Value::Object(record.payload.clone()))?;
        collection.learn("", &record.payload)?;
    }
    if let Some(text) = given_text(fields, "text") {
        check_size(text.len())?;
        record.text = Some(text);
    } else if fields.get("text").is_some() {
        record.text = None;
    }
    if fields.get("vector").is_some_and(Value::is_null) {
        record.vector = None;
    } else if let Some(vector) = vector(fields) {
        collection.check_given(Some(&vector))?;
        collection.slots += 1;
        (record.vector, record.slot) = (Some(vector), collection.slots);
    }
    collection.check_named(fields)?;
    record.named.retain(|name, _| fields["vectors"].get(name).is_none());
    record.named.extend(collection.store_named(fields));
    let sparse = collection.given_sparse(fields)?;
    collection.change_sparse(&mut record, sparse);
    if let Some(ttl) = fields.get("ttl_us") {
        record.expires = moment.expiry(ttl)?;
    }
    (record.updated, record.version) = (moment.now, moment.lsn);
    let patched = json!({"payload": record.payload, "version": moment.lsn});
    let patched = with(patched, &[("expires", record.expires.map(time))]);
    collection.records.insert(id, Rc::new(record));
    Ok(patched)
}
