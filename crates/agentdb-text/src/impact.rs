//! Impacts: the pairs of length and frequency in a block among which its best score is, whatever the statistics are.
//!
//! BM25 rises with the frequency and falls with the length, so that only pairs that no other pair beats in both can be
//! the best: the frontier. Bounds from it are exact for every average length, as Lucene's are (Grand et al., "From
//! MAXSCORE to Block-Max WAND: The Story of How Lucene Significantly Improved Query Evaluation Performance", ECIR 2020).

/// A length, as a norm, and a frequency; 255 stands for 255 and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Impact {
    pub(crate) norm: u8,
    pub(crate) frequency: u8,
}

impl Impact {
    pub(crate) fn new(norm: u8, frequency: u32) -> Self {
        Impact { norm, frequency: frequency.min(255) as u8 }
    }
}

/// The pairs that no other pair beats. There are at most 255: each has another frequency, none of which is 0.
pub(crate) fn frontier(pairs: impl Iterator<Item = Impact>) -> Vec<Impact> {
    let mut pairs: Vec<Impact> = pairs.collect();
    pairs.sort_unstable_by_key(|p| (p.norm, 255 - p.frequency));
    let mut best = 0;
    pairs.retain(|pair| {
        let kept = pair.frequency > best;
        best = best.max(pair.frequency);
        kept
    });
    pairs
}
