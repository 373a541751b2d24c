//! Best-first walks over the links, from the entry points towards a query's code.
//!
//! The walk is the search of one layer of HNSW (Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using
//! Hierarchical Navigable Small World graphs", TPAMI 2018), and equally the greedy search of Vamana (Subramanya et al., "DiskANN",
//! NeurIPS 2019). It knows codes alone: it does *not* score, and asks who may be found only where a predicate is given.
//!
//! What bounds it is memory: of a search of GloVe, a third of the time goes into waiting for codes, a seventh into waiting for links
//! (`perf annotate`), and codes on huge pages make it a quarter faster. The arithmetic of a code takes some nanoseconds.

use std::cmp::Reverse;
use std::sync::atomic::{Ordering, fence};

use super::batch::{Batch, DEGREE_MAX};
use super::candidates::Candidate;
use super::nodes::{NONE, Node, View};
use super::scratch::Trail;
use crate::codes::CodeKernel;

/// What a walk has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Nodes whose links were followed.
    pub(super) expanded: usize,
    /// Codes that were compared.
    pub(super) compared: usize,
    /// Whether the walk ended at its limit.
    pub(super) gave_up: bool,
}

/// When a walk that collects matches has enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Enough {
    /// Matches, at most.
    pub(super) ef: usize,
    /// Matches, at least, where few of the nodes on the way match.
    pub(super) least: usize,
    /// Codes that are compared before the walk gives up, about.
    pub(super) most: usize,
}

impl Enough {
    /// As many as `ef` says, whatever it takes.
    pub(super) fn all(ef: usize) -> Self {
        Enough { ef, least: ef, most: usize::MAX }
    }

    /// How many matches are enough when `accepted` of `asked` nodes on the way matched.
    ///
    /// Of the nearest *n* matches to be found, the *n*-th is as far off as the `n / share` nearest of all nodes, so that a walk that has
    /// kept `n` of them has looked about as widely as one without a filter that has kept `n / share`. Fewer matches than `ef` reach the
    /// recall of `ef`, the fewer the smaller the share; its square root is what measurements give.
    #[inline]
    fn wanted(&self, accepted: usize, asked: usize) -> usize {
        if self.least >= self.ef {
            return self.ef;
        }
        let share = accepted as f32 / asked.max(1) as f32;
        ((self.ef as f32 * share.sqrt()) as usize).clamp(self.least, self.ef)
    }
}

/// A walk of one query over one view.
pub(super) struct Walk<'a> {
    pub(super) view: &'a View,
    pub(super) kernel: CodeKernel,
    /// The code of what is looked for, and its tail.
    pub(super) code: &'a [u8],
    pub(super) tail: u32,
}

impl<'a> Walk<'a> {
    /// A walk towards a node of the view.
    pub(super) fn from_node(view: &'a View, kernel: CodeKernel, node: Node) -> Self {
        // SAFETY: a code has this many bytes. It was written before the node could be found, and is not again while the view is
        // held, which the walk borrows.
        let code = unsafe { std::slice::from_raw_parts(view.code(node), view.shape.stride) };
        Walk { view, kernel, code, tail: view.tail(node) }
    }

    /// Walks until the `ef` nearest nodes that were met are all expanded. They are in `trail.candidates` then.
    pub(super) fn nearest(&self, trail: &mut Trail, ef: usize) -> Work {
        let mut work = Work::default();
        let mut batch = Batch::new();
        trail.candidates.reset(ef);
        trail.visited.reset(self.view.capacity());
        self.enter(trail, &mut batch, |trail, found| {
            work.compared += 1;
            trail.candidates.offer(found);
        });
        while let Some(nearest) = trail.candidates.expand() {
            self.gather(nearest.node(), trail, &mut batch);
            if let Some(next) = trail.candidates.peek() {
                self.view.prefetch_links(next.node());
            }
            self.compare(&mut batch);
            work.expanded += 1;
            work.compared += batch.len();
            let mut bound = trail.candidates.bound();
            for found in batch.found() {
                if found.distance() < bound {
                    if let Some(0..2) = trail.candidates.offer(found) {
                        self.view.prefetch_links(found.node());
                    }
                    bound = trail.candidates.bound();
                }
            }
        }
        work
    }

    /// Walks until it has enough of the nearest nodes that `accept` accepts, as far as it can tell: until what is left to expand is
    /// farther than all of them. They are in `trail.matches` then. `accept` is asked about each node at most once.
    pub(super) fn matching(&self, trail: &mut Trail, enough: Enough, accept: impl Fn(Node) -> bool) -> Work {
        let mut work = Work::default();
        let mut batch = Batch::new();
        trail.matches.reset(enough.ef);
        trail.frontier.clear();
        trail.visited.reset(self.view.capacity());
        let (mut asked, mut accepted) = (0usize, 0usize);
        let mut take = |trail: &mut Trail, found: Candidate| {
            if found.distance() < trail.matches.bound() {
                trail.frontier.push(Reverse(found));
                asked += 1;
                if accept(found.node()) {
                    accepted += 1;
                    trail.matches.offer(found);
                }
            }
            enough.wanted(accepted, asked)
        };
        self.enter(trail, &mut batch, |trail, found| {
            work.compared += 1;
            take(trail, found);
        });
        let mut wanted = enough.ef;
        while let Some(Reverse(nearest)) = trail.frontier.pop() {
            if nearest.distance() >= trail.matches.bound_of(wanted) {
                break;
            }
            if work.compared >= enough.most {
                work.gave_up = true;
                break;
            }
            self.gather(nearest.node(), trail, &mut batch);
            if let Some(Reverse(next)) = trail.frontier.peek() {
                self.view.prefetch_links(next.node());
            }
            self.compare(&mut batch);
            work.expanded += 1;
            work.compared += batch.len();
            for found in batch.found() {
                wanted = take(trail, found);
            }
        }
        work
    }

