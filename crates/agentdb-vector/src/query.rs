//! A query made ready for a scan: the fast test that finds candidates, and the score of a candidate.

use std::sync::atomic::Ordering::Relaxed;

use crate::chunk::Chunk;
use crate::rows::Rows;
use crate::{Dimension, Kernel, Metric};

/// Half the distance from 1 to the next `f32`: the relative error of one rounding.
const ROUNDING: f32 = f32::EPSILON / 2.0;
/// Norms between this and its inverse keep the `f32` arithmetic of the cosine clear of overflow and underflow.
const NORM_MIN: f64 = f64::from_bits((1023 - 100) << 52);
/// Inner products that cannot reach this in any partial sum do not overflow: 2^126.
const DOT_MAX: f32 = f32::from_bits((127 + 126) << 23);

/// Rows that are scored at once, into a buffer that stays in the first-level cache.
pub(crate) const BLOCK: usize = 256;

/// One query of one search.
///
/// The scan's `f32` arithmetic depends on the kernel, and its range is narrow. It only rules rows out: a row stays
/// a candidate if, within the error that the arithmetic can have made, its score reaches the threshold, or if the
/// arithmetic could have left its range. Candidates are scored in `f64`, the same on every CPU.
pub(crate) struct Query {
    metric: Metric,
    kernel: Kernel,
    /// The query as given, padded: scores come from this.
    exact: Rows,
    /// What the fast test multiplies with: for the cosine, the query over its norm.
    fast: Rows,
    norm: f64,
    /// The relative error of the fast arithmetic; see [`Kernel`].
    margin: f32,
    /// The absolute error from underflow.
    underflow: f32,
}

impl Query {
    /// A query that `dimension.measure` accepted, with the norm that it returned.
    pub(crate) fn new(
        kernel: Kernel,
        dimension: Dimension,
        metric: Metric,
        vector: &[f32],
        norm: f64,
    ) -> Self {
        let (exact, fast) = (Rows::new(1, dimension.stride()), Rows::new(1, dimension.stride()));
        let scaled: Vec<f32>;
        let quick = if metric == Metric::Cosine {
            scaled = vector.iter().map(|x| (f64::from(*x) / norm) as f32).collect();
            scaled.as_slice()
        } else {
            vector
        };
        // SAFETY: nobody else knows these rows yet.
        unsafe {
            exact.write(0, vector);
            fast.write(0, quick);
        }
        // The sums make n / 16 + 16 roundings; the rest is for scaling, squaring and rounding the score.
        let margin = (dimension.get() / 16 + 16 + 16) as f32 * ROUNDING;
        let underflow = dimension.get() as f32 * f32::MIN_POSITIVE;
        Query { metric, kernel, exact, fast, norm, margin, underflow }
    }

    /// The number that the fast test needs beside a stored vector of this norm.
    pub(crate) fn scale(metric: Metric, norm: f64) -> f32 {
        match metric {
            // NaN fails every comparison, so that the fast test never rules out a vector of an extreme norm.
            Metric::Cosine if (NORM_MIN..=1.0 / NORM_MIN).contains(&norm) => (1.0 / norm) as f32,
            Metric::Cosine => f32::NAN,
            // Rounded up: a bound of inner products with it must hold.
            Metric::Dot => (norm as f32).next_up(),
            Metric::Euclidean => 0.0,
        }
    }

    /// The score of one entry, as the metric defines it: finite, and never `-0.0`.
    pub(crate) fn score(&self, chunk: &Chunk, row: usize) -> f32 {
        let query = (row_of(&self.exact), self.norm);
        exact_score(self.kernel, self.metric, query, chunk.block(row, 1), || chunk.norm(row))
    }

    /// Calls `candidate` with each of `count` rows from `first` (at most [`BLOCK`]) that the threshold in force
    /// does not rule out. `candidate` returns the new threshold, if it has changed.
    pub(crate) fn scan(
        &self,
        chunk: &Chunk,
        first: usize,
        count: usize,
        threshold: &mut Option<f32>,
        mut candidate: impl FnMut(usize) -> Option<f32>,
    ) {
        let mut buffer = [0f32; BLOCK];
        let fast = &mut buffer[..count];
        let (query, rows) = (row_of(&self.fast), chunk.block(first, count));
        match self.metric {
            Metric::Cosine | Metric::Dot => self.kernel.dot_rows(query, rows, fast),
            Metric::Euclidean => self.kernel.squared_euclidean_rows(query, rows, fast),
        }
        let mut bound = threshold.map(|score| self.bound(score));
        let scales = chunk.scales(first, count);
        for (i, (fast, scale)) in fast.iter().zip(scales).enumerate() {
            if let Some(bound) = bound
                && self.ruled_out(*fast, f32::from_bits(scale.load(Relaxed)), bound)
            {
                continue;
            }
            if let Some(score) = candidate(first + i) {
                *threshold = Some(score);
                bound = Some(self.bound(score));
            }
        }
    }

    /// What [`Query::ruled_out`] compares with when the worst score kept is `score`.
    fn bound(&self, score: f32) -> f32 {
        match self.metric {
            Metric::Cosine => score - self.margin,
            Metric::Dot => score,
            // Widened; beyond `f32` it is infinite, and rules nothing out.
            Metric::Euclidean => {
                let squared = f64::from(score) * f64::from(score) * (1.0 + 4.0 * f64::from(self.margin));
                squared as f32 + self.underflow
            }
        }
    }

    /// Whether an entry surely scores worse than the threshold behind `bound`. Anything that is not a number says
    /// no.
    #[inline(always)]
    fn ruled_out(&self, fast: f32, scale: f32, bound: f32) -> bool {
        match self.metric {
            Metric::Cosine => fast * scale < bound,
            Metric::Dot => {
                let limit = self.norm as f32 * scale;
                let error = limit * self.margin + self.underflow;
                // The rounding of the score itself is part of `margin`, as |score| <= limit.
                limit < DOT_MAX && fast + error < bound
            }
            // A sum that overflowed is beyond any bound that did not.
            Metric::Euclidean => fast > bound,
        }
    }
}

/// The score of a vector for a query with this norm, as the metric defines it: finite, never `-0.0`, and the same bits on every
/// CPU and in every index. Both are of one length; zeros at the end of both change nothing. `norm` gives the vector's norm.
pub(crate) fn exact_score(
    kernel: Kernel,
    metric: Metric,
    (query, query_norm): (&[f32], f64),
    vector: &[f32],
    norm: impl FnOnce() -> f64,
) -> f32 {
    let score = match metric {
        Metric::Cosine => (kernel.exact_dot(query, vector) / (query_norm * norm())).clamp(-1.0, 1.0),
        Metric::Dot => kernel.exact_dot(query, vector),
        Metric::Euclidean => kernel.exact_squared_euclidean(query, vector).sqrt(),
    };
    (score as f32).clamp(f32::MIN, f32::MAX) + 0.0
}

fn row_of(rows: &Rows) -> &[f32] {
    // SAFETY: the query's rows are written in `new` only, before they are shared.
    unsafe { rows.block(0, 1) }
}
