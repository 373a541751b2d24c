//! The portable kernel: sixteen independent sums, which the compiler turns into what the target guarantees.

use super::{Kernel, exact};
use crate::rows::LINE;

pub(super) const KERNEL: Kernel = Kernel {
    name: "scalar",
    dot,
    squared_euclidean,
    dot_rows,
    squared_euclidean_rows,
    exact_dot: exact::dot,
    exact_squared_euclidean: exact::squared_euclidean,
};

fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |x, y| x * y)
}

fn squared_euclidean(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |x, y| (x - y) * (x - y))
}

fn dot_rows(query: &[f32], rows: &[f32], out: &mut [f32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        *out = dot(query, row);
    }
}

fn squared_euclidean_rows(query: &[f32], rows: &[f32], out: &mut [f32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        *out = squared_euclidean(query, row);
    }
}

#[inline(always)]
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (a_lines, a_tail) = a.as_chunks::<LINE>();
    let (b_lines, b_tail) = b.as_chunks::<LINE>();
    let mut lanes = [0f32; LINE];
    for (x, y) in a_lines.iter().zip(b_lines) {
        for i in 0..LINE {
            lanes[i] += term(x[i], y[i]);
        }
    }
    for (lane, (x, y)) in lanes.iter_mut().zip(a_tail.iter().zip(b_tail)) {
        *lane += term(*x, *y);
    }
    lanes.iter().sum()
}
