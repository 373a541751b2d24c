//! Any condition over the entries of a part, entry by entry.

use super::leaf::Scorer;
use super::phrase::Phrase;
use crate::cursor::END;
use crate::explain::Found;
use crate::plan::{Node, Plan};
use crate::segment::Segment;

/// A condition on its way through a part.
pub(crate) enum Tree<'a> {
    Nothing,
    Leaf(Scorer<'a>),
    Best(Best),
    Phrase(Phrase<'a>),
    Boolean(Boolean<'a>),
}

/// The entries with one of some terms, found beforehand, with the best share and the leaf that it is of.
#[derive(Default)]
pub(crate) struct Best {
    entries: Vec<Entry>,
    at: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    doc: u32,
    share: i64,
    leaf: usize,
    frequency: u32,
    norm: u8,
}

pub(crate) struct Boolean<'a> {
    must: Vec<Tree<'a>>,
    should: Vec<Tree<'a>>,
    must_not: Vec<Tree<'a>>,
    least: usize,
    doc: u32,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(plan: &'a Plan, node: &Node, part: usize, segment: &'a Segment) -> Self {
        let trees = |nodes: &[Node]| nodes.iter().map(|n| Tree::new(plan, n, part, segment)).collect();
        match node {
            Node::Leaf(leaf) => Scorer::new(plan, *leaf, part, segment).map_or(Tree::Nothing, Tree::Leaf),
            Node::Best(leaves) => {
                let scorers = leaves.iter().filter_map(|leaf| Scorer::new(plan, *leaf, part, segment));
                Tree::Best(Best::new(scorers, segment.len()))
            }
            Node::Phrase(phrase) => Tree::Phrase(Phrase::new(plan, phrase, part, segment)),
            Node::Boolean(b) => Tree::Boolean(Boolean {
                must: trees(&b.must),
                should: trees(&b.should),
                must_not: trees(&b.must_not),
                least: b.least,
                doc: 0,
            }),
        }
    }

    /// To the first entry from `target` on for which the condition holds, or [`END`]. Targets never fall.
    pub(crate) fn seek(&mut self, target: u32) -> u32 {
        match self {
            Tree::Nothing => END,
            Tree::Leaf(scorer) => scorer.cursor.seek(target),
            Tree::Best(best) => best.seek(target),
            Tree::Phrase(phrase) if phrase.frequency() > 0 && phrase.doc() >= target => phrase.doc(),
            Tree::Phrase(phrase) => phrase.seek(target),
            Tree::Boolean(boolean) => boolean.seek(target),
        }
    }

    /// The score of the entry that was sought last, which the condition holds for.
    pub(crate) fn sum(&mut self) -> i64 {
        match self {
            Tree::Nothing => 0,
            Tree::Leaf(scorer) => scorer.share(),
            Tree::Best(best) => best.entries[best.at].share,
            Tree::Phrase(phrase) => phrase.share(),
            Tree::Boolean(boolean) => boolean.sum(),
        }
    }

    /// Tells what the score is made of.
    pub(crate) fn explain(&mut self, found: &mut Vec<Found>) {
        match self {
            Tree::Nothing => {}
            Tree::Leaf(s) => {
                let (share, frequency, norm) = (s.share(), s.cursor.frequency(), s.cursor.norm());
                found.push(Found { leaf: s.leaf, share, frequency, norm });
            }
            Tree::Best(best) => {
                let Entry { share, leaf, frequency, norm, .. } = best.entries[best.at];
                found.push(Found { leaf, share, frequency, norm });
            }
            Tree::Phrase(p) => {
                let (share, frequency, norm) = (p.share(), p.frequency(), p.norm());
                found.push(Found { leaf: p.leaf, share, frequency, norm });
            }
            Tree::Boolean(boolean) => boolean.at_doc(|tree| tree.explain(found)),
        }
    }
}

impl Best {
    fn new<'a>(scorers: impl Iterator<Item = Scorer<'a>>, entries: usize) -> Self {
        // For each entry of the part its number among those found.
        let mut places = vec![u32::MAX; entries];
        let mut found: Vec<Entry> = Vec::new();
        for mut scorer in scorers {
            while scorer.cursor.doc() != END {
                let (doc, share, frequency) =
                    (scorer.cursor.doc(), scorer.share(), scorer.cursor.frequency());
                let entry = Entry { doc, share, leaf: scorer.leaf, frequency, norm: scorer.cursor.norm() };
                match found.get_mut(places[doc as usize] as usize) {
                    Some(known) if known.share < share => *known = entry,
                    Some(_) => {}
                    None => {
                        places[doc as usize] = found.len() as u32;
                        found.push(entry);
                    }
                }
                scorer.cursor.advance();
            }
        }
        let ordered = places.iter().filter_map(|place| found.get(*place as usize)).copied();
        Best { entries: ordered.collect(), at: 0 }
    }

    fn seek(&mut self, target: u32) -> u32 {
        self.at += self.entries[self.at..].partition_point(|e| e.doc < target);
        self.entries.get(self.at).map_or(END, |e| e.doc)
    }
}

impl<'a> Boolean<'a> {
    fn seek(&mut self, mut target: u32) -> u32 {
        loop {
            let doc = if self.must.is_empty() { self.some(target) } else { self.all(target) };
            self.doc = doc;
            if doc == END || !self.must_not.iter_mut().any(|tree| tree.seek(doc) == doc) {
                return doc;
            }
            target = doc + 1;
        }
    }

    fn all(&mut self, mut target: u32) -> u32 {
        'next: loop {
            for tree in &mut self.must {
                let doc = tree.seek(target);
                if doc == END {
                    return END;
                }
                if doc != target {
                    target = doc;
                    continue 'next;
                }
            }
            return target;
        }
    }

    fn some(&mut self, mut target: u32) -> u32 {
        loop {
            let (mut first, mut count) = (END, 0);
            for tree in &mut self.should {
                let doc = tree.seek(target);
                if doc < first {
                    (first, count) = (doc, 0);
                }
                count += usize::from(doc == first);
            }
            if first == END || count >= self.least {
                return first;
            }
            target = first + 1;
        }
    }

    fn sum(&mut self) -> i64 {
        let mut sum = 0;
        self.at_doc(|tree| sum += tree.sum());
        sum
    }

    /// Visits the conditions that hold for the entry, and count.
    fn at_doc(&mut self, mut visit: impl FnMut(&mut Tree<'a>)) {
        let doc = self.doc;
        self.must.iter_mut().for_each(&mut visit);
        for tree in &mut self.should {
            if tree.seek(doc) == doc {
                visit(tree);
            }
        }
    }
}
