//! AVX-512F: sixteen floats at a time, four streams of rows, tails through masked loads.

use std::arch::x86_64::*;

use super::{Kernel, exact};
use crate::rows::LINE;

pub(super) const KERNEL: Kernel = Kernel {
    name: "avx512",
    dot: pair::<false>,
    squared_euclidean: pair::<true>,
    dot_rows: batch::<false>,
    squared_euclidean_rows: batch::<true>,
    exact_dot,
    exact_squared_euclidean,
};

/// Rows that are scored at the same time. They lie a quarter of the batch apart: four streams that the hardware
/// follows read more from memory than one, and far more than four adjacent rows in one page.
const STREAMS: usize = 4;
/// Bytes that the prefetch into the second-level cache runs ahead of each stream.
const AHEAD: usize = 2048;

#[target_feature(enable = "avx512f")]
fn exact_dot(a: &[f32], b: &[f32]) -> f64 {
    exact::dot(a, b)
}

#[target_feature(enable = "avx512f")]
fn exact_squared_euclidean(a: &[f32], b: &[f32]) -> f64 {
    exact::squared_euclidean(a, b)
}

/// `sum + a * b`, or `sum + (a - b)^2`.
#[inline]
#[target_feature(enable = "avx512f")]
fn step<const SQUARED: bool>(sum: __m512, a: __m512, b: __m512) -> __m512 {
    if SQUARED {
        let difference = _mm512_sub_ps(a, b);
        _mm512_fmadd_ps(difference, difference, sum)
    } else {
        _mm512_fmadd_ps(a, b, sum)
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn pair<const SQUARED: bool>(a: &[f32], b: &[f32]) -> f32 {
    const STEP: usize = 4 * LINE;
    let len = a.len();
    let (a, b) = (a.as_ptr(), b.as_ptr());
    let mut sums = [_mm512_setzero_ps(); 4];
    let mut at = 0;
    while at + STEP <= len {
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `at + 64 <= len`, and both slices have `len` floats.
            let (x, y) = unsafe { (load(a, at + i * LINE), load(b, at + i * LINE)) };
            *sum = step::<SQUARED>(*sum, x, y);
        }
        at += STEP;
    }
    while at < len {
        let mask = u16::MAX >> LINE.saturating_sub(len - at);
        // SAFETY: the mask selects only floats below `len`, and a masked load touches nothing else.
        let (x, y) =
            unsafe { (_mm512_maskz_loadu_ps(mask, a.add(at)), _mm512_maskz_loadu_ps(mask, b.add(at))) };
        sums[0] = step::<SQUARED>(sums[0], x, y);
        at += LINE;
    }
    let low = _mm512_add_ps(sums[0], sums[1]);
    _mm512_reduce_add_ps(_mm512_add_ps(low, _mm512_add_ps(sums[2], sums[3])))
}

/// # Safety
/// `pointer` may be read from `at` for 16 floats.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(pointer: *const f32, at: usize) -> __m512 {
    // SAFETY: the caller's contract.
    unsafe { _mm512_loadu_ps(pointer.add(at)) }
}

#[target_feature(enable = "avx512f")]
unsafe fn batch<const SQUARED: bool>(query: &[f32], rows: &[f32], out: &mut [f32]) {
    let stride = query.len();
    let apart = out.len() / STREAMS;
    for i in 0..apart {
        // SAFETY: the last row of the four is `3 * apart + i < out.len()`.
        let total = unsafe { group::<SQUARED>(query, &rows[i * stride..], apart * stride) };
        for (stream, total) in total.into_iter().enumerate() {
            out[stream * apart + i] = total;
        }
    }
    let done = STREAMS * apart;
    for (row, out) in rows[done * stride..].chunks_exact(stride).zip(&mut out[done..]) {
        // SAFETY: the row has `query.len()` floats.
        *out = unsafe { pair::<SQUARED>(query, row) };
    }
}

/// Scores the four rows that start at 0, 1, 2 and 3 times `apart` in `rows`.
///
/// # Safety
/// `rows` has a whole row of `query.len()` floats at each start, and `query.len()` is a multiple of 16.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn group<const SQUARED: bool>(query: &[f32], rows: &[f32], apart: usize) -> [f32; STREAMS] {
    let stride = query.len();
    debug_assert!((STREAMS - 1) * apart + stride <= rows.len());
    let (query, rows) = (query.as_ptr(), rows.as_ptr());
    let mut sums = [_mm512_setzero_ps(); STREAMS];
    let mut at = 0;
    while at < stride {
        // SAFETY: `at + 16 <= stride`.
        let q = unsafe { load(query, at) };
        for (stream, sum) in sums.iter_mut().enumerate() {
            let start = stream * apart + at;
            // Beyond the allocation a prefetch is a hint without effect.
            _mm_prefetch::<_MM_HINT_T1>(rows.wrapping_add(start).wrapping_byte_add(AHEAD).cast());
            // SAFETY: the row has `stride` floats, and `at + 16 <= stride`.
            *sum = step::<SQUARED>(*sum, q, unsafe { load(rows, start) });
        }
        at += LINE;
    }
    totals(sums)
}

/// The totals of four vectors of sums.
#[inline]
#[target_feature(enable = "avx512f")]
fn totals(sums: [__m512; STREAMS]) -> [f32; STREAMS] {
    let [a, b, c, d] = sums.map(|sum| {
        let halves = _mm512_castps_pd(sum);
        let (low, high) = (_mm512_castpd512_pd256(halves), _mm512_extractf64x4_pd::<1>(halves));
        let eight = _mm256_add_ps(_mm256_castpd_ps(low), _mm256_castpd_ps(high));
        _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight))
    });
    let ab = _mm_add_ps(_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
    let cd = _mm_add_ps(_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
    let mut totals = [0f32; STREAMS];
    // SAFETY: there is room for four floats.
    unsafe { _mm_storeu_ps(totals.as_mut_ptr(), _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab))) };
    totals
}
