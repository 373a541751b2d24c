//! Taking dead nodes out, in place: who links to one is linked with those that it led to.
//!
//! This is the deletion of FreshDiskANN (Singh et al., "FreshDiskANN: A Fast and Accurate Graph-Based ANN Index for Streaming Similarity
//! Search", 2021), in steps of a bounded number of nodes between which writers go on. Searches do not wait for any of it.
//!
//! A pass condemns the dead that no snapshot sees any more, with writers excluded: from then on nobody links to them. It
//! looks at each node once and replaces its links to condemned ones. After the last step nothing links to them but one another, a new
//! view is published, and once the searches of older views have ended (`retire.rs`) their numbers are used again.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use agentdb_types::Lsn;

use super::Graph;
use super::nodes::{NONE, Node, View};
use super::scratch::Scratch;
use super::walk::{Enough, Walk};

/// Condemned nodes that are followed, at most, to find new neighbours for one node: where a whole region has gone, there are
/// condemned ones behind condemned ones.
const FOLLOWED: usize = 32;

/// New neighbours that are considered for one node, the nearest, in multiples of the degree.
const CONSIDERED: usize = 2;

/// A repair under way.
pub(super) struct Pass {
    condemned: Vec<Node>,
    /// Which nodes have a link from one that was looked at.
    known: Vec<bool>,
    /// What the condemned neighbours of a node lead to: kept from node to node.
    found: Vec<Node>,
    /// The next node to look at, and the first that was not there when the pass began.
    next: Node,
    end: Node,
}

/// How far a repair has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Nodes that this step took out; they are taken out by the last one of a pass.
    pub removed: usize,
    /// Nodes that the pass has still to look at. When it is zero, no pass is under way.
    pub left: usize,
}

impl Graph {
    /// Does a step of a repair: begins a pass if none is under way, looks at up to `step` nodes, and ends the pass if they were
    /// the last. A pass takes out what had died at or before the `watermark` with which it began.
    ///
    /// No search may *start* at an LSN below `watermark` any more: it would miss what was taken out. A search that is
    /// running keeps the nodes that it may see. Writers wait for the time of a step, some microseconds for each node.
    pub fn repair(&self, watermark: Lsn, step: usize) -> Progress {
        self.thaw();
        let _alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let under_way = self.growth().pass.take();
        let Some(mut pass) = under_way.or_else(|| self.begin(watermark)) else {
            return Progress { removed: 0, left: 0 };
        };
        let view = self.view();
        let until = pass.end.min(pass.next.saturating_add(u32::try_from(step).unwrap_or(u32::MAX)));
        self.scratches.with(self.shape.stride, |scratch| {
            for node in (pass.next..until).filter(|node| !view.is_condemned(*node)) {
                self.mend(&view, node, &mut pass, scratch);
                view.copy_links(node, &mut scratch.links);
                for linked in &scratch.links {
                    if let Some(known) = pass.known.get_mut(*linked as usize) {
                        *known = true;
                    }
                }
            }
            if until == pass.end {
                self.adopt_orphans(&view, &pass, scratch);
            }
        });
        pass.next = until;
        let left = (pass.end - pass.next) as usize;
        let mut growth = self.growth();
        if left > 0 {
            growth.pass = Some(pass);
            return Progress { removed: 0, left };
        }
        let removed = pass.condemned.len();
        let new = View::new(self.shape, view.chunks.clone(), view.entries.clone());
        drop(view);
        self.publish(&mut growth, new, pass.condemned);
        Progress { removed, left: 0 }
    }

    /// The number of dead nodes that no repair has begun to take out.
    pub fn dead(&self) -> usize {
        self.growth().dead.len()
    }

