//! A query made ready for a state: analysed, expanded, weighed. What a plan says depends on what is visible alone.

use crate::bm25::{Scale, Statistics};

/// Conditions over the leaves of a plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// Entries with a term.
    Leaf(usize),
    /// Entries with one of some terms of a field; the best share counts.
    Best(Vec<usize>),
    /// Entries with words at their places.
    Phrase(Phrase),
    /// Entries for which all of `must` hold, none of `must_not`, and `least` of `should`.
    Boolean(Boolean),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Boolean {
    pub(crate) must: Vec<Node>,
    pub(crate) should: Vec<Node>,
    pub(crate) must_not: Vec<Node>,
    pub(crate) least: usize,
}

/// Words and their places in the phrase.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Phrase {
    /// The leaf that tells the field and the weight.
    pub(crate) leaf: usize,
    /// The number of each word in each part, and its place.
    pub(crate) words: Vec<(Numbers, u32)>,
    pub(crate) slop: u32,
}

/// The number of a term in each part of the state, where the part has it.
pub(crate) type Numbers = Vec<Option<u32>>;

/// A term that is scored, or a phrase that is scored like one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leaf {
    pub(crate) field: usize,
    /// The term; of a phrase, its words.
    pub(crate) term: String,
    pub(crate) weight: f32,
    /// Visible entries that have the term; none for a phrase.
    pub(crate) frequency: Option<u64>,
    /// Empty for a phrase.
    pub(crate) numbers: Numbers,
}

pub(crate) struct Plan {
    pub(crate) root: Node,
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) statistics: Statistics,
    pub(crate) scale: Scale,
    /// Paths of the texts in which no field finds a term.
    pub(crate) empty: Vec<String>,
}

impl Node {
    /// What finds nothing.
    pub(crate) fn nothing() -> Node {
        Node::any(Vec::new())
    }

    /// One of these holds; those that say the same of others are taken in.
    pub(crate) fn any(nodes: Vec<Node>) -> Node {
        let mut should = Vec::with_capacity(nodes.len());
        for node in nodes {
            match node {
                Node::Boolean(b) if b.must.is_empty() && b.must_not.is_empty() && b.least == 1 => {
                    should.extend(b.should);
                }
                node => should.push(node),
            }
        }
        if should.len() == 1 {
            return should.remove(0);
        }
        Node::Boolean(Boolean { should, least: 1, ..Boolean::default() })
    }

    /// So many of these hold.
    pub(crate) fn at_least(least: usize, mut nodes: Vec<Node>) -> Node {
        match (least, nodes.len()) {
            (_, 1) => nodes.remove(0),
            (0 | 1, _) => Node::any(nodes),
            (least, len) if least >= len => Node::Boolean(Boolean { must: nodes, ..Boolean::default() }),
            (least, _) => Node::Boolean(Boolean { should: nodes, least, ..Boolean::default() }),
        }
    }

    /// The leaves, if one of them suffices.
    pub(crate) fn as_union(&self) -> Option<Vec<usize>> {
        let leaf = |node: &Node| match node {
            Node::Leaf(leaf) => Some(*leaf),
            _ => None,
        };
        match self {
            Node::Leaf(leaf) => Some(vec![*leaf]),
            Node::Boolean(b) if b.must.is_empty() && b.must_not.is_empty() && b.least == 1 => {
                b.should.iter().map(leaf).collect()
            }
            _ => None,
        }
    }
}
