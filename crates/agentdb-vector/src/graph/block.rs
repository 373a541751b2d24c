//! Bytes that do not move: memory of our own, aligned for huge pages, or somebody else's that is only read (a mapped file).

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::codes::LINE_BYTES;

/// Bytes of a huge page. Blocks of at least this size begin at a multiple of it, so that the kernel can map them with few
/// entries of the translation buffer: the walk of a graph touches a new page with nearly every code.
const HUGE_PAGE: usize = 2 << 20;

/// Bytes that somebody else keeps, and that never change or move while this value lives: a mapped file, a vector of bytes.
///
/// Cloning the pointer to one, or moving it, must leave the bytes where they are.
pub trait Bytes: Send + Sync {
    /// The bytes: the same ones at the same address with every call.
    fn bytes(&self) -> &[u8];
}

impl Bytes for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// A run of bytes whose address is fixed.
pub(super) struct Block {
    start: NonNull<u8>,
    len: usize,
    home: Home,
}

enum Home {
    Owned(Layout),
    /// Kept for as long as the block points into it.
    Lent(#[expect(dead_code, reason = "owns what `start` points at")] Arc<dyn Bytes>),
}

// SAFETY: a block is plain memory without thread affinity, its own or that of a `Bytes`, which is `Send` and `Sync`. What may
// be read and written when is the contract of those who use `start`.
unsafe impl Send for Block {}
// SAFETY: as above; `&Block` gives out a pointer and no access.
unsafe impl Sync for Block {}

impl Block {
    /// `len` bytes of zeros, at least one, at a multiple of 64.
    pub(super) fn zeroed(len: usize) -> Self {
        let align = if len >= HUGE_PAGE { HUGE_PAGE } else { LINE_BYTES };
        let layout = Layout::from_size_align(len.max(1), align)
            .unwrap_or_else(|_| panic!("{len} bytes do not fit the address space"));
        // SAFETY: the layout's size is positive.
        let start = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        if align == HUGE_PAGE {
            ask_for_huge_pages(start, len);
        }
        // SAFETY: the memory is new, and `layout.size()` bytes long.
        unsafe { start.as_ptr().write_bytes(0, layout.size()) };
        Block { start, len, home: Home::Owned(layout) }
    }

    /// `len` bytes of `bytes` from `from`, read where they lie. None if they are not all there, or not at a multiple of 8.
    pub(super) fn lent(bytes: &Arc<dyn Bytes>, from: usize, len: usize) -> Option<Self> {
        let part = bytes.bytes().get(from..from.checked_add(len)?)?;
        let start = NonNull::from(part).cast::<u8>();
        start.cast::<u64>().is_aligned().then(|| Block { start, len, home: Home::Lent(bytes.clone()) })
    }

    /// A copy of the bytes in memory of our own.
    ///
    /// # Safety
    /// Nobody writes to the block meanwhile.
    pub(super) unsafe fn copied(&self) -> Self {
        let copy = Block::zeroed(self.len);
        // SAFETY: both have `len` bytes, the copy is new, and the caller excludes writers of the original.
        unsafe { copy.start.as_ptr().copy_from_nonoverlapping(self.start.as_ptr(), self.len) };
        copy
    }

    /// The first byte. A lent block may only be read.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// The number of bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether the memory is our own.
    pub(super) fn is_owned(&self) -> bool {
        matches!(self.home, Home::Owned(_))
    }
}

/// Advice that the system may ignore, given before the memory is first touched.
fn ask_for_huge_pages(start: NonNull<u8>, len: usize) {
    #[cfg(target_os = "linux")]
    // SAFETY: the range is memory of our own, at a multiple of the page size; this advice changes nothing of its contents.
    unsafe {
        libc::madvise(start.as_ptr().cast(), len, libc::MADV_HUGEPAGE);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, len);
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Home::Owned(layout) = self.home {
            // SAFETY: `start` came from `alloc` with this layout, and nothing borrows from a dropped value.
            unsafe { dealloc(self.start.as_ptr(), layout) }
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("len", &self.len).field("owned", &self.is_owned()).finish()
    }
}
