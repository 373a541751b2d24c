//! Sparse vectors of records.

use std::collections::BTreeMap;

use agentdb_types::Code;
use serde_json::{Map, Value, json};

use super::record::{Collection, Record};
use super::{check_name, given_map};

/// The components of a sparse vector by their indices.
pub(crate) type Sparse = BTreeMap<u32, f32>;

impl Collection {
    /// The names of sparse vectors, as they are told.
    pub(super) fn sparse_settings(&self) -> Option<Value> {
        let settings: Map<String, Value> = self.sparse.keys().map(|name| (name.clone(), json!({}))).collect();
        (!settings.is_empty()).then_some(Value::Object(settings))
    }

    /// Adds and drops names; `number` gives one that nothing had.
    pub(super) fn alter_sparse(
        &mut self,
        fields: &Value,
        mut number: impl FnMut() -> u64,
    ) -> Result<(), Code> {
        for (name, settings) in given_map(fields, "sparse") {
            check_name(&name)?;
            if settings.is_null() {
                self.sparse.remove(&name).ok_or(Code::VectorUnknown)?;
            } else {
                self.sparse.entry(name).or_insert_with(&mut number);
            }
        }
        Ok(())
    }

    /// What a request gives under the names that there are; none to remove it.
    pub(super) fn given_sparse(&self, fields: &Value) -> Result<Vec<(u64, Option<Sparse>)>, Code> {
        let one = |(name, vector): (String, Value)| {
            let number = *self.sparse.get(&name).ok_or(Code::VectorUnknown)?;
            Ok((number, if vector.is_null() { None } else { Some(read(&vector)?) }))
        };
        given_map(fields, "sparse").into_iter().map(one).collect()
    }

    /// Gives a record what a request gives; what it has under names that were dropped goes.
    pub(super) fn change_sparse(&self, record: &mut Record, given: Vec<(u64, Option<Sparse>)>) {
        for (number, vector) in given {
            match vector {
                Some(vector) => drop(record.sparse.insert(number, vector)),
                None => drop(record.sparse.remove(&number)),
            }
        }
        record.sparse.retain(|number, _| self.sparse.values().any(|known| known == number));
    }

    /// The sparse vectors of a record, as they are told.
    pub(super) fn sparse_entry(&self, record: &Record) -> Option<Value> {
        let shown = |(name, number): (&String, &u64)| {
            let vector = record.sparse.get(number)?;
            let (indices, values): (Vec<u32>, Vec<f32>) = vector.iter().unzip();
            Some((name.clone(), json!({"indices": indices, "values": values})))
        };
        let shown: Map<String, Value> = self.sparse.iter().filter_map(shown).collect();
        (!shown.is_empty()).then_some(Value::Object(shown))
    }

    /// The records that share an index with a vector, best first.
    pub(crate) fn by_sparse(
        &self,
        name: &str,
        query: &Sparse,
        filter: &Value,
        now: i64,
    ) -> Vec<(String, f32)> {
        let score = |record: &Record| {
            let of = record.sparse.get(self.sparse.get(name)?)?;
            let shared = query.iter().filter_map(|(index, value)| Some(value * of.get(index)?));
            let shared: Vec<f32> = shared.collect();
            (!shared.is_empty()).then(|| shared.iter().fold(0.0, |sum, product| sum + product))
        };
        let matching = self.matching(filter, now).into_iter();
        let mut found: Vec<_> =
            matching.filter_map(|(id, record)| Some((id.clone(), score(record)?))).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found
    }
}

/// The vector of a request, as the database reads it.
pub(crate) fn read(vector: &Value) -> Result<Sparse, Code> {
    let list = |name: &str| vector[name].as_array().cloned().unwrap_or_default();
    let (indices, values) = (list("indices"), list("values"));
    let values: Vec<f32> = values.iter().map(|x| x.as_f64().unwrap_or_default() as f32).collect();
    if indices.is_empty() || indices.len() != values.len() {
        return Err(Code::InvalidValue);
    }
    if values.iter().any(|x| !x.is_finite()) {
        return Err(Code::VectorNotFinite);
    }
    let count = indices.len();
    let index = |index: &Value| index.as_u64().unwrap_or_default() as u32;
    let components: Sparse = indices.iter().map(index).zip(values).collect();
    if components.len() == count { Ok(components) } else { Err(Code::InvalidValue) }
}