    /// Condemns what had died at or before `watermark`, if anything had.
    fn begin(&self, watermark: Lsn) -> Option<Pass> {
        let mut growth = self.growth();
        let view = self.view();
        let gone = |node: &Node| view.died(*node).is_some_and(|died| died <= watermark);
        let (condemned, dead): (Vec<Node>, Vec<Node>) =
            std::mem::take(&mut growth.dead).into_iter().partition(gone);
        growth.dead = dead;
        if condemned.is_empty() {
            return None;
        }
        condemned.iter().for_each(|node| view.condemn(*node));
        let mut entries: Vec<Node> = Vec::with_capacity(view.entries.len());
        let mut links = Vec::new();
        for entry in view.entries.iter().copied() {
            // A neighbour takes the place of an entry point that goes.
            view.copy_links(entry, &mut links);
            links.insert(0, entry);
            let successor = links.iter().find(|n| !view.is_condemned(**n) && !entries.contains(*n));
            entries.extend(successor);
        }
        if entries.is_empty() {
            entries.extend((0..growth.next).find(|node| !view.is_condemned(*node)));
        }
        let end = growth.next;
        let new = View::new(self.shape, view.chunks.clone(), entries.into());
        drop(view);
        self.publish(&mut growth, new, Vec::new());
        Some(Pass { condemned, known: vec![false; end as usize], found: Vec::new(), next: 0, end })
    }

    /// Gives a link to each node that none was found to: those who had linked to it have gone, or chosen others.
    fn adopt_orphans(&self, view: &View, pass: &Pass, scratch: &mut Scratch) {
        let orphan = |node: &Node| !pass.known[*node as usize] && !view.is_condemned(*node);
        for node in (0..pass.end).filter(orphan) {
            view.copy_links(node, &mut scratch.chosen);
            for from in &scratch.chosen {
                self.adopt(view, *from, node, &mut scratch.links);
            }
        }
    }

    /// Replaces the links of a node to condemned ones. Writers are excluded.
    fn mend(&self, view: &View, node: Node, pass: &mut Pass, scratch: &mut Scratch) {
        let Scratch { trail, ranked, chosen, links, .. } = scratch;
        view.copy_links(node, links);
        if !links.iter().any(|linked| view.is_condemned(*linked)) {
            return;
        }
        // What stays is chosen already. `links` is a queue of condemned ones, `found` is what they lead to.
        chosen.clear();
        chosen.extend(links.iter().filter(|linked| !view.is_condemned(**linked)));
        let kept = chosen.len();
        links.retain(|linked| view.is_condemned(*linked));
        let mut found = std::mem::take(&mut pass.found);
        found.clear();
        let (neighbours, mut at) = (links.len(), 0);
        // Those behind the first ones only where these lead to too few.
        while at < neighbours
            || at < links.len().min(FOLLOWED) && chosen.len() + found.len() < self.shape.degree
        {
            for link in view.links(links[at]) {
                let linked = link.load(Ordering::Acquire);
                if linked == NONE {
                    break;
                }
                let known = if view.is_condemned(linked) { &mut *links } else { &mut found };
                if linked != node && !known.contains(&linked) && !chosen.contains(&linked) {
                    known.push(linked);
                }
            }
            at += 1;
        }
        if chosen.is_empty() && found.is_empty() {
            // Everything around has gone: it is linked anew.
            let accept = |found: Node| found != node && !view.is_condemned(found);
            Walk::from_node(view, self.codes, node).matching(trail, Enough::all(self.settings.ef), accept);
            found.extend(trail.matches.sorted().iter().map(|c| c.node()));
        }
        self.rank(view, node, &found, ranked);
        ranked.truncate(CONSIDERED * self.shape.degree);
        self.choice.extend(view, self.codes, ranked, self.shape.degree, chosen);
        pass.found = found;
        view.set_links(node, chosen);
        // The new ones link back, as they would to a node that is inserted.
        for new in &chosen[kept..] {
            view.copy_links(*new, links);
            if links.len() < self.shape.degree && !links.contains(&node) {
                links.push(node);
                view.set_links(*new, links);
            }
        }
    }
}
