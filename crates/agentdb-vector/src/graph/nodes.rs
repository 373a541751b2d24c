//! The nodes of a graph in chunks that do not move, and the view of them that a search holds.
//!
//! # How readers and writers meet
//!
//! * A node's code, tail and slot are written once, before the first link to it is stored (with release) and read after that
//!   link was loaded (with acquire). Nobody writes them again while anybody can reach the node.
//! * The links of a node are independent atomic words. A reader beside a writer may see some of the old ones and some of the
//!   new ones: each of them names a node that was linked at some time during the search, and that is all that a walk needs.
//!   No reader retries, and none waits.
//! * A search holds an [`Arc`] of the [`View`] that was current when it began. A node that was taken out is not used again
//!   before every view that was published up to then is gone (see `retire.rs`), and with it every search that could know it.
//! * The LSNs at which a node was born and died are atomics of their own; the caller makes an LSN known to readers only
//!   after every change up to it was applied.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use agentdb_types::Lsn;

use super::block::Block;
use crate::codes::Quantizer;
use crate::kernel::{self, prefetch_line};
use crate::{Dimension, Metric, Slot};

/// The number of a node of a graph. It is used again after the node was taken out.
pub(super) type Node = u32;

/// No node: ends a list of links.
pub(super) const NONE: Node = Node::MAX;
/// Nodes of a graph, at most: the candidates of a search keep a bit of a node's number for themselves.
pub(super) const NODES_MAX: usize = (1 << 31) - 1;
/// When a living node died: an LSN that no change has. The bit above it marks a node that is being taken out.
const NEVER: u64 = CONDEMNED - 1;
const CONDEMNED: u64 = 1 << 63;
/// Bytes of codes in a chunk, at most, unless the fewest rows already need more.
const CHUNK_BYTES: usize = 2 << 20;
/// Nodes of a chunk, at least, as a power of two.
const CHUNK_SHIFT_MIN: u32 = 7;

/// The sizes that all chunks of a graph share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Bytes of a code.
    pub(super) stride: usize,
    /// Links of a node, at most: whole cache lines of them.
    pub(super) degree: usize,
    /// A chunk has `1 << shift` nodes.
    pub(super) shift: u32,
    /// Whether codes have tails.
    pub(super) tails: bool,
}

/// What is kept of a node beside code and links.
#[repr(C)]
pub(super) struct Mark {
    slot: AtomicU64,
    born: AtomicU64,
    died: AtomicU64,
}

/// `1 << shift` nodes.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) codes: Block,
    pub(super) links: Block,
    pub(super) marks: Block,
    pub(super) tails: Block,
}

/// Where the parts of a chunk begin.
#[derive(Clone, Copy)]
struct Base {
    codes: *const u8,
    links: *const AtomicU32,
    marks: *const Mark,
    tails: *const AtomicU32,
}

/// The chunks and the entry points of a graph, as they were when the view was published.
pub(super) struct View {
    pub(super) shape: Shape,
    pub(super) chunks: Vec<Arc<Chunk>>,
    pub(super) entries: Arc<[Node]>,
    bases: Vec<Base>,
}

// SAFETY: the pointers in `bases` point into `chunks`, which the view owns a share of, and which are `Send` and `Sync`.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl Shape {
    pub(super) fn new(dimension: Dimension, metric: Metric, degree: usize) -> Self {
        let stride = Quantizer::stride(dimension);
        let shift = (CHUNK_BYTES / stride).max(1).ilog2().max(CHUNK_SHIFT_MIN);
        Shape { stride, degree, shift, tails: metric == Metric::Dot }
    }

    /// Nodes of a chunk.
    pub(super) fn rows(&self) -> usize {
        1 << self.shift
    }

    /// Bytes of the parts of a chunk: codes, links, marks, tails.
    fn parts(&self) -> [usize; 4] {
        self.parts_of(self.rows())
    }

    /// Bytes of the parts of so many nodes.
    pub(super) fn parts_of(&self, rows: usize) -> [usize; 4] {
        let tails = if self.tails { rows * size_of::<u32>() } else { 0 };
        [rows * self.stride, rows * self.degree * size_of::<u32>(), rows * size_of::<Mark>(), tails]
    }
}

impl Chunk {
    /// A chunk of nodes without links.
    pub(super) fn new(shape: &Shape) -> Self {
        let [codes, links, marks, tails] = shape.parts().map(Block::zeroed);
        // SAFETY: the block is new, and has this many bytes: each link becomes `NONE`.
        unsafe { links.start().as_ptr().write_bytes(0xff, links.len()) };
        Chunk { codes, links, marks, tails }
    }

