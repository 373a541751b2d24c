//! Eight-bit codes of vectors, whose integer distance orders as the metric does.
//!
//! Every metric becomes the Euclidean distance of codes: a vector is centred on the mean of a sample, and each component is
//! rounded to one of 256 steps of one width. One width for all components keeps the distance of two codes a plain sum of
//! squares of integers: it needs no query-side tables, it is the same number on every CPU, and stored codes can be compared
//! with one another as they lie, which the building of a graph does most of the time.
//!
//! * *Euclidean*: as it is; centring does not change a difference.
//! * *Cosine*: the vectors are divided by their norms first.
//! * *Dot*: an inner product is no distance, and is made one number with the others by `2 a·b = a² + b² - (a-b)²`: beside its code a
//!   vector has a *tail*, by how much its squared length falls short of the greatest one, and the distance of two codes plus their
//!   tails is twice the difference of that greatest one and the inner product. So the graph is one of inner products, as Morozov and
//!   Babenko build it ("Non-metric similarity graphs for maximum inner product search", NeurIPS 2018). The reduction to the Euclidean
//!   distance by one more dimension (Bachrach et al., RecSys 2014) was measured and finds less: queries lie far from all vectors there.
//!
//! This module does *not* score: codes find candidates, and scores come from the full vectors. A component beyond the range of
//! the sample is cut to it, which costs recall and nothing else.

mod kernel;
#[cfg(test)]
mod tests;

use agentdb_types::{Code, Error, Result};

pub(crate) use kernel::CodeKernel;

use crate::{Dimension, Metric};

/// Bytes of a cache line: codes are padded with zeros to whole lines.
pub(crate) const LINE_BYTES: usize = 64;
/// The greatest tail: with two of it, no distance of two codes of the greatest dimension overflows 32 bits.
const TAIL_MAX: u32 = 1 << 30;
/// The share of the sample's components that lie within the range of the codes.
const COVERED: f64 = 0.9999;

/// How vectors become codes. Trained once; codes of one graph are made by one quantizer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quantizer {
    dimension: Dimension,
    metric: Metric,
    center: Box<[f32]>,
    /// The width of a step, of vectors that were divided by their norms for the cosine.
    step: f32,
    /// Of the sample: the greatest norm. For the dot metric alone; otherwise zero.
    norm_max: f32,
}

