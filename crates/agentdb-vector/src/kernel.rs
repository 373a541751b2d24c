//! The arithmetic of a scan: chosen once for the CPU, and called through a handle.

use std::fmt;
use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod exact;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(test)]
mod tests;

/// The arithmetic of one instruction set, as a handle that is copied and called without asking the CPU again.
///
/// There are two kinds of arithmetic here. The `f32` functions are fast, and their last bits depend on the
/// instruction set: with inputs whose products neither overflow nor underflow, they differ from the true value by
/// at most `(n / 16 + 16) * 2^-24 * Σ|a·b|` for `n` components. The `exact_*` functions and [`Kernel::norm`] sum in
/// `f64` in one fixed order, and give the same bits on every CPU. An index uses the first to find the few
/// candidates for its answer, with that bound as a margin, and the second to score them.
#[derive(Clone, Copy)]
pub struct Kernel {
    name: &'static str,
    dot: Pair<f32>,
    squared_euclidean: Pair<f32>,
    dot_rows: Batch,
    squared_euclidean_rows: Batch,
    exact_dot: Pair<f64>,
    exact_squared_euclidean: Pair<f64>,
}

/// Safe to call when the CPU has the instruction set, and both slices have one length.
type Pair<T> = unsafe fn(&[f32], &[f32]) -> T;
/// `(query, rows, out)`: safe to call when the CPU has the instruction set, `query.len()` is a positive multiple of
/// 16, and `rows.len() == query.len() * out.len()`.
type Batch = unsafe fn(&[f32], &[f32], &mut [f32]);

impl Kernel {
    /// The fastest kernel of this CPU. It is detected once in a process.
    pub fn best() -> Kernel {
        static BEST: OnceLock<Kernel> = OnceLock::new();
        *BEST.get_or_init(|| Kernel::available()[0])
    }

    /// Every kernel that this CPU can run, fastest first; the last one is the portable one, `scalar`.
    pub fn available() -> Vec<Kernel> {
        let mut kernels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                kernels.push(avx512::KERNEL);
            }
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                kernels.push(avx2::KERNEL);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            kernels.push(neon::KERNEL);
        }
        kernels.push(scalar::KERNEL);
        kernels
    }

    /// The instruction set: `avx512`, `avx2`, `neon` or `scalar`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The inner product of two vectors, in `f32`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        // SAFETY: a `Kernel` exists only for an instruction set that was detected; the lengths are equal.
        unsafe { (self.dot)(a, b) }
    }

    /// The square of the L2 distance of two vectors, in `f32`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn squared_euclidean(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        // SAFETY: as in `dot`.
        unsafe { (self.squared_euclidean)(a, b) }
    }

    /// The inner products of `query` with `out.len()` rows that lie one after the other: `out[i] = query · row[i]`.
    ///
    /// # Panics
    /// If `query.len()`, which is also the stride of the rows, is not a positive multiple of 16 floats, or
    /// `rows.len()` is not `query.len() * out.len()`.
    pub fn dot_rows(&self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        check_batch(query, rows, out);
        // SAFETY: a `Kernel` exists only for an instruction set that was detected; the shapes were checked.
        unsafe { (self.dot_rows)(query, rows, out) }
    }

    /// The squares of the L2 distances of `query` to rows that lie one after the other.
    ///
    /// # Panics
    /// As [`Kernel::dot_rows`].
    pub fn squared_euclidean_rows(&self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        check_batch(query, rows, out);
        // SAFETY: as in `dot_rows`.
        unsafe { (self.squared_euclidean_rows)(query, rows, out) }
    }

    /// The inner product of two vectors, summed in `f64`: the same bits on every CPU.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn exact_dot(&self, a: &[f32], b: &[f32]) -> f64 {
        assert_eq!(a.len(), b.len());
        // SAFETY: as in `dot`.
        unsafe { (self.exact_dot)(a, b) }
    }

    /// The square of the L2 distance of two vectors, summed in `f64`: the same bits on every CPU.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn exact_squared_euclidean(&self, a: &[f32], b: &[f32]) -> f64 {
        assert_eq!(a.len(), b.len());
        // SAFETY: as in `dot`.
        unsafe { (self.exact_squared_euclidean)(a, b) }
    }

    /// The L2 norm, summed in `f64`: finite for every finite vector, and zero for a vector of zeros alone.
    pub fn norm(&self, a: &[f32]) -> f64 {
        self.exact_dot(a, a).sqrt()
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kernel").field(&self.name).finish()
    }
}

/// Has the CPU fetch the first cache lines of a slice, so many at most. A core has some twelve buffers for lines on their way.
#[inline(always)]
pub(crate) fn prefetch<T>(slice: &[T], lines: usize) {
    let start = slice.as_ptr().cast::<u8>();
    for offset in (0..size_of_val(slice)).step_by(crate::codes::LINE_BYTES).take(lines) {
        prefetch_line(start.wrapping_add(offset));
    }
}

/// Has the CPU fetch a cache line: a hint without effect on what the program computes, wherever the pointer points.
#[inline(always)]
pub(crate) fn prefetch_line(pointer: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of every x86-64, and a prefetch of any address does not fault.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(pointer.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = pointer;
}

fn check_batch(query: &[f32], rows: &[f32], out: &[f32]) {
    assert!(!query.is_empty() && query.len().is_multiple_of(crate::rows::LINE), "stride {}", query.len());
    assert_eq!(Some(rows.len()), query.len().checked_mul(out.len()), "rows of {} floats", query.len());
}
