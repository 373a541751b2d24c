//! Sums in `f64` in one fixed order: component `i` goes to lane `i % 16`, and the lanes are added as a tree. The
//! bodies are compiled once per instruction set; the compiler may not reorder or fuse `f64` operations, so that
//! each gives the same bits. The product of two `f32` is exact in `f64`, and no sum of 8192 of them overflows.

use crate::rows::LINE;

/// The inner product.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    sum(a, b, |x, y| x * y)
}

/// The square of the L2 distance.
#[inline(always)]
pub(super) fn squared_euclidean(a: &[f32], b: &[f32]) -> f64 {
    sum(a, b, |x, y| (x - y) * (x - y))
}

#[inline(always)]
fn sum(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let (a_lines, a_tail) = a.as_chunks::<LINE>();
    let (b_lines, b_tail) = b.as_chunks::<LINE>();
    let mut lanes = [0f64; LINE];
    for (x, y) in a_lines.iter().zip(b_lines) {
        for i in 0..LINE {
            lanes[i] += term(f64::from(x[i]), f64::from(y[i]));
        }
    }
    for (lane, (x, y)) in lanes.iter_mut().zip(a_tail.iter().zip(b_tail)) {
        *lane += term(f64::from(*x), f64::from(*y));
    }
    let mut half = LINE / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}