impl Quantizer {
    /// Learns the mean and the range of a sample.
    ///
    /// # Errors
    /// `InvalidValue` for an empty sample, and those of [`Dimension::check`] for a vector of it.
    pub(crate) fn train<'a>(
        dimension: Dimension,
        metric: Metric,
        sample: impl Iterator<Item = &'a [f32]> + Clone,
    ) -> Result<Self> {
        let n = dimension.get();
        let (mut sums, mut count, mut norm_max) = (vec![0f64; n], 0usize, 0f64);
        for vector in sample.clone() {
            let norm = dimension.measure(vector, metric)?;
            let scale = scale(metric, norm);
            sums.iter_mut().zip(vector).for_each(|(sum, x)| *sum += f64::from(*x) * scale);
            norm_max = norm_max.max(norm);
            count += 1;
        }
        if count == 0 {
            let err = Error::new(Code::InvalidValue).with("field", "sample");
            return Err(
                err.with("reason", "a graph needs at least one vector to learn the range of its codes from")
            );
        }
        let center: Box<[f32]> = sums.iter().map(|sum| (sum / count as f64) as f32).collect();
        let mut spread = Spread::default();
        for vector in sample {
            let scale = scale(metric, dimension.measure(vector, metric)?);
            for (x, center) in vector.iter().zip(&center) {
                spread.add((f64::from(*x) * scale - f64::from(*center)).abs() as f32);
            }
        }
        let range = spread.quantile(COVERED).clamp(f32::MIN_POSITIVE * 256.0, f32::MAX / 256.0);
        let norm_max = if metric == Metric::Dot { norm_max as f32 } else { 0.0 };
        Ok(Quantizer { dimension, metric, center, step: range / 127.5, norm_max })
    }

    /// A quantizer with these parameters, as one was saved. None if they are none that training gives.
    pub(crate) fn from_parts(
        dimension: Dimension,
        metric: Metric,
        center: Box<[f32]>,
        step: f32,
        norm_max: f32,
    ) -> Option<Self> {
        let sound = center.len() == dimension.get()
            && center.iter().all(|x| x.is_finite())
            && step.is_finite()
            && step > 0.0
            && norm_max >= 0.0;
        sound.then_some(Quantizer { dimension, metric, center, step, norm_max })
    }

    /// The mean of the sample.
    pub(crate) fn center(&self) -> &[f32] {
        &self.center
    }

    /// The width of a step, and the greatest norm of the sample.
    pub(crate) fn step_and_norm_max(&self) -> (f32, f32) {
        (self.step, self.norm_max)
    }

    /// Bytes from one code to the next: whole lines.
    pub(crate) fn stride(dimension: Dimension) -> usize {
        dimension.get().next_multiple_of(LINE_BYTES)
    }

    /// Writes the code of a vector that `dimension.measure` accepted with this norm into `code` (a stride of bytes), and
    /// returns its tail.
    pub(crate) fn encode(&self, vector: &[f32], norm: f64, code: &mut [u8]) -> u32 {
        self.fill(vector, scale(self.metric, norm), code);
        if self.metric != Metric::Dot {
            return 0;
        }
        let (max, step) = (f64::from(self.norm_max), f64::from(self.step));
        let tail = ((max / step).powi(2) - (norm / step).powi(2)).max(0.0);
        (tail.round() as u32).min(TAIL_MAX)
    }

    /// The same for a query, whose tail is zero.
    pub(crate) fn encode_query(&self, query: &[f32], norm: f64, code: &mut [u8]) {
        let scale = match self.metric {
            // The order of inner products does not depend on the query's norm: it is made the greatest that no component leaves
            // the range with, up to that of the longest vectors.
            Metric::Dot if norm > 0.0 => {
                let greatest = query.iter().fold(0f32, |greatest, x| greatest.max(x.abs()));
                (f64::from(self.norm_max) / norm).min(127.0 * f64::from(self.step) / f64::from(greatest))
            }
            metric => scale(metric, norm),
        };
        self.fill(query, scale, code);
    }

    fn fill(&self, vector: &[f32], scale: f64, code: &mut [u8]) {
        let inverse = 1.0 / f64::from(self.step);
        for ((code, x), center) in code.iter_mut().zip(vector).zip(&self.center) {
            // A conversion to an integer cuts to the range of the integer. Half a step is left out everywhere: differences stay.
            *code = ((f64::from(*x) * scale - f64::from(*center)) * inverse + 128.0) as u8;
        }
        code[vector.len()..].fill(0);
    }
}

/// What a stored vector is multiplied with before it is centred.
fn scale(metric: Metric, norm: f64) -> f64 {
    match metric {
        Metric::Cosine => 1.0 / norm,
        Metric::Dot | Metric::Euclidean => 1.0,
    }
}

/// A histogram of magnitudes whose buckets grow by 1/128: quantiles without keeping the numbers.
struct Spread {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Spread {
    fn default() -> Self {
        Spread { buckets: vec![0; 1 << 16], count: 0 }
    }
}

impl Spread {
    fn add(&mut self, magnitude: f32) {
        // The sign is zero: exponent and the first seven bits of the fraction order as the numbers do.
        self.buckets[(magnitude.to_bits() >> 16) as usize] += 1;
        self.count += 1;
    }

    /// The upper end of the bucket that holds this quantile.
    fn quantile(&self, share: f64) -> f32 {
        let rank = (self.count as f64 * share) as u64;
        let mut below = 0;
        let found = self.buckets.iter().position(|count| {
            below += count;
            below > rank
        });
        let bucket = found.unwrap_or(0) as u32 + 1;
        f32::from_bits(bucket << 16)
    }
}