    /// A chunk in memory of our own whose first nodes are these; see [`Shape::parts_of`].
    pub(super) fn from_bytes(shape: &Shape, parts: [&[u8]; 4]) -> Self {
        let chunk = Chunk::new(shape);
        for (block, bytes) in chunk.parts().into_iter().zip(parts) {
            assert!(bytes.len() <= block.len(), "more bytes than a chunk has");
            // SAFETY: the block is new, and has room by the assertion.
            unsafe { block.start().as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
        chunk
    }

    pub(super) fn parts(&self) -> [&Block; 4] {
        [&self.codes, &self.links, &self.marks, &self.tails]
    }

    /// The chunk in memory of our own.
    ///
    /// # Safety
    /// Nobody writes to the chunk meanwhile.
    pub(super) unsafe fn copied(&self) -> Self {
        // SAFETY: the caller's contract.
        let [codes, links, marks, tails] = self.parts().map(|part| unsafe { part.copied() });
        Chunk { codes, links, marks, tails }
    }
}

impl View {
    pub(super) fn new(shape: Shape, chunks: Vec<Arc<Chunk>>, entries: Arc<[Node]>) -> Self {
        let bases = chunks.iter().map(|chunk| {
            assert!(chunk.parts().map(Block::len) == shape.parts(), "a chunk of another shape");
            Base {
                codes: chunk.codes.start().as_ptr(),
                links: chunk.links.start().as_ptr().cast(),
                marks: chunk.marks.start().as_ptr().cast(),
                tails: chunk.tails.start().as_ptr().cast(),
            }
        });
        let bases = bases.collect();
        View { shape, chunks, entries, bases }
    }

    /// The number of nodes that this view has room for: each smaller number can be looked up.
    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.chunks.len() << self.shape.shift
    }

    /// Whether a node can be looked up. One that was linked after the view was published cannot always.
    #[inline(always)]
    pub(super) fn has(&self, node: Node) -> bool {
        ((node >> self.shape.shift) as usize) < self.bases.len()
    }

    #[inline(always)]
    fn at(&self, node: Node) -> (&Base, usize) {
        let row = node as usize & (self.shape.rows() - 1);
        (&self.bases[(node >> self.shape.shift) as usize], row)
    }

    /// The code of a node: [`Shape::stride`] bytes.
    #[inline(always)]
    pub(super) fn code(&self, node: Node) -> *const u8 {
        let (base, row) = self.at(node);
        // SAFETY: a chunk has the codes of all its rows, and `row` is below their number.
        unsafe { base.codes.add(row * self.shape.stride) }
    }

    /// Writes the code of a new node.
    ///
    /// # Safety
    /// No other thread knows the node, and the chunk is in memory of our own.
    pub(super) unsafe fn set_code(&self, node: Node, code: &[u8], tail: u32) {
        assert!(code.len() == self.shape.stride);
        let target = self.code(node).cast_mut();
        // SAFETY: the target has a stride of bytes; the caller excludes every other access.
        unsafe { target.copy_from_nonoverlapping(code.as_ptr(), code.len()) };
        if let Some(stored) = self.tail_of(node) {
            stored.store(tail, Ordering::Relaxed);
        }
    }

    #[inline(always)]
    fn tail_of(&self, node: Node) -> Option<&AtomicU32> {
        let (base, row) = self.at(node);
        // SAFETY: with `tails`, a chunk has one for each of its rows; they are only accessed as atomics.
        self.shape.tails.then(|| unsafe { &*base.tails.add(row) })
    }

    /// The tail of a node's code, zero for a metric that has none.
    #[inline(always)]
    pub(super) fn tail(&self, node: Node) -> u32 {
        self.tail_of(node).map_or(0, |tail| tail.load(Ordering::Relaxed))
    }

    /// The links of a node; the first [`NONE`] ends them.
    #[inline(always)]
    pub(super) fn links(&self, node: Node) -> &[AtomicU32] {
        let (base, row) = self.at(node);
        let degree = self.shape.degree;
        // SAFETY: a chunk has `degree` links for each of its rows; they are only accessed as atomics.
        unsafe { std::slice::from_raw_parts(base.links.add(row * degree), degree) }
    }

    /// Copies the links of a node to `out`, which is emptied first.
    pub(super) fn copy_links(&self, node: Node, out: &mut Vec<Node>) {
        out.clear();
        out.extend(self.links(node).iter().map(|l| l.load(Ordering::Relaxed)).take_while(|n| *n != NONE));
        fence(Ordering::Acquire);
    }

    /// Replaces the links of a node. Writers of one node exclude each other.
    pub(super) fn set_links(&self, node: Node, links: &[Node]) {
        let stored = self.links(node);
        assert!(links.len() <= stored.len());
        let ended = links.iter().copied().chain(std::iter::repeat(NONE));
        for (link, new) in stored.iter().zip(ended) {
            // Release: who finds the new node finds its code.
            link.store(new, Ordering::Release);
        }
    }

    #[inline(always)]
    fn mark(&self, node: Node) -> &Mark {
        let (base, row) = self.at(node);
        // SAFETY: a chunk has a mark for each of its rows; marks are made of atomics.
        unsafe { &*base.marks.add(row) }
    }

    /// Names a new node before it is linked.
    pub(super) fn set_mark(&self, node: Node, slot: Slot, born: Lsn) {
        let mark = self.mark(node);
        mark.slot.store(slot, Ordering::Relaxed);
        mark.died.store(NEVER, Ordering::Relaxed);
        mark.born.store(born.0, Ordering::Relaxed);
    }

    /// Marks a node as dead from `lsn` on.
    pub(super) fn kill(&self, node: Node, lsn: Lsn) {
        self.mark(node).died.store(lsn.0.min(NEVER - 1), Ordering::Relaxed);
    }

    /// Marks a dead node as one that is being taken out: no writer links to it from now on.
    pub(super) fn condemn(&self, node: Node) {
        self.mark(node).died.fetch_or(CONDEMNED, Ordering::Relaxed);
    }

    /// Takes the mark of [`View::condemn`] away.
    pub(super) fn pardon(&self, node: Node) {
        self.mark(node).died.fetch_and(!CONDEMNED, Ordering::Relaxed);
    }

    pub(super) fn is_condemned(&self, node: Node) -> bool {
        self.mark(node).died.load(Ordering::Relaxed) & CONDEMNED != 0
    }

    /// The caller's number of a node.
    pub(super) fn slot(&self, node: Node) -> Slot {
        self.mark(node).slot.load(Ordering::Relaxed)
    }

    /// The LSN at which a node was born.
    pub(super) fn born(&self, node: Node) -> Lsn {
        Lsn(self.mark(node).born.load(Ordering::Relaxed))
    }

    /// The LSN at which a node died, if it did.
    pub(super) fn died(&self, node: Node) -> Option<Lsn> {
        let lsn = self.mark(node).died.load(Ordering::Relaxed) & !CONDEMNED;
        (lsn != NEVER).then_some(Lsn(lsn))
    }

    /// Whether a snapshot at `at` contains the node.
    #[inline]
    pub(super) fn visible(&self, node: Node, at: Lsn) -> bool {
        let mark = self.mark(node);
        let died = mark.died.load(Ordering::Relaxed) & !CONDEMNED;
        mark.born.load(Ordering::Relaxed) <= at.0 && at.0.min(NEVER - 1) < died
    }

    /// Asks the memory for the code of a node.
    #[inline(always)]
    pub(super) fn prefetch_code(&self, node: Node) {
        let code = self.code(node);
        for line in (0..self.shape.stride.min(PREFETCH_BYTES)).step_by(crate::codes::LINE_BYTES) {
            prefetch_line(code.wrapping_add(line));
        }
        if self.shape.tails {
            prefetch_line(self.at(node).0.tails.wrapping_add(self.at(node).1).cast());
        }
    }

    /// Asks the memory for the links of a node.
    #[inline(always)]
    pub(super) fn prefetch_links(&self, node: Node) {
        let (base, row) = self.at(node);
        let links = base.links.wrapping_add(row * self.shape.degree);
        for line in (0..self.shape.degree).step_by(crate::codes::LINE_BYTES / size_of::<Node>()) {
            prefetch_line(links.wrapping_add(line).cast());
        }
    }
}

/// Bytes of one code that are asked for ahead; the hardware follows with what comes behind.
const PREFETCH_BYTES: usize = 512;

/// Cache lines of one vector that are asked for ahead.
const PREFETCH_LINES: usize = 16;

/// Asks the memory for a vector.
pub(super) fn prefetch_floats(vector: &[f32]) {
    kernel::prefetch(vector, PREFETCH_LINES);
}
