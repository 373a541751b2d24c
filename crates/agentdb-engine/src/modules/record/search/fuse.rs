//! Fusion: one ranking of several.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the rankings of several queries become one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fusion {
    /// By ranks: a record gets the sum of weight / (k + rank) over the rankings that it is in, the first having rank 1
    /// (Cormack, Clarke and Buettcher, 2009).
    ReciprocalRank {
        /// How little the first ranks count more than later ones; 60 if not given.
        #[serde(default = "sixty")]
        k: f64,
    },
    /// By scores: a record gets the weighted sum of its scores, each brought into 0 to 1 first. In a ranking that it is
    /// not in, it has 0.
    Weighted {
        /// How scores are brought into 0 to 1.
        #[serde(default)]
        normalize: Normalize,
    },
}

/// How the scores of one ranking are brought into 0 to 1, better ones being higher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// The best found gets 1, the worst 0; all get 1 if they are equal.
    #[default]
    MinMax,
    /// Three standard deviations below the mean of those found become 0, as much above it 1; 0.5 if all are equal.
    Distribution,
}

fn sixty() -> f64 {
    60.0
}

impl Default for Fusion {
    fn default() -> Self {
        Fusion::ReciprocalRank { k: sixty() }
    }
}

impl Fusion {
    /// Refuses a constant that is negative or not finite.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Fusion::ReciprocalRank { k } if !(k.is_finite() && *k >= 0.0) => {
                Err(Error::new(Code::InvalidValue)
                    .with("field", "fusion.k")
                    .with("reason", "it is a finite number of 0 or more"))
            }
            _ => Ok(()),
        }
    }
}

/// What one query found, best first.
#[derive(Clone, Debug)]
pub(super) struct Ranking {
    pub(super) weight: f64,
    /// Whether a lower score is better.
    pub(super) descends: bool,
    /// Records by ordinal, with their scores.
    pub(super) hits: Vec<(u32, f32)>,
}

/// What one query adds to the score of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) query: usize,
    /// From 1.
    pub(super) rank: usize,
    pub(super) score: f32,
    pub(super) share: f64,
}

/// A record in the ranking of all: its score is the sum of the shares, in the order of the queries.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fused {
    pub(super) ordinal: u32,
    pub(super) score: f64,
    pub(super) parts: Vec<Part>,
}

/// The ranking of all, best first; equal ones in the order of `tie`.
pub(super) fn fuse(fusion: Fusion, rankings: &[Ranking], tie: &dyn Fn(u32, u32) -> Ordering) -> Vec<Fused> {
    let mut parts: BTreeMap<u32, Vec<Part>> = BTreeMap::new();
    for (query, ranking) in rankings.iter().enumerate() {
        let normal = Normal::of(fusion, ranking);
        for (at, (ordinal, score)) in ranking.hits.iter().enumerate() {
            let share = ranking.weight * normal.share(at + 1, *score);
            parts.entry(*ordinal).or_default().push(Part { query, rank: at + 1, score: *score, share });
        }
    }
    let mut fused: Vec<Fused> = parts
        .into_iter()
        .map(|(ordinal, parts)| Fused { ordinal, score: parts.iter().map(|part| part.share).sum(), parts })
        .collect();
    fused.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| tie(a.ordinal, b.ordinal)));
    fused
}

/// What turns a rank and a score into a share, before the weight.
enum Normal {
    Ranks(f64),
    /// The score that gets 0, and the way from there to the one that gets 1; none if all are equal.
    Scores(f64, f64, f64),
}

