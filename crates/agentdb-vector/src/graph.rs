//! The graph index: approximate search over 8-bit codes, with scores from the full vectors.
//!
//! One flat graph of bounded degree, searched best-first from a few dozen entry points (`walk.rs`), built by inserting
//! (`insert.rs`) with the pruning rule of HNSW and Vamana (`choice.rs`), repaired in place when nodes are taken out
//! (`repair.rs`). There are no upper layers, which save next to nothing on vectors of many dimensions (Munyampirwa et al., "Down
//! with the Hierarchy", 2024; here, a search that keeps 160 of 340,000 candidates expands 163: the way to them is three).
//!
//! The graph does *not* keep the full vectors: it gets each once, when it is inserted, and asks a [`Vectors`] for the few dozen that a
//! search scores. It does no I/O, reads no clock and starts no threads; several threads may insert and search at once.

mod batch;
mod block;
mod calibration;
mod candidates;
mod choice;
mod insert;
mod nodes;
mod plan;
mod repair;
mod retire;
mod scratch;
mod search;
mod slots;
mod snapshot;
mod thaw;
mod visited;
mod walk;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use agentdb_types::{Code, Error, Lsn, Result};

pub use block::Bytes;
pub use calibration::Calibrated;
pub use plan::Plan;
pub use repair::Progress;
pub use search::{EachSlot, GraphFilter, GraphQuery, Report};

use crate::codes::{CodeKernel, Quantizer};
use crate::{Dimension, Kernel, Metric, Slot};
use choice::Choice;
use nodes::{Shape, View};
use retire::Growth;
use scratch::Scratches;
use slots::Slots;

/// Locks for the links of nodes: two writers wait for each other if they change the links of one node, or by chance.
const LOCKS: usize = 1024;

/// How a graph is built. The defaults are measured; see the documentation of each field for what it costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GraphSettings {
    /// Links of a node, at most: 16, 32, 48 or another multiple of 16 up to 128. Each takes four bytes.
    pub degree: usize,
    /// Links that a node gets when it is inserted, 1 to `degree`. The room that is left is for links from later nodes.
    pub links: usize,
    /// Candidates that are kept while the place of a new node is looked for, 1 to 10,000. Building takes time in proportion.
    pub ef: usize,
    /// How much nearer than the node itself a chosen neighbour must be to a candidate, to make a link to that superfluous: 1 to 2.
    pub slack: f32,
}

/// Where the full vectors are: rows of a file that is mapped, a vector of vectors.
pub trait Vectors {
    /// The vector that was inserted as this entry, as long as the dimension says. A search calls this for the entries that
    /// it scores and that its snapshot sees.
    ///
    /// # Errors
    /// Whatever reading it can come to; the search fails with it.
    fn vector(&self, entry: Entry) -> Result<&[f32]>;
}

/// One version of a slot's vector in a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The graph's own number for it, below [`Graph::nodes`]: small, and used again after the entry was taken out.
    pub node: u32,
    /// The caller's number.
    pub slot: Slot,
    /// The LSN with which it was inserted.
    pub born: Lsn,
}

/// An approximate index of one set of vectors.
///
/// As in [`crate::FlatIndex`], a search at LSN *S* sees an entry if `born <= S < died`; the caller makes *S* known to readers
/// only after every change up to *S* has been applied here. Searches never wait for writers.
pub struct Graph {
    dimension: Dimension,
    metric: Metric,
    settings: GraphSettings,
    quantizer: Quantizer,
    choice: Choice,
    kernel: Kernel,
    codes: CodeKernel,
    shape: Shape,
    view: RwLock<Arc<View>>,
    /// Held for reading by who inserts or deletes, for writing by who takes nodes out.
    gate: RwLock<()>,
    growth: Mutex<Growth>,
    locks: Box<[Mutex<()>]>,
    slots: OnceLock<Slots>,
    /// Whether parts of the graph are bytes that are only read, and what their checksums are.
    frozen: AtomicBool,
    sums: Mutex<Arc<[[u64; 4]]>>,
    scratches: Scratches,
    living: AtomicUsize,
    calibration: RwLock<Arc<[Calibrated]>>,
}

