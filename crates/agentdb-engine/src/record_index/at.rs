//! An index as of a snapshot.

use std::sync::Arc;

use agentdb_text::TextIndex;
use agentdb_types::{Lsn, Result};
use roaring::RoaringBitmap;
use serde_json::Value;

use super::ids::Ids;
use super::slots::Slots;
use super::state::State;
use crate::Snapshot;
use crate::filter::Filter;
use crate::filter::index::{Evaluated, PayloadIndex, Plan};
use crate::modules::record;
use crate::read::Read;
use crate::sparse::SparseComponents;

/// One of so many records, or fewer: their vectors are compared one by one, since passing over the others costs more.
const FEW: u64 = 4;

/// What a search needs of an index, once it has let go of it.
pub(crate) struct Found {
    /// The records that match; `None` if all do.
    pub(crate) records: Option<RoaringBitmap>,
    /// If vectors are compared, and they are few: the slots of their vectors, about which nothing was changed until the index was read.
    pub(crate) few: Option<Vec<u64>>,
    /// To which records slots belong.
    pub(crate) slots: Slots,
    /// The ids of records.
    pub(crate) ids: Ids,
    /// The texts, each record under its ordinal, if they were asked for and there are any.
    pub(crate) text: Option<Arc<TextIndex>>,
    /// How the records that match were found.
    pub(crate) how: How,
}

/// What a sparse vector finds.
pub(crate) struct BySparse {
    /// Ids and scores, best first.
    pub(crate) hits: Vec<(String, f64)>,
    /// How the records that match were found.
    pub(crate) how: How,
    /// How many match; `None` if all do.
    pub(crate) matching: Option<u64>,
}

/// How the records that match were found.
pub(crate) struct How {
    /// How the filter was answered.
    pub(crate) plan: Option<Plan>,
    /// Records of the collection, by the newest state.
    pub(crate) total: u64,
    /// Records that were changed since, and looked at in the rows.
    pub(crate) changed: u64,
    /// Whether the index was made for the one read.
    pub(crate) made: bool,
}

impl Found {
    /// Whether a record is among those that match.
    pub(crate) fn has(&self, ordinal: u32) -> bool {
        self.records.as_ref().is_none_or(|records| records.contains(ordinal))
    }
}

/// What an index tells of the moment of a snapshot.
pub(crate) struct At<'a> {
    state: &'a State,
    snapshot: &'a Snapshot,
    number: u64,
    /// The records that were changed since: what the index tells of them is not what was.
    changed: RoaringBitmap,
    /// Whether the index was made for the one read.
    made: bool,
}

impl<'a> At<'a> {
    pub(super) fn new(state: &'a State, snapshot: &'a Snapshot, number: u64) -> Self {
        At { state, snapshot, number, changed: state.changed_after(snapshot.lsn()), made: false }
    }

    /// The same of an index that was made for the one read.
    pub(super) fn made(state: &'a State, snapshot: &'a Snapshot, number: u64) -> Self {
        At { made: true, ..At::new(state, snapshot, number) }
    }

    /// The ordinals of the records that are there, have not expired and match.
    pub(crate) fn matching(&self, filter: Option<&Filter>) -> Result<RoaringBitmap> {
        Ok(self.evaluate(filter)?.0)
    }

    /// The same, and how the filter was answered.
    fn evaluate(&self, filter: Option<&Filter>) -> Result<(RoaringBitmap, Option<Plan>)> {
        let (mut matching, plan) = match filter {
            Some(filter) => {
                let matches = |ordinal| self.matches(ordinal, Some(filter));
                let Evaluated { ordinals, plan } = self.state.payload.evaluate(filter, &matches)?;
                (ordinals, Some(plan))
            }
            None => (self.state.live.clone(), None),
        };
        for (_, ordinal) in self.state.expiring.iter().take_while(|(at, _)| *at <= self.snapshot.now()) {
            matching.remove(*ordinal);
        }
        matching -= &self.changed;
        for ordinal in &self.changed {
            if self.matches(ordinal, filter)? {
                matching.insert(ordinal);
            }
        }
        Ok((matching, plan))
    }