impl Normal {
    fn of(fusion: Fusion, ranking: &Ranking) -> Normal {
        let normalize = match fusion {
            Fusion::ReciprocalRank { k } => return Normal::Ranks(k),
            Fusion::Weighted { normalize } => normalize,
        };
        let scores = || ranking.hits.iter().map(|(_, score)| f64::from(*score));
        let (low, high) = match normalize {
            Normalize::MinMax => {
                scores().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), s| (low.min(s), high.max(s)))
            }
            Normalize::Distribution => {
                let count = ranking.hits.len().max(1) as f64;
                let mean = scores().sum::<f64>() / count;
                let variance = scores().map(|s| (s - mean) * (s - mean)).sum::<f64>() / count;
                (mean - 3.0 * variance.sqrt(), mean + 3.0 * variance.sqrt())
            }
        };
        let equal = if normalize == Normalize::MinMax { 1.0 } else { 0.5 };
        if ranking.descends {
            Normal::Scores(high, low - high, equal)
        } else {
            Normal::Scores(low, high - low, equal)
        }
    }

    fn share(&self, rank: usize, score: f32) -> f64 {
        match *self {
            Normal::Ranks(k) => 1.0 / (k + rank as f64),
            Normal::Scores(_, 0.0, equal) => equal,
            Normal::Scores(zero, way, _) => ((f64::from(score) - zero) / way).clamp(0.0, 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranking(weight: f64, descends: bool, hits: &[(u32, f32)]) -> Ranking {
        Ranking { weight, descends, hits: hits.to_vec() }
    }

    #[test]
    fn ranks_and_scores_by_hand() {
        let lists =
            [ranking(1.0, false, &[(7, 3.0), (8, 2.0), (9, 1.0)]), ranking(2.0, true, &[(9, 0.5), (7, 2.5)])];
        let by_rank = fuse(Fusion::ReciprocalRank { k: 60.0 }, &lists, &|a, b| a.cmp(&b));
        let mut expected: Vec<(u32, f64)> =
            vec![(7, 1.0 / 61.0 + 2.0 / 62.0), (9, 1.0 / 63.0 + 2.0 / 61.0), (8, 1.0 / 62.0)];
        expected.sort_by(|a, b| b.1.total_cmp(&a.1));
        assert_eq!(by_rank.iter().map(|f| (f.ordinal, f.score)).collect::<Vec<_>>(), expected);
        let weighted = Fusion::Weighted { normalize: Normalize::MinMax };
        let by_score = fuse(weighted, &lists, &|a, b| a.cmp(&b));
        let scores: Vec<_> = by_score.iter().map(|f| (f.ordinal, f.score)).collect();
        assert_eq!(scores, [(9, 2.0), (7, 1.0), (8, 0.5)]);
        assert_eq!(by_score[0].parts.len(), 2);
        // One hit, or equal ones: nothing is divided by zero.
        for normalize in [Normalize::MinMax, Normalize::Distribution] {
            let equal = [ranking(1.0, false, &[(1, 2.0), (2, 2.0)])];
            let fused = fuse(Fusion::Weighted { normalize }, &equal, &|a, b| b.cmp(&a));
            assert_eq!(fused.iter().map(|f| f.ordinal).collect::<Vec<_>>(), [2, 1]);
            assert!(fused.iter().all(|f| f.score.is_finite()));
        }
    }

    proptest! {
        /// Every record of every ranking is there once, in order, and its shares sum to its score.
        #[test]
        fn nothing_is_lost(
            lists in prop::collection::vec((0.0..3.0f64, any::<bool>(), prop::collection::vec(-5.0..5.0f32, 0..12)), 0..4),
            method in 0..3,
        ) {
            let fusion = match method {
                0 => Fusion::ReciprocalRank { k: 1.0 },
                1 => Fusion::Weighted { normalize: Normalize::MinMax },
                _ => Fusion::Weighted { normalize: Normalize::Distribution },
            };
            let lists: Vec<Ranking> = lists
                .into_iter()
                .map(|(weight, descends, mut scores)| {
                    scores.sort_by(|a, b| if descends { a.total_cmp(b) } else { b.total_cmp(a) });
                    let hits = scores.into_iter().enumerate().map(|(n, s)| (n as u32 * 7 % 13, s)).collect();
                    Ranking { weight, descends, hits }
                })
                .collect();
            let fused = fuse(fusion, &lists, &|a, b| a.cmp(&b));
            for pair in fused.windows(2) {
                let order = pair[1].score.total_cmp(&pair[0].score).then(pair[0].ordinal.cmp(&pair[1].ordinal));
                prop_assert!(order.is_lt());
            }
            for (query, list) in lists.iter().enumerate() {
                for (at, (ordinal, score)) in list.hits.iter().enumerate() {
                    let found = fused.iter().find(|f| f.ordinal == *ordinal).unwrap();
                    let part = found.parts.iter().find(|p| p.query == query && p.rank == at + 1).unwrap();
                    prop_assert_eq!(part.score, *score);
                    prop_assert!((-1e-9..=list.weight + 1e-9).contains(&part.share));
                }
            }
            for found in &fused {
                prop_assert_eq!(found.score, found.parts.iter().map(|p| p.share).sum::<f64>());
            }
        }
    }
}
