//! The index over the payloads of a collection, in memory.
//!
//! It knows records by ordinals, numbers that the caller gives them, and holds for every path that occurs which records have
//! which values. What it cannot tell by itself (parts of objects, lists as a whole, fields that are declared not to be indexed) it
//! narrows down to candidates, and the caller looks at their payloads. It reads nothing, takes no locks and knows no time.

#[cfg(test)]
mod aggregate_tests;
mod answer;
mod column;
mod dictionary;
mod estimate;
mod evaluate;
mod facet;
mod field_index;
mod histogram;
#[cfg(test)]
mod measured_tests;
mod number;
#[allow(dead_code, reason = "lists by a field come next; held against a plain sort in the tests")]
mod order;
mod ordered;
mod paths;
mod plan;
mod points;
mod set;
mod single;
mod stats;
#[cfg(test)]
mod strategies;
mod term;
#[cfg(test)]
mod tests;

use agentdb_types::{Code, Error, Result};
use roaring::RoaringBitmap;
use serde_json::Value;

pub use histogram::Bucket;
pub use plan::{How, Plan, PlanTerm};
pub use stats::FieldStats;

use self::evaluate::{Answer, Evaluation};
use self::paths::{Known, Node};
use self::term::Term;
use super::parse::invalid;
use super::{Fields, Filter};

/// The index over payloads.
#[derive(Clone, Debug)]
pub(crate) struct PayloadIndex {
    fields: Fields,
    all: RoaringBitmap,
    root: Node,
}

/// What the index tells of a filter by itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidates {
    /// Records that match.
    pub(crate) sure: RoaringBitmap,
    /// Other records that may match: their payloads tell, by [`Filter::matches`].
    pub(crate) maybe: RoaringBitmap,
    /// How it was found.
    pub(crate) plan: Plan,
}

/// The answer to a filter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Evaluated {
    /// The records that match.
    pub(crate) ordinals: RoaringBitmap,
    /// How they were found.
    pub(crate) plan: Plan,
}

impl PayloadIndex {
    /// An index of nothing yet, over these declared fields. To declare others, build another one.
    pub(crate) fn new(fields: Fields) -> Self {
        PayloadIndex { fields, all: RoaringBitmap::new(), root: Node::root() }
    }

    /// Adds a record. Whether it was added: not if there is one of that ordinal, which has to be removed first. A payload that
    /// is no object has no fields. Ordinals are best dense: columns are arrays of 1,024 ordinals each.
    #[must_use]
    pub(crate) fn insert(&mut self, ordinal: u32, payload: &Value) -> bool {
        if !self.all.insert(ordinal) {
            return false;
        }
        if let Value::Object(object) = payload {
            self.root.insert(&self.fields, &mut String::new(), ordinal, object);
        }
        true
    }

    /// Takes a record out, given its payload exactly as it was inserted. Whether it was there.
    pub(crate) fn remove(&mut self, ordinal: u32, payload: &Value) -> bool {
        if !self.all.remove(ordinal) {
            return false;
        }
        if let Value::Object(object) = payload {
            self.root.remove(ordinal, object);
        }
        true
    }

    /// Every record.
    #[cfg(test)]
    pub(crate) fn ordinals(&self) -> &RoaringBitmap {
        &self.all
    }

    /// The records that match a filter, exactly those. `matches` tells of a record that the index is not sure of whether its
    /// payload matches the whole filter; it is asked once of each of them, in ascending order.
    ///
    /// # Errors
    /// Those of `matches`.
    pub(crate) fn evaluate(
        &self,
        filter: &Filter,
        matches: &dyn Fn(u32) -> Result<bool>,
    ) -> Result<Evaluated> {
        let Candidates { sure: mut ordinals, maybe, plan } = self.candidates(filter, None);
        for ordinal in maybe {
            if matches(ordinal)? {
                ordinals.insert(ordinal);
            }
        }
        Ok(Evaluated { ordinals, plan })
    }

    /// What the index tells of a filter without any payload, among all records or among these. No others of them match. The fewer
    /// they are, the less it takes.
    pub(crate) fn candidates(&self, filter: &Filter, among: Option<&RoaringBitmap>) -> Candidates {
        let evaluation = Evaluation { root: &self.root, all: &self.all };
        let among = among.map(|among| among & &self.all);
        let among = among.as_ref().unwrap_or(&self.all);
        let (Answer { sure, maybe }, term) = evaluation.answer(&Term::of(filter), among);
        let plan = Plan { term, verified: maybe.len() };
        Candidates { sure, maybe, plan }
    }

    /// At least and at most how many records match, without looking for them: microseconds.
    #[cfg(test)]
    pub(crate) fn estimate(&self, filter: &Filter) -> (u64, u64) {
        let count = self.root.estimate(&Term::of(filter), self.all.len());
        (count.low, count.high)
    }

    /// Bytes that it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self::set::bitmap_bytes(&self.all) + self.root.bytes()
    }

    /// The field at a path; none if no record has it.
    fn field(&self, path: &str) -> Result<Option<&Node>> {
        let names: Vec<_> = path.split('.').map(str::to_owned).collect();
        if names.iter().any(String::is_empty) {
            return Err(invalid("field", "a path has no empty names"));
        }
        match self.root.find(&names) {
            Known::Field(node) if node.indexed => Ok(Some(node)),
            Known::Nowhere => Ok(None),
            Known::Field(_) | Known::Within(_) => Err(Error::new(Code::FieldNotIndexed).with("field", path)),
        }
    }
}
