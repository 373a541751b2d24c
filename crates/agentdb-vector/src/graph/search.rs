//! Search: a walk over codes, then the exact score of the best that the snapshot sees.

use agentdb_types::{Code, Error, Lsn, Result};

use super::nodes::{Node, View};
use super::scratch::{Scratch, Trail};
use super::walk::{Walk, Work};
use super::{Entry, Graph, Vectors};
use crate::query::exact_score;
use crate::{Hit, Slot};

/// Candidates of a walk, at most.
pub(super) const EF_MAX: usize = 4096;
/// Full vectors that are asked for together before they are scored.
const SCORED_TOGETHER: usize = 4;

/// What is searched for.
#[derive(Clone, Copy)]
pub struct GraphQuery<'a> {
    /// The vector to find the nearest of.
    pub vector: &'a [f32],
    /// Hits wanted, at most.
    pub k: usize,
    /// Candidates that the walk keeps, up to 4,096; fewer than `k` count as `k`. More find more, and take longer.
    pub ef: usize,
    /// Candidates that are scored with their full vectors, the nearest by their codes; fewer than `k` count as `k`.
    pub rerank: usize,
    /// The snapshot.
    pub at: Lsn,
    /// Keeps the slots for which it returns true. It is asked about visible entries that may enter the answer.
    pub filter: Option<&'a dyn Fn(Slot) -> bool>,
}

/// What a search has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Nodes whose links were followed.
    pub expanded: usize,
    /// Codes that were compared.
    pub compared: usize,
    /// Full vectors that were scored.
    pub scored: usize,
    /// Whether the walk asked of each node whether it may be an answer, and went on until it had `ef` that may: with a filter,
    /// and where many of the nearest are not visible. Otherwise visibility was tested on what the walk had found.
    pub matching: bool,
}

impl Graph {
    /// Puts the hits, best first, ties by ascending slot, into `hits`, which is emptied first. Scores are those of
    /// [`crate::FlatIndex::search`], bit for bit. It allocates nothing once as many searches as run at a time have run before,
    /// and `hits` has room.
    ///
    /// Which hits are found is approximate: of those that the exact index finds, the share that `ef` was calibrated for. None is
    /// ever one that the snapshot does not see or the filter refuses.
    ///
    /// # Errors
    /// As [`crate::Dimension::check`], for the query; `InvalidValue` for `k` or `ef` beyond 4,096; those of `vectors`, and
    /// `DimensionMismatch` for a vector from it that has another length.
    pub fn search(&self, query: &GraphQuery<'_>, vectors: &dyn Vectors, hits: &mut Vec<Hit>) -> Result<Report> {
        hits.clear();
        let norm = self.dimension.measure(query.vector, self.metric)?;
        for (field, value) in [("k", query.k), ("ef", query.ef)] {
            if value > EF_MAX {
                let reason = format_args!("{value} is more than the limit of {EF_MAX}");
                return Err(Error::new(Code::InvalidValue).with("field", field).with("reason", reason));
            }
        }
        if query.k == 0 {
            return Ok(Report::default());
        }
        let view = self.view();
        self.scratches.with(self.shape.stride, |scratch| {
            self.quantizer.encode_query(query.vector, norm, scratch.code.get_mut());
            let mut report = self.walk(&view, query, scratch);
            self.score(&view, query, norm, scratch, vectors, hits)?;
            report.scored = hits.len();
            hits.sort_unstable_by(|a, b| self.metric.compare(a.score, b.score).then(a.slot.cmp(&b.slot)));
            hits.truncate(query.k);
            Ok(report)
        })
    }

    /// Leaves in `scratch.chosen` the nodes to score, nearest first by their codes.
    fn walk(&self, view: &View, query: &GraphQuery<'_>, scratch: &mut Scratch) -> Report {
        let Scratch { trail, code, chosen, .. } = scratch;
        let ef = query.ef.max(query.k);
        let rerank = query.rerank.max(query.k);
        let walk = Walk { view, kernel: self.codes, code: code.get(), tail: 0 };
        let visible = |node: Node| view.visible(node, query.at);
        let mut work = Work::default();
        if query.filter.is_none() {
            work = walk.nearest(trail, ef);
            let seen = chosen_from(trail, rerank, visible, chosen);
            // Enough of the nearest are visible: those that are not have cost the answer nothing to speak of.
            if seen >= rerank.min(ef - ef / 8) || trail.candidates.sorted().len() < ef {
                return report(work, false);
            }
        }
        let accept = |node: Node| visible(node) && query.filter.is_none_or(|keep| keep(view.slot(node)));
        let more = walk.matching(trail, ef, accept);
        chosen_from_matches(trail, rerank, chosen);
        report(work + more, true)
    }

    fn score(
        &self,
        view: &View,
        query: &GraphQuery<'_>,
        norm: f64,
        scratch: &Scratch,
        vectors: &dyn Vectors,
        hits: &mut Vec<Hit>,
    ) -> Result<()> {
        let empty: &[f32] = &[];
        for nodes in scratch.chosen.chunks(SCORED_TOGETHER) {
            let mut full = [empty; SCORED_TOGETHER];
            for (node, full) in nodes.iter().zip(&mut full) {
                let entry = Entry { node: *node, slot: view.slot(*node), born: view.born(*node) };
                let vector = vectors.vector(entry)?;
                if vector.len() != self.dimension.get() {
                    let err = Error::new(Code::DimensionMismatch).with("expected", self.dimension);
                    return Err(err.with("actual", vector.len()));
                }
                super::nodes::prefetch_floats(vector);
                *full = vector;
            }
            for (node, vector) in nodes.iter().zip(full) {
                let score = exact_score(self.kernel, self.metric, (query.vector, norm), vector, || {
                    self.kernel.norm(vector)
                });
                hits.push(Hit { slot: view.slot(*node), score });
            }
        }
        Ok(())
    }
}

/// Takes the nearest `limit` candidates that are visible. Returns how many of all are.
fn chosen_from(trail: &Trail, limit: usize, visible: impl Fn(Node) -> bool, chosen: &mut Vec<Node>) -> usize {
    chosen.clear();
    chosen.extend(trail.candidates.sorted().iter().map(|c| c.node()).filter(|n| visible(*n)).take(limit));
    chosen.len()
}

fn chosen_from_matches(trail: &Trail, limit: usize, chosen: &mut Vec<Node>) {
    chosen.clear();
    chosen.extend(trail.matches.sorted().iter().map(|c| c.node()).take(limit));
}

fn report(work: Work, matching: bool) -> Report {
    Report { expanded: work.expanded, compared: work.compared, scored: 0, matching }
}
