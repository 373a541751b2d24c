//! Diversity: hits that are not all alike.

use agentdb_types::{Code, Error, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ranking::Candidate;
use super::searcher::{Scale, Searcher};

/// How much relevance counts against diversity if the request does not say.
const LAMBDA: f64 = 0.5;
/// Records that are chosen from if the request does not say.
const CANDIDATES: usize = 100;

/// How hits are chosen that are not all alike: by maximal marginal relevance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Diversity {
    /// How much relevance counts, 0 to 1, against being unlike the hits before; 1 leaves the order as it is; 0.5 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f64>,
    /// How many of the best records are chosen from: 1 to 1,000, and no others are found; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<usize>,
    /// Which of the named vectors tell how alike records are; those that the search compares with if not given, else those without
    /// a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using: Option<String>,
}

/// Why a hit was chosen: its worth is `lambda * relevance - (1 - lambda) * similarity`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diverse {
    /// Its score among the candidates, the best being 1, the worst 0.
    pub relevance: f64,
    /// The cosine of its vector to that of the most similar hit before; 0 for the first, and for a record without a vector.
    pub similarity: f64,
    /// Its worth.
    pub worth: f64,
}

impl Diversity {
    pub(super) fn candidates(&self) -> usize {
        self.candidates.unwrap_or(CANDIDATES)
    }

    /// Refuses what is out of range.
    pub(super) fn check(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.lambda.unwrap_or(LAMBDA)) {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "diversity.lambda")
                .with("reason", "it is a number from 0 to 1"));
        }
        check_candidates("diversity.candidates", self.candidates(), limits::DIVERSITY_CANDIDATES)
    }

    /// The first so many of the candidates, in the order in which they are chosen. `using` names the vectors that the search
    /// compares with.
    pub(super) fn order(
        &self,
        searcher: &Searcher<'_>,
        ranked: Vec<Candidate>,
        scale: Scale,
        using: Option<&str>,
        take: usize,
    ) -> Result<Vec<Candidate>> {
        let space =
            searcher.space(self.using.as_deref().or(using)).map_err(|err| err.in_part("diversity"))?;
        let mut vectors = Vec::with_capacity(ranked.len());
        for candidate in &ranked {
            vectors.push(searcher.vector_of(&candidate.record, &space)?.and_then(unit));
        }
        let scores: Vec<f64> = ranked.iter().map(|found| scale.ascending(found.score)).collect();
        let mut similarity = |a: usize, b: usize| cosine(vectors[a].as_deref()?, vectors[b].as_deref()?);
        let order = diversify(&scores, self.lambda.unwrap_or(LAMBDA), take, &mut similarity);
        let mut ranked: Vec<Option<Candidate>> = ranked.into_iter().map(Some).collect();
        let chosen = order
            .into_iter()
            .filter_map(|(at, diverse)| Some(Candidate { diversity: Some(diverse), ..ranked[at].take()? }));
        Ok(chosen.collect())
    }
}

/// Refuses a number of candidates that is out of range.
pub(super) fn check_candidates(field: &str, actual: usize, limit: usize) -> Result<()> {
    if (1..=limit).contains(&actual) {
        return Ok(());
    }
    Err(Error::new(Code::CandidatesOutOfRange)
        .with("field", field)
        .with("actual", actual)
        .with("limit", limit))
}

/// A vector of length 1 in 64 bits; none of a vector without length.
fn unit(vector: Vec<f32>) -> Option<Vec<f64>> {
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    (length > 0.0).then(|| vector.iter().map(|x| f64::from(*x) / length).collect())
}

fn cosine(a: &[f64], b: &[f64]) -> Option<f64> {
    Some(a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>().clamp(-1.0, 1.0))
}

