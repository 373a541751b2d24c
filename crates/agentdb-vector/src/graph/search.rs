//! Search: a walk over codes, then the exact score of the best that the snapshot sees.

use agentdb_types::{Code, Error, Lsn, Result, limits};

use super::nodes::{Node, View, prefetch_floats};
use super::plan::{INSIDE, Plan, expect};
use super::scratch::Scratch;
use super::walk::{Enough, Walk, Work};
use super::{Entry, Graph, Vectors};
use crate::query::exact_score;
use crate::{Hit, Slot};

/// Candidates of a walk, at most.
pub(super) const EF_MAX: usize = limits::PAGE;
/// Full vectors that are asked for together before they are scored.
const SCORED_TOGETHER: usize = 4;

/// What is searched for.
#[derive(Clone, Copy)]
pub struct GraphQuery<'a> {
    /// The vector to find the nearest of.
    pub vector: &'a [f32],
    /// Hits wanted, at most: up to [`limits::PAGE`].
    pub k: usize,
    /// Candidates that the walk keeps, up to [`limits::PAGE`]; fewer than `k` count as `k`. More find more, and take longer.
    pub ef: usize,
    /// Candidates that are scored with their full vectors, the nearest by their codes; fewer than `k` count as `k`, more than
    /// there are as all.
    pub rerank: usize,
    /// The snapshot.
    pub at: Lsn,
    /// Which slots may be found.
    pub filter: Option<GraphFilter<'a>>,
}

/// Calls its argument with each of some slots. It must not change the graph that it is given to.
pub type EachSlot<'a> = dyn Fn(&mut dyn FnMut(Slot)) + 'a;

/// A filter of a search, with what a planner has to know about it.
#[derive(Clone, Copy)]
pub struct GraphFilter<'a> {
    /// Whether a slot passes. It is asked about visible entries that may enter the answer.
    pub keep: &'a dyn Fn(Slot) -> bool,
    /// How many slots pass, about.
    pub matches: usize,
    /// Calls its argument with every slot that passes, quickest in ascending order. Slots that the graph does not have are passed over,
    /// and `keep` is asked about those that may enter the answer, so that more than those that pass may be given.
    pub slots: &'a EachSlot<'a>,
}

/// What a search has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How it was done.
    pub plan: Plan,
    /// Nodes whose links were followed.
    pub expanded: usize,
    /// Codes that were compared.
    pub compared: usize,
    /// Full vectors that were scored.
    pub scored: usize,
}

impl Graph {
    /// Puts the hits, best first, ties by ascending slot, into `hits`, which is emptied first. Scores are those of
    /// [`crate::FlatIndex::search`], bit for bit. It allocates nothing once as many searches as run at a time have run before,
    /// and `hits` has room.
    ///
    /// Which hits are found is approximate: of those that the exact index finds, about the share that `ef` was calibrated for. None is ever
    /// one that the snapshot does not see or the filter refuses. With a filter, `ef` is what it would be without: how many matching
    /// candidates are worth as much follows from how many match.
    ///
    /// # Errors
    /// As [`crate::Dimension::check`], for the query; `InvalidValue` for `k` or `ef` beyond [`limits::PAGE`]; those of `vectors`, and
    /// `DimensionMismatch` for a vector from it that has another length. `hits` is empty then.
    pub fn search(
        &self,
        query: &GraphQuery<'_>,
        vectors: &dyn Vectors,
        hits: &mut Vec<Hit>,
    ) -> Result<Report> {
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
        // Before slots are looked up: what they lead to stays for as long as the view is held.
        let view = self.view();
        self.scratches.with(self.shape.stride, |scratch| {
            self.quantizer.encode_query(query.vector, norm, scratch.code.get_mut());
            let mut report = self.find(&view, query, scratch);
            if let Err(err) = self.score(&view, (query.vector, norm), &scratch.chosen, vectors, hits) {
                hits.clear();
                return Err(err);
            }
            report.scored = hits.len();
            hits.sort_unstable_by(|a, b| self.metric.compare(a.score, b.score).then(a.slot.cmp(&b.slot)));
            hits.truncate(query.k);
            Ok(report)
        })
    }

