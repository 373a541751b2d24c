//! New nodes, and those that may be used again.
//!
//! A node that was taken out may still be known to a search that began before. Every search holds the view that was current
//! when it began. Views that are no longer current wait here, in the order in which they were published, with the nodes that no
//! search of a later view can find; when the first in the queue is held by nobody else, nobody will ever hold it again (it is not
//! to be had from the graph any more), and its nodes are free. `Arc::get_mut` makes what the last holder did happen before.

use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard, PoisonError};

use agentdb_types::{Code, Error, Result};

use super::Graph;
use super::candidates::mix;
use super::nodes::{Chunk, NODES_MAX, Node, View};

/// Entry points of a graph, at most. They are compared with every query.
const ENTRIES: u64 = 64;

/// What is known about nodes by those who add and remove them.
#[derive(Default)]
pub(super) struct Growth {
    /// The first number that was never used.
    pub(super) next: Node,
    /// Nodes to use again.
    pub(super) free: Vec<Node>,
    /// Nodes that died and were not taken out yet.
    pub(super) dead: Vec<Node>,
    /// The repair that is under way, if one is.
    pub(super) pass: Option<super::repair::Pass>,
    past: VecDeque<(Arc<View>, Vec<Node>)>,
}

impl Growth {
    fn reclaim(&mut self) {
        while let Some((view, _)) = self.past.front_mut()
            && Arc::get_mut(view).is_some()
            && let Some((_, nodes)) = self.past.pop_front()
        {
            self.free.extend(nodes);
        }
    }
}

impl Graph {
    pub(super) fn growth(&self) -> MutexGuard<'_, Growth> {
        self.growth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node that nobody knows, with a view that has it.
    ///
    /// # Errors
    /// `InvalidValue` when the graph has as many nodes as it can number.
    pub(super) fn new_node(&self) -> Result<(Node, Arc<View>)> {
        let mut growth = self.growth();
        growth.reclaim();
        if let Some(node) = growth.free.pop() {
            return Ok((node, self.view()));
        }
        let node = growth.next;
        if node as usize >= NODES_MAX {
            let err = Error::new(Code::InvalidValue).with("field", "graph");
            return Err(err.with("reason", format_args!("it has {NODES_MAX} nodes, which is the limit")));
        }
        let mut view = self.view();
        if !view.has(node) {
            let chunk = Arc::new(Chunk::new(&self.shape));
            let chunks = view.chunks.iter().cloned().chain([chunk]).collect();
            view = self.publish(&mut growth, View::new(self.shape, chunks, view.entries.clone()), Vec::new());
        }
        growth.next += 1;
        Ok((node, view))
    }

    /// Makes a view the current one. `retired` are nodes that it does not lead to, and earlier ones may.
    pub(super) fn publish(&self, growth: &mut Growth, view: View, retired: Vec<Node>) -> Arc<View> {
        let view = Arc::new(view);
        let mut current = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, view.clone());
        drop(current);
        growth.past.push_back((old, retired));
        growth.reclaim();
        view
    }

    /// Makes a node that is linked an entry point, with the probability that all nodes become one with (Vitter's reservoir, with a
    /// hash for chance: one sequence of insertions gives one graph).
    pub(super) fn consider_entry(&self, node: Node) {
        let count = u64::from(node) + 1;
        let chance = mix(count) % count;
        if chance >= ENTRIES && self.view().entries.len() as u64 >= ENTRIES {
            return;
        }
        let mut growth = self.growth();
        let view = self.view();
        let mut entries = view.entries.to_vec();
        match entries.get_mut(chance as usize) {
            Some(entry) if view.entries.len() as u64 >= ENTRIES => *entry = node,
            _ => entries.push(node),
        }
        let new = View::new(self.shape, view.chunks.clone(), entries.into());
        drop(view);
        self.publish(&mut growth, new, Vec::new());
    }
}
