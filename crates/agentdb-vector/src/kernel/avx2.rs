//! AVX2 with FMA: eight floats at a time, four streams of rows with two sums each.

use std::arch::x86_64::*;

use super::{Kernel, exact};
use crate::rows::LINE;

pub(super) const KERNEL: Kernel = Kernel {
    name: "avx2",
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
/// Floats of a register.
const LANES: usize = 8;
/// Bytes that the prefetch into the second-level cache runs ahead of each stream.
const AHEAD: usize = 2048;

#[target_feature(enable = "avx2,fma")]
fn exact_dot(a: &[f32], b: &[f32]) -> f64 {
    exact::dot(a, b)
}

#[target_feature(enable = "avx2,fma")]
fn exact_squared_euclidean(a: &[f32], b: &[f32]) -> f64 {
    exact::squared_euclidean(a, b)
}

/// `sum + a * b`, or `sum + (a - b)^2`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn step<const SQUARED: bool>(sum: __m256, a: __m256, b: __m256) -> __m256 {
    if SQUARED {
        let difference = _mm256_sub_ps(a, b);
        _mm256_fmadd_ps(difference, difference, sum)
    } else {
        _mm256_fmadd_ps(a, b, sum)
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn pair<const SQUARED: bool>(a: &[f32], b: &[f32]) -> f32 {
    const STEP: usize = 4 * LANES;
    let len = a.len();
    let (a, b) = (a.as_ptr(), b.as_ptr());
    let mut sums = [_mm256_setzero_ps(); 4];
    let mut at = 0;
    while at + STEP <= len {
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `at + 32 <= len`, and both slices have `len` floats.
            let (x, y) = unsafe { (load(a, at + i * LANES), load(b, at + i * LANES)) };
            *sum = step::<SQUARED>(*sum, x, y);
        }
        at += STEP;
    }
    while at + LANES <= len {
        // SAFETY: `at + 8 <= len`, and both slices have `len` floats.
        let (x, y) = unsafe { (load(a, at), load(b, at)) };
        sums[0] = step::<SQUARED>(sums[0], x, y);
        at += LANES;
    }
    if at < len {
        let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let mask = _mm256_cmpgt_epi32(_mm256_set1_epi32((len - at) as i32), lane);
        // SAFETY: the mask selects only floats below `len`, and a masked load touches nothing else.
        let (x, y) = unsafe { (_mm256_maskload_ps(a.add(at), mask), _mm256_maskload_ps(b.add(at), mask)) };
        sums[1] = step::<SQUARED>(sums[1], x, y);
    }
    let low = _mm256_add_ps(sums[0], sums[1]);
    let four = halve(_mm256_add_ps(low, _mm256_add_ps(sums[2], sums[3])));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

/// # Safety
/// `pointer` may be read from `at` for 8 floats.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn load(pointer: *const f32, at: usize) -> __m256 {
    // SAFETY: the caller's contract.
    unsafe { _mm256_loadu_ps(pointer.add(at)) }
}

#[target_feature(enable = "avx2,fma")]
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
#[target_feature(enable = "avx2,fma")]
unsafe fn group<const SQUARED: bool>(query: &[f32], rows: &[f32], apart: usize) -> [f32; STREAMS] {
    let stride = query.len();
    debug_assert!((STREAMS - 1) * apart + stride <= rows.len());
    let (query, rows) = (query.as_ptr(), rows.as_ptr());
    let mut sums = [[_mm256_setzero_ps(); 2]; STREAMS];
    let mut at = 0;
    while at < stride {
        // SAFETY: `at + 16 <= stride`.
        let (low, high) = unsafe { (load(query, at), load(query, at + LANES)) };
        for (stream, sum) in sums.iter_mut().enumerate() {
            let start = stream * apart + at;
            // Beyond the allocation a prefetch is a hint without effect.
            _mm_prefetch::<_MM_HINT_T1>(rows.wrapping_add(start).wrapping_byte_add(AHEAD).cast());
            // SAFETY: the row has `stride` floats, and `at + 16 <= stride`.
            let (x, y) = unsafe { (load(rows, start), load(rows, start + LANES)) };
            sum[0] = step::<SQUARED>(sum[0], low, x);
            sum[1] = step::<SQUARED>(sum[1], high, y);
        }
        at += LINE;
    }
    let [a, b, c, d] = sums.map(|sum| halve(_mm256_add_ps(sum[0], sum[1])));
    let ab = _mm_add_ps(_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
    let cd = _mm_add_ps(_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
    let mut totals = [0f32; STREAMS];
    // SAFETY: there is room for four floats.
    unsafe { _mm_storeu_ps(totals.as_mut_ptr(), _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab))) };
    totals
}

/// The sums of the lower and the upper half.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn halve(sum: __m256) -> __m128 {
    _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum))
}
