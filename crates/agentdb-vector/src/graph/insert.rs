//! Insertion: a new node is linked with what a walk towards it finds, and those with it.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use agentdb_types::{Lsn, Result};

use super::Graph;
use super::batch::{Batch, DEGREE_MAX};
use super::candidates::{Candidate, sort_for};
use super::nodes::{Node, View};
use super::scratch::Scratch;
use super::walk::{Enough, Walk};
use crate::Slot;

impl Graph {
    /// Inserts a vector as born at `lsn`. A living vector of the same slot dies at `lsn`: the slot is replaced.
    ///
    /// The LSNs of one slot must not go backwards, and two changes of one slot must not run at the same time; those of different
    /// slots may come in any order, from several threads. The time that it takes is that of a search with the settings' `ef`,
    /// and that of pruning the links of up to `links` neighbours.
    ///
    /// # Errors
    /// As [`crate::Dimension::check`], and `InvalidValue` when there are 2^31 - 1 nodes; the graph is unchanged then.
    pub fn insert(&self, slot: Slot, lsn: Lsn, vector: &[f32]) -> Result<()> {
        let norm = self.dimension.measure(vector, self.metric)?;
        self.thaw();
        let _open = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        self.scratches.with(self.shape.stride, |scratch| {
            let tail = self.quantizer.encode(vector, norm, scratch.code.get_mut());
            let (node, view) = self.new_node()?;
            // SAFETY: the node is new: it was never linked, or nobody who could know it is left.
            unsafe { view.set_code(node, scratch.code.get(), tail) };
            view.set_mark(node, slot, lsn);
            self.link(&view, node, tail, scratch);
            match self.slots().replace(slot, node) {
                Some(old) => self.bury(&view, old, lsn),
                None => {
                    self.living.fetch_add(1, Ordering::Relaxed);
                }
            }
            self.consider_entry(node);
            Ok(())
        })
    }

    /// Finds the neighbours of a node whose code is in `scratch.code`, and links both ways.
    fn link(&self, view: &View, node: Node, tail: u32, scratch: &mut Scratch) {
        let Scratch { trail, code, ranked, chosen, links } = scratch;
        let walk = Walk { view, kernel: self.codes, code: code.get(), tail };
        walk.nearest(trail, self.settings.ef);
        ranked.clear();
        let lives = |node: Node| view.died(node).is_none();
        ranked.extend(trail.candidates.sorted().iter().filter(|c| lives(c.node())));
        if ranked.is_empty() {
            // Everything around has died. It is linked to what lives farther off, or else to the dead that will stay for a while.
            walk.matching(trail, Enough::all(self.settings.ef), lives);
            if trail.matches.sorted().is_empty() {
                walk.matching(trail, Enough::all(self.settings.ef), |node| !view.is_condemned(node));
            }
            ranked.extend(trail.matches.sorted());
        }
        sort_for(node, ranked);
        self.choice.choose(view, self.codes, ranked, self.settings.links, chosen);
        view.set_links(node, chosen);
        let neighbours = std::mem::take(chosen);
        let mut known = false;
        for neighbour in &neighbours {
            known |= self.link_back(view, *neighbour, node, (ranked, chosen, links));
        }
        if !known && let Some(nearest) = neighbours.first() {
            self.adopt(view, *nearest, node, links);
        }
        *chosen = neighbours;
    }

    /// Adds a link from `from` to `to`; if there is no room, the best of all of them stay. Returns whether there is such a link then.
    fn link_back(
        &self,
        view: &View,
        from: Node,
        to: Node,
        (ranked, chosen, links): (&mut Vec<Candidate>, &mut Vec<Node>, &mut Vec<Node>),
    ) -> bool {
        let lock = &self.locks[from as usize % self.locks.len()];
        let _alone = lock.lock().unwrap_or_else(PoisonError::into_inner);
        view.copy_links(from, links);
        // A link to a node in a chunk that is newer than the view was stored after that chunk was published.
        let newer = (!links.iter().all(|node| view.has(*node))).then(|| self.view());
        let view = newer.as_deref().unwrap_or(view);
        if links.contains(&to) {
            return true;
        }
        links.push(to);
        if links.len() <= self.shape.degree {
            view.set_links(from, links);
            return true;
        }
        self.rank(view, from, links, ranked);
        self.choice.choose(view, self.codes, ranked, self.shape.degree, chosen);
        view.set_links(from, chosen);
        chosen.contains(&to)
    }

    /// Adds a link from `from` to `to`, in place of the last one if there is no room: for a node that nobody would link to otherwise,
    /// so that no search would ever find it.
    pub(super) fn adopt(&self, view: &View, from: Node, to: Node, links: &mut Vec<Node>) {
        let lock = &self.locks[from as usize % self.locks.len()];
        let _alone = lock.lock().unwrap_or_else(PoisonError::into_inner);
        view.copy_links(from, links);
        if !links.contains(&to) {
            links.truncate(self.shape.degree - 1);
            links.push(to);
            view.set_links(from, links);
        }
    }

    /// Fills `ranked` with `nodes` in the order of their distances from `from`.
    pub(super) fn rank(&self, view: &View, from: Node, nodes: &[Node], ranked: &mut Vec<Candidate>) {
        let walk = Walk::from_node(view, self.codes, from);
        let mut batch = Batch::new();
        ranked.clear();
        for nodes in nodes.chunks(DEGREE_MAX) {
            batch.clear();
            nodes.iter().for_each(|node| batch.push(view, *node));
            batch.compare(view, self.codes, (walk.code, walk.tail));
            ranked.extend(batch.found());
        }
        sort_for(from, ranked);
    }

    /// Marks the vector of a slot as dead from `lsn` on. Returns whether there was a living one; there being none is no error, so
    /// that changes can be applied again.
    ///
    /// The node stays in the graph, and is walked through, until [`Graph::repair`] takes it out.
    pub fn delete(&self, slot: Slot, lsn: Lsn) -> bool {
        self.thaw();
        let _open = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let Some(node) = self.slots().remove(slot) else { return false };
        self.living.fetch_sub(1, Ordering::Relaxed);
        self.bury(&self.view(), node, lsn);
        true
    }

    fn bury(&self, view: &View, node: Node, lsn: Lsn) {
        view.kill(node, lsn);
        self.growth().dead.push(node);
    }
}
