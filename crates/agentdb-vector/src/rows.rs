//! A fixed block of `f32` rows, aligned to 64 bytes, that one writer fills while readers read what is published.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::slice;

/// Floats of one 64-byte cache line: rows start on a line, and are padded with zeros to whole lines.
pub(crate) const LINE: usize = 16;

/// `rows * stride` floats in row-major order, all zero at first. The memory never moves.
pub(crate) struct Rows {
    start: NonNull<f32>,
    layout: Layout,
    rows: usize,
    stride: usize,
}

// SAFETY: `Rows` owns plain memory without thread affinity. Shared access follows the contract of `write` (no reader
// of a row that is being written), which its unsafe callers uphold.
unsafe impl Send for Rows {}
// SAFETY: as above; `&Rows` gives out shared slices of rows only through `block`, whose contract excludes a race.
unsafe impl Sync for Rows {}

impl Rows {
    /// Room for `rows` rows of `stride` floats; `stride` is a positive multiple of [`LINE`], `rows` is positive.
    pub(crate) fn new(rows: usize, stride: usize) -> Self {
        assert!(rows > 0 && stride > 0 && stride.is_multiple_of(LINE), "rows {rows}, stride {stride}");
        let layout = Layout::array::<f32>(rows * stride)
            .and_then(|l| l.align_to(LINE * size_of::<f32>()))
            .unwrap_or_else(|_| panic!("{rows} rows of {stride} floats do not fit the address space"));
        // SAFETY: the layout's size is positive, as asserted above.
        let start = unsafe { alloc_zeroed(layout) }.cast::<f32>();
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Rows { start, layout, rows, stride }
    }

    /// The number of rows that there is room for.
    pub(crate) fn capacity(&self) -> usize {
        self.rows
    }

    /// The size of the memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.layout.size()
    }

    /// Copies `vector` (at most a stride of floats) to the start of a row, whose padding stays zero.
    ///
    /// # Safety
    /// No other thread reads or writes this row until the call has returned and been published to it.
    pub(crate) unsafe fn write(&self, row: usize, vector: &[f32]) {
        assert!(row < self.rows && vector.len() <= self.stride, "row {row} of {}", self.rows);
        // SAFETY: the target lies within the allocation by the assertion; the caller excludes every other access.
        unsafe {
            let target = self.start.add(row * self.stride).as_ptr();
            target.copy_from_nonoverlapping(vector.as_ptr(), vector.len());
        }
    }

    /// Rows `first..first + count` with their padding: `count * stride` floats.
    ///
    /// # Safety
    /// Writes to these rows happened before this call, and none follows while the slice lives.
    pub(crate) unsafe fn block(&self, first: usize, count: usize) -> &[f32] {
        assert!(first <= self.rows && count <= self.rows - first, "rows {first}+{count} of {}", self.rows);
        // SAFETY: the range lies within the allocation, which is initialised (zeroed); the caller excludes writes.
        unsafe { slice::from_raw_parts(self.start.add(first * self.stride).as_ptr(), count * self.stride) }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        // SAFETY: `start` came from `alloc_zeroed` with this layout, and nothing borrows from a dropped value.
        unsafe { dealloc(self.start.as_ptr().cast(), self.layout) }
    }
}
