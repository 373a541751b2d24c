//! What a score is made of.

use agentdb_types::{Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compile::compile;
use crate::cursor::END;
use crate::eval::Tree;
use crate::norm;
use crate::plan::Plan;
use crate::query::Query;
use crate::{Slot, TextIndex};

/// Why an entry is found, or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The score, as [`TextIndex::search`] gives it; none if the query does not find the entry, or it is not visible.
    pub score: Option<f32>,
    /// What the score is the sum of.
    pub shares: Vec<Share>,
    /// The paths of the parts of the query whose text has no terms, being stop words or signs alone: they find nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub empty: Vec<String>,
}

/// What a term adds to a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    /// The name of the field.
    pub field: String,
    /// The term, or the words of a phrase.
    pub term: String,
    /// How often the field has the term.
    pub frequency: u32,
    /// The length of the field in terms, as far as one byte holds it: exact to 40, within an eighth above.
    pub length: u32,
    /// How many visible entries have the term in the field; none for a phrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// The greatest share that the term could have: weight, boost, rarity and k1 + 1 multiplied.
    pub weight: f32,
    /// The share.
    pub score: f32,
}

/// The share of a leaf.
pub(crate) struct Found {
    pub(crate) leaf: usize,
    pub(crate) share: i64,
    pub(crate) frequency: u32,
    pub(crate) norm: u8,
}

impl TextIndex {
    /// What the score of an entry is made of, by field and term, at snapshot `at`.
    ///
    /// # Errors
    /// As [`TextIndex::search`].
    pub fn explain(&self, query: &Query, slot: Slot, at: Lsn) -> Result<Explanation> {
        let state = self.state_at(at)?;
        let plan = compile(&self.fields, &state, at, query)?;
        let mut explanation = Explanation { score: None, shares: Vec::new(), empty: plan.empty.clone() };
        for (number, part) in state.parts.iter().enumerate() {
            let segment = &*part.segment;
            let visible = |doc: &u32| segment.slots[*doc as usize] == slot && segment.visible(*doc, at);
            let Some(doc) = (0..segment.len() as u32).find(visible) else { continue };
            let mut tree = Tree::new(&plan, &plan.root, number, segment);
            if tree.seek(doc) == doc && doc != END {
                let mut found = Vec::new();
                explanation.score = Some(plan.scale.score(tree.sum()));
                tree.explain(&mut found);
                explanation.shares = found.into_iter().map(|f| self.share(&plan, f)).collect();
            }
            break;
        }
        Ok(explanation)
    }

    /// The score of an entry at snapshot `at`, as [`TextIndex::search`] gives it; none if the query does not find it.
    ///
    /// # Errors
    /// As [`TextIndex::search`].
    pub fn score_of(&self, query: &Query, slot: Slot, at: Lsn) -> Result<Option<f32>> {
        Ok(self.explain(query, slot, at)?.score)
    }

    fn share(&self, plan: &Plan, found: Found) -> Share {
        let leaf = &plan.leaves[found.leaf];
        Share {
            field: self.fields[leaf.field].name.clone(),
            term: leaf.term.clone(),
            frequency: found.frequency,
            length: norm::length(found.norm),
            entries: leaf.frequency,
            weight: leaf.weight,
            score: plan.scale.score(found.share),
        }
    }
}
