//! The squared Euclidean distance of one code to several: integers, the same on every CPU.

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

use super::LINE_BYTES;

/// Rows that are compared at the same time.
const TOGETHER: usize = 4;

/// `(query, bytes, rows, out)`: the distances of `query` to each row of `bytes` bytes, a positive multiple of 64.
///
/// Safe to call when the CPU has the instruction set, `query` and each of `rows` may be read for `bytes` bytes, and
/// `out.len() == rows.len()`. No sum overflows up to 8,192 components: 8192 * 255² < 2^31.
type Distances = unsafe fn(*const u8, usize, &[*const u8], &mut [u32]);

/// The arithmetic of codes with one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct CodeKernel {
    name: &'static str,
    distances: Distances,
}

impl CodeKernel {
    /// The fastest kernel of this CPU. It is detected once in a process.
    pub(crate) fn best() -> CodeKernel {
        static BEST: OnceLock<CodeKernel> = OnceLock::new();
        *BEST.get_or_init(|| CodeKernel::available()[0])
    }

    /// Every kernel that this CPU can run, fastest first; the last one is the portable one.
    pub(crate) fn available() -> Vec<CodeKernel> {
        let mut kernels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f")
                && std::arch::is_x86_feature_detected!("avx512bw")
                && std::arch::is_x86_feature_detected!("avx512vnni")
            {
                kernels.push(avx512::KERNEL);
            }
            if std::arch::is_x86_feature_detected!("avx2") {
                kernels.push(avx2::KERNEL);
            }
        }
        kernels.push(scalar::KERNEL);
        kernels
    }

    /// The instruction set.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The distances of `query` to each of `rows`.
    ///
    /// # Safety
    /// Each of `rows` may be read for `query.len()` bytes, and is not written meanwhile.
    #[inline(always)]
    pub(crate) unsafe fn distances(&self, query: &[u8], rows: &[*const u8], out: &mut [u32]) {
        debug_assert!(query.len().is_multiple_of(LINE_BYTES) && rows.len() == out.len());
        // SAFETY: a kernel exists only for an instruction set that was detected; the caller answers for the rows.
        unsafe { (self.distances)(query.as_ptr(), query.len(), rows, out) }
    }
}
