//! AVX-512 with VNNI: bytes are widened to 16 bits, and `vpdpwssd` squares and adds pairs of differences.

use std::arch::x86_64::*;

use super::{CodeKernel, TOGETHER};

pub(super) const KERNEL: CodeKernel = CodeKernel { name: "avx512vnni", distances };

/// Bytes that fill a register when they are widened.
const STEP: usize = 32;

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn distances(query: *const u8, bytes: usize, rows: &[*const u8], out: &mut [u32]) {
    let (groups, rest) = rows.as_chunks::<TOGETHER>();
    let (outs, out_rest) = out.as_chunks_mut::<TOGETHER>();
    for (rows, out) in groups.iter().zip(outs) {
        // SAFETY: the caller's contract for query and rows.
        unsafe { four(query, bytes, rows, out) };
    }
    for (row, out) in rest.iter().zip(out_rest) {
        let mut sum = _mm512_setzero_si512();
        for at in (0..bytes).step_by(STEP) {
            // SAFETY: `at + 32 <= bytes`, and that many bytes of query and row may be read.
            sum = unsafe { step(sum, widened(query, at), *row, at) };
        }
        *out = _mm512_reduce_add_epi32(sum) as u32;
    }
}

/// # Safety
/// `bytes` bytes of the query and of each row may be read; `bytes` is a multiple of 64.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn four(query: *const u8, bytes: usize, rows: &[*const u8; TOGETHER], out: &mut [u32; TOGETHER]) {
    let mut sums = [_mm512_setzero_si512(); TOGETHER];
    for at in (0..bytes).step_by(STEP) {
        // SAFETY: `at + 32 <= bytes`, the caller's contract.
        let query = unsafe { widened(query, at) };
        for (sum, row) in sums.iter_mut().zip(rows) {
            // SAFETY: as above.
            *sum = unsafe { step(*sum, query, *row, at) };
        }
    }
    // Two rows to a register, then all four: each 128-bit lane holds the four sums of its own lanes.
    let [a, b, c, d] = sums;
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    let all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64::<1>(all));
    let quarter = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
    // SAFETY: `out` has room for four integers.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), quarter) };
}

/// # Safety
/// 32 bytes of `row` from `at` may be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn step(sum: __m512i, query: __m512i, row: *const u8, at: usize) -> __m512i {
    // SAFETY: the caller's contract.
    let difference = _mm512_sub_epi16(query, unsafe { widened(row, at) });
    _mm512_dpwssd_epi32(sum, difference, difference)
}

/// # Safety
/// 32 bytes of `code` from `at` may be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn widened(code: *const u8, at: usize) -> __m512i {
    // SAFETY: the caller's contract.
    _mm512_cvtepu8_epi16(unsafe { _mm256_loadu_si256(code.add(at).cast()) })
}
