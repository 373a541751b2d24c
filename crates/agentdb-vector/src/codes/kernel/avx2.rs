//! AVX2: bytes are widened to 16 bits, `vpmaddwd` squares and adds pairs of differences.

use std::arch::x86_64::*;

use super::{CodeKernel, TOGETHER};

pub(super) const KERNEL: CodeKernel = CodeKernel { name: "avx2", distances };

/// Bytes that fill a register when they are widened.
const STEP: usize = 16;

#[target_feature(enable = "avx2")]
unsafe fn distances(query: *const u8, bytes: usize, rows: &[*const u8], out: &mut [u32]) {
    let (groups, rest) = rows.as_chunks::<TOGETHER>();
    let (outs, out_rest) = out.as_chunks_mut::<TOGETHER>();
    for (rows, out) in groups.iter().zip(outs) {
        let mut sums = [_mm256_setzero_si256(); TOGETHER];
        for at in (0..bytes).step_by(STEP) {
            // SAFETY: `at + 16 <= bytes`, and that many bytes of query and rows may be read.
            let query = unsafe { widened(query, at) };
            for (sum, row) in sums.iter_mut().zip(rows) {
                // SAFETY: as above.
                *sum = unsafe { step(*sum, query, *row, at) };
            }
        }
        *out = sums.map(|sum| total(sum));
    }
    for (row, out) in rest.iter().zip(out_rest) {
        let mut sum = _mm256_setzero_si256();
        for at in (0..bytes).step_by(STEP) {
            // SAFETY: `at + 16 <= bytes`, and that many bytes of query and row may be read.
            sum = unsafe { step(sum, widened(query, at), *row, at) };
        }
        *out = total(sum);
    }
}

/// # Safety
/// 16 bytes of `row` from `at` may be read.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn step(sum: __m256i, query: __m256i, row: *const u8, at: usize) -> __m256i {
    // SAFETY: the caller's contract.
    let difference = _mm256_sub_epi16(query, unsafe { widened(row, at) });
    _mm256_add_epi32(sum, _mm256_madd_epi16(difference, difference))
}

/// # Safety
/// 16 bytes of `code` from `at` may be read.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn widened(code: *const u8, at: usize) -> __m256i {
    // SAFETY: the caller's contract.
    _mm256_cvtepu8_epi16(unsafe { _mm_loadu_si128(code.add(at).cast()) })
}

#[inline]
#[target_feature(enable = "avx2")]
fn total(sum: __m256i) -> u32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two))) as u32
}