impl Default for GraphSettings {
    fn default() -> Self {
        GraphSettings { degree: 32, links: 32, ef: 256, slack: 1.0 }
    }
}

impl GraphSettings {
    fn check(&self) -> Result<()> {
        let invalid = |field, reason: &str| {
            Err(Error::new(Code::InvalidValue).with("field", field).with("reason", reason))
        };
        if !self.degree.is_multiple_of(16) || !(16..=batch::DEGREE_MAX).contains(&self.degree) {
            return invalid("degree", "must be a multiple of 16 from 16 to 128");
        }
        if !(1..=self.degree).contains(&self.links) {
            return invalid("links", "must be from 1 to the degree");
        }
        if !(1..=search::EF_MAX).contains(&self.ef) {
            return invalid("ef", "must be from 1 to 10000");
        }
        if !(1.0..=2.0).contains(&self.slack) {
            return invalid("slack", "must be from 1 to 2");
        }
        Ok(())
    }
}

impl Graph {
    /// An empty graph whose codes are made for vectors like those of `sample`. Some thousands of them, chosen at random, are
    /// enough; vectors that lie far outside their range are found less well.
    ///
    /// # Errors
    /// `InvalidValue` for settings outside their limits and for an empty sample; those of [`Dimension::check`] for a vector of it.
    pub fn new<'a>(
        dimension: Dimension,
        metric: Metric,
        settings: GraphSettings,
        sample: impl Iterator<Item = &'a [f32]> + Clone,
    ) -> Result<Self> {
        settings.check()?;
        let quantizer = Quantizer::train(dimension, metric, sample)?;
        let shape = Shape::new(dimension, metric, settings.degree);
        let graph =
            Self::with_parts(dimension, metric, settings, quantizer, View::new(shape, Vec::new(), [].into()));
        // There is nothing to find out from nodes, and there will be nodes that are not whole yet.
        graph.slots.get_or_init(Slots::default);
        Ok(graph)
    }

    fn with_parts(
        dimension: Dimension,
        metric: Metric,
        settings: GraphSettings,
        quantizer: Quantizer,
        view: View,
    ) -> Self {
        Graph {
            dimension,
            metric,
            settings,
            quantizer,
            choice: Choice::new(settings.slack),
            kernel: Kernel::best(),
            codes: CodeKernel::best(),
            shape: view.shape,
            view: RwLock::new(Arc::new(view)),
            gate: RwLock::default(),
            growth: Mutex::default(),
            locks: (0..LOCKS).map(|_| Mutex::default()).collect(),
            slots: OnceLock::new(),
            frozen: AtomicBool::new(false),
            sums: Mutex::new([].into()),
            scratches: Scratches::default(),
            living: AtomicUsize::new(0),
            calibration: RwLock::new([].into()),
        }
    }

    /// The dimension of the vectors.
    pub fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// What the scores mean.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// How the graph is built.
    pub fn settings(&self) -> GraphSettings {
        self.settings
    }

    /// The number of living vectors, by the latest change.
    pub fn len(&self) -> usize {
        self.living.load(Ordering::Relaxed)
    }

    /// Whether there is no living vector.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of nodes that were ever needed at once: numbers of entries are below it.
    pub fn nodes(&self) -> usize {
        self.growth().next as usize
    }

    /// The memory that the graph holds of its own, in bytes: room for nodes to come included, bytes that were lent to it and
    /// the full vectors not.
    pub fn memory_bytes(&self) -> usize {
        let view = self.view();
        let parts = view.chunks.iter().flat_map(|chunk| chunk.parts());
        let owned: usize = parts.filter(|part| part.is_owned()).map(|part| part.len()).sum();
        let locks = self.locks.len() * size_of::<Mutex<()>>();
        size_of::<Self>() + owned + locks + self.slots.get().map_or(0, Slots::bytes) + self.scratches.bytes()
    }

    // A panic under one of these locks leaves the states whole, so that poison is passed over.

    fn view(&self) -> Arc<View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Graph");
        s.field("dimension", &self.dimension.get()).field("metric", &self.metric);
        s.field("settings", &self.settings)
            .field("codes", &self.codes.name())
            .field("len", &self.len())
            .finish()
    }
}
