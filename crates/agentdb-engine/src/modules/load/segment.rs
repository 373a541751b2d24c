//! A segment, decided as one: its records, and how far the load has come.

use std::sync::Arc;

use agentdb_types::{Code, Duration, Error, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mark::Mark;
use super::{Counts, IfExists, Row};
use crate::modules::{collection, record};
use crate::operation::{About, Request, WriteRequest};
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::sweep;
use crate::tx::Tx;

/// A segment on its way to the sequencer.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct Segment {
    pub(super) collection: String,
    pub(super) source: String,
    /// How to create the collection, if there is none.
    pub(super) create: Option<collection::Create>,
    pub(super) existing: IfExists,
    pub(super) ttl_us: Option<Duration>,
    /// The version that the mark has had so far; 0 if there was none.
    pub(super) expected: Lsn,
    /// The mark behind these rows, without what becomes of them.
    pub(super) mark: Mark,
    /// How many rows of the load precede these.
    pub(super) after: u64,
    /// No other form of them is needed: nobody can send a segment, and none has an idempotency key.
    #[serde(skip)]
    pub(super) rows: Arc<Vec<Row>>,
    /// Whether these are the last ones.
    pub(super) last: bool,
    /// About how many bytes the rows take.
    pub(super) bytes: usize,
}

/// What became of the rows of the load so far.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Decided {
    pub(super) counts: Counts,
}

impl Request for Segment {
    type Response = Decided;
    const ABOUT: About = sweep::internal("internal.load");
}

impl WriteRequest for Segment {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Decided> {
        if let Some(create) = &self.create
            && tx.get(&collection::key(tx, &self.collection)?)?.is_none()
        {
            create.decide(tx)?;
        }
        let mut into = record::Loading::new(tx, &self.collection, self.existing, self.ttl_us)?;
        let actual = Mark::find(tx, into.number(), &self.source)?.map_or(Lsn::ZERO, |(version, _)| version);
        if actual != self.expected {
            return Err(Error::new(Code::LoadMoved)
                .with("source", &self.source)
                .with("collection", &self.collection)
                .with("actual", actual)
                .with("expected", self.expected));
        }
        for (number, row) in (self.after + 1..).zip(&*self.rows) {
            into.put(tx, row).map_err(|err| err.at_row(number, row.line))?;
        }
        let mut mark = self.mark.clone();
        let (number, counts) = (into.number(), into.finish(tx)?);
        mark.counts.created += counts.created;
        mark.counts.replaced += counts.replaced;
        mark.counts.skipped += counts.skipped;
        (mark.updated, mark.done) = (tx.now(), self.last.then(|| tx.lsn()));
        if self.last || self.rows.is_empty() || !planted::is(Bug::LoadMarkedApart) {
            mark.store(tx, number, &self.source)?;
        }
        Ok(Decided { counts: mark.counts })
    }

    fn weight(&self) -> usize {
        2 * self.bytes
    }
}

impl Segment {
    /// How far the load has come, and no rows.
    pub(super) fn without_rows(&self) -> Self {
        let (collection, source, mark) = (self.collection.clone(), self.source.clone(), self.mark.clone());
        Segment { collection, source, mark, create: None, rows: Arc::default(), ..*self }
    }
}
