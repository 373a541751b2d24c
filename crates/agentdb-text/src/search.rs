//! Searching and counting.

use std::cmp::Ordering;
use std::fmt;

use agentdb_types::{Code, Error, Lsn, Result};

use crate::compile::compile;
use crate::eval::{self, Admission};
use crate::query::Query;
use crate::top::{Hit, Top};
use crate::{Slot, TextIndex};

/// What a search is to give.
pub struct Search<'a> {
    /// The snapshot.
    pub at: Lsn,
    /// Hits, at most.
    pub limit: usize,
    /// Keeps the slots for which it returns true; it is asked only about visible entries that may enter the answer, at
    /// most once each.
    pub filter: Option<&'a dyn Fn(Slot) -> bool>,
    /// The order of hits of equal score: a total order of slots.
    pub tie: &'a dyn Fn(Slot, Slot) -> Ordering,
    /// The least score of a hit.
    pub threshold: Option<f32>,
}

impl<'a> Search<'a> {
    /// The best `limit` at a snapshot, ties by ascending slot.
    pub fn new(at: Lsn, limit: usize) -> Self {
        Search { at, limit, filter: None, tie: &|a, b| a.cmp(&b), threshold: None }
    }

    /// With a filter.
    #[must_use]
    pub fn filter(mut self, filter: &'a dyn Fn(Slot) -> bool) -> Self {
        self.filter = Some(filter);
        self
    }
}

impl fmt::Debug for Search<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Search");
        s.field("at", &self.at).field("limit", &self.limit).field("threshold", &self.threshold);
        s.field("filter", &self.filter.is_some()).finish_non_exhaustive()
    }
}

impl TextIndex {
    /// The best entries for a query, best first. Their scores are a function of the entries visible at the snapshot
    /// alone: the same wherever these lie, and in whatever order the terms of the query come.
    ///
    /// Fewer hits come back only when fewer are visible, match, pass the filter and reach the threshold.
    ///
    /// # Errors
    /// [`Code::TextCompacted`] below the watermark of [`TextIndex::compact`], [`Code::TextQueryInvalid`] with the path of
    /// what is wrong, [`Code::TextQueryTooLarge`] beyond a limit, [`Code::TextExpansion`] if a prefix or a fuzzy term
    /// stands for too many terms, [`Code::InvalidValue`] if the threshold is not a number.
    pub fn search(&self, query: &Query, search: &Search<'_>) -> Result<Vec<Hit>> {
        if search.threshold.is_some_and(f32::is_nan) {
            let reason = "is not a number";
            return Err(Error::new(Code::InvalidValue).with("field", "threshold").with("reason", reason));
        }
        let state = self.state_at(search.at)?;
        let plan = compile(&self.fields, &state, search.at, query)?;
        if search.limit == 0 {
            return Ok(Vec::new());
        }
        let mut top = Top::new(search.limit, search.threshold, plan.scale, search.tie);
        let admission = Admission { at: search.at, filter: search.filter };
        eval::search(&plan, &state, admission, &mut top);
        Ok(top.into_hits())
    }

    /// How many visible entries match a query and pass the filter.
    ///
    /// # Errors
    /// As [`TextIndex::search`].
    pub fn count(&self, query: &Query, at: Lsn, filter: Option<&dyn Fn(Slot) -> bool>) -> Result<usize> {
        let state = self.state_at(at)?;
        let plan = compile(&self.fields, &state, at, query)?;
        Ok(eval::count(&plan, &state, Admission { at, filter }))
    }

    /// Whether a query is one that this index can answer.
    ///
    /// # Errors
    /// As [`TextIndex::search`], but for what depends on the entries.
    pub fn check(&self, query: &Query) -> Result<()> {
        compile(&self.fields, &crate::index::State::default(), Lsn::ZERO, query).map(|_| ())
    }
}