/// The order of hits by maximal marginal relevance (Carbonell and Goldstein, 1998): the next hit is the one with the
/// greatest `lambda * relevance - (1 - lambda) * similarity`, where similarity is that to the most similar hit that was
/// taken already. Relevance is brought into 0 to 1, by the best and the worst hit. `similarity` is symmetric, from -1 to 1,
/// and `None` where one of the two has no vector: they are not alike then. Of equal ones, the first comes first.
///
/// Asks for `take * scores.len()` similarities at most, of which none twice.
fn diversify(
    scores: &[f64],
    lambda: f64,
    take: usize,
    similarity: &mut dyn FnMut(usize, usize) -> Option<f64>,
) -> Vec<(usize, Diverse)> {
    let (low, high) =
        scores.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), s| (l.min(*s), h.max(*s)));
    let relevance = |at: usize| if high > low { (scores[at] - low) / (high - low) } else { 1.0 };
    let mut left: Vec<(usize, f64)> = (0..scores.len()).map(|at| (at, 0.0)).collect();
    let mut taken = Vec::with_capacity(take.min(scores.len()));
    while taken.len() < take && !left.is_empty() {
        let worth = |(at, alike): &(usize, f64)| lambda * relevance(*at) - (1.0 - lambda) * alike;
        let mut best = 0;
        for at in 1..left.len() {
            if worth(&left[at]) > worth(&left[best]) {
                best = at;
            }
        }
        let chosen = left.remove(best);
        let (next, alike) = chosen;
        let first = taken.is_empty();
        taken.push((next, Diverse { relevance: relevance(next), similarity: alike, worth: worth(&chosen) }));
        for (at, alike) in &mut left {
            let found = similarity(*at, next).unwrap_or(0.0);
            *alike = if first { found } else { alike.max(found) };
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(scores: &[f64], lambda: f64, alike: &mut dyn FnMut(usize, usize) -> Option<f64>) -> Vec<usize> {
        diversify(scores, lambda, 3, alike).into_iter().map(|(at, _)| at).collect()
    }

    #[test]
    fn a_copy_of_the_first_comes_after_what_is_new() {
        let (scores, places) = ([1.0, 0.99, 0.5], [0.0f64, 0.0, 1.0]);
        let mut alike = |a: usize, b: usize| Some(1.0 - (places[a] - places[b]).abs());
        assert_eq!(order(&scores, 0.5, &mut alike), [0, 2, 1]);
        assert_eq!(order(&scores, 1.0, &mut alike), [0, 1, 2]);
    }

    proptest! {
        /// Each step takes the best by the definition, computed anew.
        #[test]
        fn as_defined(scores in prop::collection::vec(-2.0..2.0f64, 0..9), lambda in 0.0..=1.0f64, seed in any::<u64>()) {
            let alike = |a: usize, b: usize| {
                let mixed = seed.wrapping_mul((a + b) as u64 + 3).wrapping_add((a * b) as u64).rotate_left(17);
                (!mixed.is_multiple_of(5)).then(|| (mixed % 1000) as f64 / 500.0 - 1.0)
            };
            let order = diversify(&scores, lambda, usize::MAX, &mut |a, b| alike(a, b));
            prop_assert_eq!(order.len(), scores.len());
            let first = diversify(&scores, lambda, 3, &mut |a, b| alike(a, b));
            prop_assert_eq!(&first[..], &order[..order.len().min(3)]);
            let (low, high) = scores.iter().fold((f64::MAX, f64::MIN), |(l, h), s| (l.min(*s), h.max(*s)));
            for (n, (taken, diverse)) in order.iter().enumerate() {
                let worth = |at: usize| {
                    let relevance = if high > low { (scores[at] - low) / (high - low) } else { 1.0 };
                    let most = order[..n].iter().map(|(o, _)| alike(at, *o).unwrap_or(0.0)).fold(f64::NEG_INFINITY, f64::max);
                    lambda * relevance - (1.0 - lambda) * if n == 0 { 0.0 } else { most }
                };
                prop_assert_eq!(diverse.worth, worth(*taken));
                for (other, _) in &order[n..] {
                    prop_assert!(worth(*taken) >= worth(*other));
                }
            }
        }
    }
}