    /// Walks over nodes that `accept` accepts, and no others, from those in `trail.matches` towards the code: until the `ef` nearest that
    /// were met are all expanded. They are in `trail.matches` then. The neighbours of a neighbour that is not accepted stand in for it
    /// (ACORN-1: Patel et al., "ACORN: Performant and Predicate-Agnostic Search Over Vector Embeddings and Structured Data", SIGMOD 2024).
    pub(super) fn inside(&self, trail: &mut Trail, ef: usize, accept: impl Fn(Node) -> bool) -> Work {
        let mut work = Work::default();
        let mut batch = Batch::new();
        trail.visited.reset(self.view.capacity());
        trail.candidates.reset(ef);
        for seed in trail.matches.sorted() {
            if trail.visited.insert(seed.node()) {
                trail.visited.note(&[seed.node()]);
                trail.candidates.offer(*seed);
            }
        }
        while let Some(nearest) = trail.candidates.expand() {
            self.gather_accepted(nearest.node(), trail, &mut batch, &accept);
            self.compare(&mut batch);
            work.expanded += 1;
            work.compared += batch.len();
            for found in batch.found() {
                trail.candidates.offer(found);
            }
        }
        std::mem::swap(&mut trail.candidates, &mut trail.matches);
        work
    }

    /// Fills the batch with nodes that are accepted and were not met before: neighbours of `node`, and of those of them that are not
    /// accepted, until there are as many as a node has links.
    fn gather_accepted(
        &self,
        node: Node,
        trail: &mut Trail,
        batch: &mut Batch,
        accept: &impl Fn(Node) -> bool,
    ) {
        batch.clear();
        let mut refused = [NONE; DEGREE_MAX];
        let mut count = 0;
        for linked in self.linked(node) {
            if trail.visited.insert(linked) {
                trail.visited.note(&[linked]);
                if accept(linked) {
                    batch.push(self.view, linked);
                } else {
                    self.view.prefetch_links(linked);
                    refused[count] = linked;
                    count += 1;
                }
            }
        }
        for refused in &refused[..count] {
            for linked in self.linked(*refused) {
                if batch.len() >= self.view.shape.degree {
                    return;
                }
                // One that is refused here may be a neighbour of an accepted one later, and stand aside for its neighbours then.
                if accept(linked) && trail.visited.insert(linked) {
                    trail.visited.note(&[linked]);
                    batch.push(self.view, linked);
                }
            }
        }
    }

    /// The nodes that a node links to and that the view has, each after an acquire, so that its code may be read.
    fn linked(&self, node: Node) -> impl Iterator<Item = Node> {
        let links = self.view.links(node).iter().map(|link| link.load(Ordering::Acquire));
        links.take_while(|linked| *linked != NONE).filter(|linked| self.view.has(*linked))
    }

    /// Compares the nodes that `each` gives, and keeps the nearest `ef` that `accept` accepts in `trail.matches`.
    pub(super) fn among(
        &self,
        trail: &mut Trail,
        ef: usize,
        nodes: impl FnOnce(&mut dyn FnMut(Node)),
        accept: impl Fn(Node) -> bool,
    ) -> Work {
        let mut work = Work::default();
        let mut batch = Batch::new();
        trail.matches.reset(ef);
        let mut finish = |batch: &mut Batch| {
            self.compare(batch);
            work.compared += batch.len();
            for found in batch.found() {
                if found.distance() < trail.matches.bound() && accept(found.node()) {
                    trail.matches.offer(found);
                }
            }
            batch.clear();
        };
        nodes(&mut |node| {
            if self.view.has(node) {
                batch.push(self.view, node);
                if batch.len() == DEGREE_MAX {
                    finish(&mut batch);
                }
            }
        });
        finish(&mut batch);
        work
    }

    /// Compares the entry points.
    fn enter(&self, trail: &mut Trail, batch: &mut Batch, mut each: impl FnMut(&mut Trail, Candidate)) {
        for entries in self.view.entries.chunks(DEGREE_MAX) {
            batch.clear();
            for entry in entries.iter().copied().filter(|entry| self.view.has(*entry)) {
                if trail.visited.insert(entry) {
                    batch.push(self.view, entry);
                }
            }
            trail.visited.note(batch.nodes());
            self.compare(batch);
            batch.found().for_each(|found| each(trail, found));
        }
    }

    /// Fills the batch with the nodes that `node` links to and that were not met before.
    #[inline(always)]
    fn gather(&self, node: Node, trail: &mut Trail, batch: &mut Batch) {
        batch.clear();
        for link in self.view.links(node) {
            let linked = link.load(Ordering::Relaxed);
            if linked == NONE {
                break;
            }
            if self.view.has(linked) && trail.visited.insert(linked) {
                batch.push(self.view, linked);
            }
        }
        // Pairs with the release of `View::set_links`: the codes of the nodes found are read after this.
        fence(Ordering::Acquire);
        trail.visited.note(batch.nodes());
    }

    fn compare(&self, batch: &mut Batch) {
        batch.compare(self.view, self.kernel, (self.code, self.tail));
    }
}
