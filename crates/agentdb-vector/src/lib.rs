//! Vector indexes: pure data structures and the SIMD kernels under them.
//!
//! This crate is *not* a store: it does no I/O, knows no records, no log and no clock, and starts no threads.
//! The caller gives each vector a [`Slot`] and the LSN of its commit, and asks for the state at an LSN.
//!
//! [`FlatIndex`] is the exact index: it scans every row, and its answer is the same bit for bit on every CPU
//! (see [`Kernel`] for why). [`Graph`] is the approximate one, for more vectors than are worth a scan: it walks from neighbour to
//! neighbour over 8-bit codes, and scores what it finds as the exact index does.
//!
//! ```
//! use agentdb_types::Lsn;
//! use agentdb_vector::{Dimension, FlatIndex, Metric};
//!
//! let index = FlatIndex::new(Dimension::new(2)?, Metric::Cosine);
//! index.insert(1, Lsn(1), &[1.0, 0.0])?;
//! index.insert(2, Lsn(2), &[0.0, 1.0])?;
//! index.delete(1, Lsn(3));
//!
//! let hits = index.search(&[2.0, 0.0], 10, Lsn(2), None)?;
//! assert_eq!((hits[0].slot, hits[0].score), (1, 1.0));
//! let hits = index.search(&[2.0, 0.0], 10, Lsn(3), None)?;
//! assert_eq!(hits.len(), 1);
//! assert_eq!((hits[0].slot, hits[0].score), (2, 0.0));
//! # Ok::<(), agentdb_types::Error>(())
//! ```
//!
//! A graph asks the caller for the full vectors, which it does not keep:
//!
//! ```
//! use agentdb_types::{Lsn, Result};
//! use agentdb_vector::{Dimension, Entry, Graph, GraphQuery, GraphSettings, Metric, Vectors};
//!
//! struct Rows(Vec<Vec<f32>>);
//!
//! impl Vectors for Rows {
//!     fn vector(&self, entry: Entry) -> Result<&[f32]> {
//!         Ok(&self.0[entry.slot as usize])
//!     }
//! }
//!
//! let rows = Rows((0..100).map(|i| vec![1.0, i as f32]).collect());
//! let sample = rows.0.iter().map(Vec::as_slice);
//! let graph = Graph::new(Dimension::new(2)?, Metric::Euclidean, GraphSettings::default(), sample)?;
//! for (slot, vector) in (0..).zip(&rows.0) {
//!     graph.insert(slot, Lsn(1), vector)?;
//! }
//! let query = GraphQuery { vector: &[1.0, 41.8], k: 2, ef: 20, rerank: 20, at: Lsn(1), filter: None };
//! let mut hits = Vec::new();
//! graph.search(&query, &rows, &mut hits)?;
//! assert_eq!(hits.iter().map(|hit| hit.slot).collect::<Vec<_>>(), [42, 41]);
//! # Ok::<(), agentdb_types::Error>(())
//! ```

mod chunk;
mod codes;
mod dimension;
mod flat;
mod graph;
mod kernel;
mod metric;
mod places;
mod query;
mod rows;
mod top;

pub use dimension::Dimension;
pub use flat::{FlatIndex, Slot};
pub use graph::{
    Bytes, Calibrated, EachSlot, Entry, Graph, GraphFilter, GraphQuery, GraphSettings, Plan, Progress,
    Report, Vectors,
};
pub use kernel::Kernel;
pub use metric::Metric;
pub use top::Hit;