    /// The records that match, `None` if every record does, and how they were found.
    fn narrow(&self, filter: Option<&Filter>) -> Result<(Option<RoaringBitmap>, How)> {
        let expired = self.state.expiring.first().is_some_and(|(at, _)| *at <= self.snapshot.now());
        // What was changed since may have been expired then.
        let all = filter.is_none() && !expired && self.changed.is_empty();
        let (records, plan) = match all {
            true => (None, None),
            false => self.evaluate(filter).map(|(records, plan)| (Some(records), plan))?,
        };
        let (total, changed) = (self.state.live.len(), self.changed.len());
        Ok((records, How { plan, total, changed, made: self.made }))
    }

    /// What a search among the records that match needs; if it compares vectors, those of this number.
    pub(crate) fn find(&self, filter: Option<&Filter>, vectors: Option<u64>) -> Result<Found> {
        let (records, how) = self.narrow(filter)?;
        let few = vectors.zip(records.as_ref()).filter(|(_, records)| {
            records.len() <= self.state.live.len() / FEW && records.is_disjoint(&self.changed)
        });
        let few = few.map(|(number, records)| {
            records.iter().filter_map(|ordinal| self.state.slot(number, ordinal)).collect()
        });
        let State { slots, ids, text, .. } = self.state;
        Ok(Found { records, few, slots: slots.clone(), ids: ids.clone(), text: text.clone(), how })
    }

    /// The records that share an index with a query and match, each with its score: the best so many, equal ones in the order of ids.
    pub(crate) fn by_sparse(
        &self,
        (number, query): (u64, &SparseComponents),
        filter: Option<&Filter>,
        limit: usize,
    ) -> Result<BySparse> {
        let (records, how) = self.narrow(filter)?;
        let mut found = self.state.sparse.scores(number, query, self.state.ids.len());
        if let Some(records) = &records {
            found.retain(|(ordinal, _)| records.contains(*ordinal) && !self.changed.contains(*ordinal));
            for ordinal in records & &self.changed {
                let key = record::key(self.snapshot, self.number, self.id(ordinal))?;
                let there = record::find(self.snapshot, &key)?;
                let score = there.and_then(|(_, record)| query.dot(record.sparse().get(&number)?));
                found.extend(score.map(|score| (ordinal, score)));
            }
        }
        let better =
            |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then_with(|| self.id(a.0).cmp(self.id(b.0)));
        if found.len() > limit && limit > 0 {
            found.select_nth_unstable_by(limit - 1, better);
        }
        found.truncate(limit);
        found.sort_unstable_by(better);
        let matching = records.map(|records| records.len());
        let found = found.into_iter().map(|(ordinal, score)| (self.id(ordinal).to_owned(), score)).collect();
        Ok(BySparse { hits: found, how, matching })
    }

    /// Whether nothing was changed since.
    pub(super) fn is_current(&self) -> bool {
        self.changed.is_empty()
    }

    /// What the payloads hold, by the newest state.
    pub(super) fn payloads(&self) -> &PayloadIndex {
        &self.state.payload
    }

    /// The ordinal of a record; none of a record that the index does not know.
    pub(crate) fn ordinal(&self, record: &str) -> Option<u32> {
        self.state.ordinal_of(record)
    }

    /// The version of a record that is there; none of one that was changed since, or that the index does not know.
    pub(crate) fn version(&self, record: &str) -> Option<Lsn> {
        let ordinal = self.state.ordinal_of(record).filter(|ordinal| !self.changed.contains(*ordinal))?;
        Some(self.state.version(ordinal))
    }

    /// The ids of records.
    pub(crate) fn ids(&self) -> Ids {
        self.state.ids.clone()
    }

    /// The texts, each record under its ordinal, if the read is with texts and there are any.
    pub(crate) fn text(&self) -> Option<Arc<TextIndex>> {
        self.state.text.clone()
    }

    /// The id of a record.
    pub(crate) fn id(&self, ordinal: u32) -> &str {
        self.state.ids.get(ordinal)
    }

    /// Looks at a record in the rows.
    fn matches(&self, ordinal: u32, filter: Option<&Filter>) -> Result<bool> {
        let key = record::key(self.snapshot, self.number, self.id(ordinal))?;
        let Some((_, found)) = record::find(self.snapshot, &key)? else { return Ok(false) };
        Ok(filter.is_none_or(|filter| filter.matches(&Value::Object(found.into_payload()))))
    }
}
