//! The portable kernel, against which the others are held.

use std::slice;

use super::CodeKernel;

pub(super) const KERNEL: CodeKernel = CodeKernel { name: "scalar", distances };

unsafe fn distances(query: *const u8, bytes: usize, rows: &[*const u8], out: &mut [u32]) {
    // SAFETY: the caller's contract: `bytes` bytes of the query may be read.
    let query = unsafe { slice::from_raw_parts(query, bytes) };
    for (row, out) in rows.iter().zip(out) {
        // SAFETY: the caller's contract: `bytes` bytes of each row may be read.
        let row = unsafe { slice::from_raw_parts(*row, bytes) };
        let terms = query.iter().zip(row).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2));
        *out = terms.sum();
    }
}
