//! BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009), such that the same
//! entries give the same bits wherever they lie and in whatever order terms come.
//!
//! The share of a term is computed in `f32` by operations each of which is monotone, so that the share of an impact is a
//! bound of those that it stands for. Shares are added as integers: the sum does not depend on the order, and a sum of
//! bounds is a bound.

use agentdb_types::Lsn;

use crate::index::State;
use crate::norm;
use crate::part::Totals;

/// How soon further occurrences of a term count for less.
pub const K1: f32 = 1.2;
/// How much the length of a field counts.
pub const B: f32 = 0.75;

/// The statistics of what is visible at a snapshot.
pub(crate) struct Statistics {
    totals: Totals,
    fields: Vec<[f32; 256]>,
}

impl Statistics {
    pub(crate) fn new(state: &State, at: Lsn, fields: usize) -> Self {
        let totals = state.totals(at, fields);
        let table = |total: &u64| {
            let average = (*total).max(1) as f64 / totals.entries.max(1) as f64;
            std::array::from_fn(|n| {
                let relative = f64::from(norm::length(n as u8)) / average;
                (f64::from(K1) * (1.0 - f64::from(B) + f64::from(B) * relative)) as f32
            })
        };
        let fields = totals.lengths.iter().map(table).collect();
        Statistics { totals, fields }
    }

    /// How rare a term is that so many entries have; above 0.
    pub(crate) fn idf(&self, frequency: u64) -> f64 {
        let (n, f) = (self.totals.entries as f64, frequency as f64);
        (1.0 + (n - f + 0.5) / (f + 0.5)).ln()
    }

    /// For each norm, what the frequency is weighed against.
    pub(crate) fn saturation(&self, field: usize) -> &[f32; 256] {
        &self.fields[field]
    }
}

/// The share of a term: `weight * frequency / (frequency + saturation)`, written so that it rises with the frequency
/// even where numbers are rounded. The weight has the factor k1 + 1 in it.
#[inline]
pub(crate) fn share(weight: f32, saturation: f32, frequency: u32) -> f32 {
    weight / (1.0 + saturation * inverse(frequency))
}

/// The share of a frequency that an impact gives: 255 stands for any number from there on.
pub(crate) fn share_bound(weight: f32, saturation: f32, frequency: u8) -> f32 {
    if frequency == u8::MAX { weight } else { share(weight, saturation, u32::from(frequency)) }
}

#[inline]
fn inverse(frequency: u32) -> f32 {
    const INVERSES: [f32; 64] = {
        let mut table = [1.0; 64];
        let mut at = 1;
        while at < 64 {
            table[at] = 1.0 / at as f32;
            at += 1;
        }
        table
    };
    match INVERSES.get(frequency as usize) {
        Some(inverse) => *inverse,
        None => 1.0 / frequency as f32,
    }
}

/// Between shares and the integers in which they are added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale(f64);

impl Scale {
    /// A power of two such that the sum of so many shares, none above the greatest weight, fits into 62 bits.
    pub(crate) fn new(shares: usize, greatest: f32) -> Self {
        let bits =
            f64::from(greatest).log2().floor() as i32 + 1 + (usize::BITS - shares.leading_zeros()) as i32;
        Scale(2f64.powi(62 - bits))
    }

    #[inline]
    pub(crate) fn fixed(self, share: f32) -> i64 {
        (f64::from(share) * self.0) as i64
    }

    #[inline]
    pub(crate) fn score(self, sum: i64) -> f32 {
        (sum as f64 / self.0) as f32
    }

    /// A sum such that whatever is below it gives a lower score than this one.
    pub(crate) fn floor(self, score: f32) -> i64 {
        // A score stands for the sums that are rounded to it: from half way to the score below it.
        let below = f64::from(score.next_down());
        ((below + (f64::from(score) - below) * 0.5) * self.0).floor() as i64 - 1
    }
}
