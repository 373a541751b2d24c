//! Which of the nodes near a node it links to.
//!
//! A candidate is left out if one that was chosen is nearer to it than the node itself is: the chosen one leads there. With a
//! factor above 1 it must be so much nearer, which keeps some of the longer links (the rule of HNSW's heuristic with 1, Vamana's
//! "robust prune" above it).

use super::batch::{DEGREE_MAX, with_tails};
use super::candidates::Candidate;
use super::nodes::{Node, View};
use super::walk::Walk;
use crate::codes::CodeKernel;

/// Chosen nodes that are compared with a candidate at a time: mostly the first few already say that it is left out.
const GROUP: usize = 4;

/// The rule of a graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    /// The square of the factor, in 256ths.
    slack: u64,
}

impl Choice {
    /// `factor` is at least 1.
    pub(super) fn new(factor: f32) -> Self {
        Choice { slack: (factor * factor * 256.0).round() as u64 }
    }

    /// Chooses at most `limit` of `ranked`, which has no node twice and is sorted by distance from the node that the links are for.
    /// `chosen` is emptied first.
    pub(super) fn choose(
        self,
        view: &View,
        kernel: CodeKernel,
        ranked: &[Candidate],
        limit: usize,
        chosen: &mut Vec<Node>,
    ) {
        chosen.clear();
        self.extend(view, kernel, ranked, limit, chosen);
    }

    /// The same with nodes that are chosen already: adds to `chosen` until it has `limit`.
    pub(super) fn extend(
        self,
        view: &View,
        kernel: CodeKernel,
        ranked: &[Candidate],
        limit: usize,
        chosen: &mut Vec<Node>,
    ) {
        let limit = limit.min(DEGREE_MAX);
        let mut rows = [std::ptr::null::<u8>(); DEGREE_MAX];
        for (row, node) in rows.iter_mut().zip(chosen.iter()) {
            *row = view.code(*node);
        }
        for candidate in ranked {
            if chosen.len() >= limit {
                break;
            }
            let node = candidate.node();
            let Walk { code, tail, .. } = Walk::from_node(view, kernel, node);
            let farthest = u64::from(candidate.distance()) << 8;
            let led_to = |(rows, nodes): (&[*const u8], &[Node])| {
                let mut distances = [0; GROUP];
                let distances = &mut distances[..rows.len()];
                // SAFETY: the rows are codes, as above.
                unsafe { kernel.distances(code, rows, distances) };
                distances.iter().zip(nodes).any(|(distance, node)| {
                    u64::from(with_tails(*distance, tail, view.tail(*node))) * self.slack < farthest
                })
            };
            if !rows[..chosen.len()].chunks(GROUP).zip(chosen.chunks(GROUP)).any(led_to) {
                rows[chosen.len()] = view.code(node);
                chosen.push(node);
            }
        }
    }
}
