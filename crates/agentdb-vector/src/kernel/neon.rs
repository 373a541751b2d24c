//! NEON (aarch64): sixteen floats at a time in four sums; a tail of fewer than sixteen goes through a padded copy.

use std::arch::aarch64::*;

use super::{Kernel, exact};
use crate::rows::LINE;

pub(super) const KERNEL: Kernel = Kernel {
    name: "neon",
    dot: pair::<false>,
    squared_euclidean: pair::<true>,
    dot_rows: batch::<false>,
    squared_euclidean_rows: batch::<true>,
    exact_dot: exact::dot,
    exact_squared_euclidean: exact::squared_euclidean,
};

/// Floats of a register.
const LANES: usize = 4;

#[target_feature(enable = "neon")]
fn pair<const SQUARED: bool>(a: &[f32], b: &[f32]) -> f32 {
    let (a_lines, a_tail) = a.as_chunks::<LINE>();
    let (b_lines, b_tail) = b.as_chunks::<LINE>();
    let mut sums = [vdupq_n_f32(0.0); LINE / LANES];
    for (x, y) in a_lines.iter().zip(b_lines) {
        line::<SQUARED>(&mut sums, x, y);
    }
    if !a_tail.is_empty() {
        let (mut x, mut y) = ([0f32; LINE], [0f32; LINE]);
        x[..a_tail.len()].copy_from_slice(a_tail);
        y[..b_tail.len()].copy_from_slice(b_tail);
        line::<SQUARED>(&mut sums, &x, &y);
    }
    vaddvq_f32(vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3])))
}

#[inline]
#[target_feature(enable = "neon")]
fn line<const SQUARED: bool>(sums: &mut [float32x4_t; LINE / LANES], a: &[f32; LINE], b: &[f32; LINE]) {
    for (i, sum) in sums.iter_mut().enumerate() {
        // SAFETY: `i * 4 + 4 <= 16`, the length of both arrays.
        let (x, y) = unsafe { (vld1q_f32(a.as_ptr().add(i * LANES)), vld1q_f32(b.as_ptr().add(i * LANES))) };
        *sum = if SQUARED {
            let difference = vsubq_f32(x, y);
            vfmaq_f32(*sum, difference, difference)
        } else {
            vfmaq_f32(*sum, x, y)
        };
    }
}

#[target_feature(enable = "neon")]
fn batch<const SQUARED: bool>(query: &[f32], rows: &[f32], out: &mut [f32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        *out = pair::<SQUARED>(query, row);
    }
}