    /// Leaves in `scratch.chosen` the nodes to score, nearest first by their codes.
    fn find(&self, view: &View, query: &GraphQuery<'_>, scratch: &mut Scratch) -> Report {
        let Scratch { trail, code, chosen, .. } = scratch;
        let ef = query.ef.max(query.k);
        let rerank = query.rerank.clamp(query.k, ef);
        let walk = Walk { view, kernel: self.codes, code: code.get(), tail: 0 };
        let visible = |node: Node| view.visible(node, query.at);
        let mut report = Report::default();
        let Some(filter) = query.filter else {
            report.add(walk.nearest(trail, ef));
            let found = trail.candidates.sorted();
            let seen = || found.iter().map(|c| c.node()).filter(|node| visible(*node));
            // If nearly all of the nearest are visible, those that are not have cost the answer nothing to speak of.
            if found.len() < ef || seen().count() >= ef - ef / 8 {
                chosen.clear();
                chosen.extend(seen().take(rerank));
                return report;
            }
            report.plan = Plan::Matching;
            report.add(walk.matching(trail, Enough::all(ef), visible));
            return report.with(trail.matches.sorted().iter().map(|c| c.node()).take(rerank), chosen);
        };
        let accept = |node: Node| visible(node) && (filter.keep)(view.slot(node));
        let expected = expect(ef, query.k, filter.matches, self.len());
        report.plan = expected.plan;
        if expected.plan == Plan::Matching {
            let work = walk.matching(trail, expected.enough, accept);
            report.add(work);
            // Entry points are spread over everything: some of them match unless hardly anything does.
            if work.gave_up {
                report.plan = if trail.matches.sorted().is_empty() { Plan::Scan } else { Plan::Inside };
            }
            if report.plan == Plan::Inside {
                report.add(walk.inside(trail, (INSIDE * ef).min(EF_MAX), accept));
            }
        }
        if report.plan == Plan::Scan {
            let nodes = |each: &mut dyn FnMut(Node)| self.slots().look_up(filter.slots, each);
            report.add(walk.among(trail, rerank, nodes, accept));
        }
        report.with(trail.matches.sorted().iter().map(|c| c.node()).take(rerank), chosen)
    }

    fn score(
        &self,
        view: &View,
        query: (&[f32], f64),
        nodes: &[Node],
        vectors: &dyn Vectors,
        hits: &mut Vec<Hit>,
    ) -> Result<()> {
        let empty: &[f32] = &[];
        for nodes in nodes.chunks(SCORED_TOGETHER) {
            let mut full = [empty; SCORED_TOGETHER];
            for (node, full) in nodes.iter().zip(&mut full) {
                let entry = Entry { node: *node, slot: view.slot(*node), born: view.born(*node) };
                *full = vectors.vector(entry)?;
                if full.len() != self.dimension.get() {
                    let err = Error::new(Code::DimensionMismatch).with("expected", self.dimension);
                    return Err(err.with("actual", full.len()));
                }
                prefetch_floats(full);
            }
            for (node, vector) in nodes.iter().zip(full) {
                let norm = || self.kernel.norm(vector);
                let score = exact_score(self.kernel, self.metric, query, vector, norm);
                hits.push(Hit { slot: view.slot(*node), score });
            }
        }
        Ok(())
    }
}

impl Report {
    fn add(&mut self, work: Work) {
        self.expanded += work.expanded;
        self.compared += work.compared;
    }

    /// Puts the nodes into `chosen`, which is emptied first.
    fn with(self, nodes: impl Iterator<Item = Node>, chosen: &mut Vec<Node>) -> Report {
        chosen.clear();
        chosen.extend(nodes);
        self
    }
}
