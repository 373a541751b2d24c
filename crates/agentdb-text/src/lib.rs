//! The full-text index: texts under slots, found by BM25 at any LSN that is still kept.
//!
//! This crate is *not* a store: it does no I/O, knows no records, no log and no clock, and starts no threads. The caller
//! gives each entry a [`Slot`] and the LSN of its commit, and asks for the state at an LSN.
//!
//! ```
//! use agentdb_text::{Analyzer, Field, Query, Search, TextIndex};
//! use agentdb_types::Lsn;
//!
//! let index = TextIndex::new(vec![Field::new("title", Analyzer::English), Field::new("text", Analyzer::English)])?;
//! index.insert(1, Lsn(1), &[Some("On cats"), Some("They purr and sleep.")])?;
//! index.insert(2, Lsn(2), &[None, Some("Dogs chase the cat.")])?;
//!
//! let hits = index.search(&Query::from("sleeping cats"), &Search::new(Lsn(2), 10))?;
//! assert_eq!(hits.iter().map(|h| h.slot).collect::<Vec<_>>(), [1, 2]);
//! assert_eq!(index.count(&Query::from("dog"), Lsn(1), None)?, 0);
//! # Ok::<(), agentdb_types::Error>(())
//! ```
//!
//! # How it is made
//!
//! Everything lies in immutable segments of one format, from the entry inserted last to the largest one, and one code
//! evaluates them all. Postings are blocks of 128, packed as tantivy packs them (with its crate `bitpacking`), each with
//! the impacts from which exact bounds of scores follow for *any* statistics. That is why the segments are not
//! tantivy's: its block maxima are chosen by the average length that a segment had when it was written, and are no bounds
//! once the statistics are those of a snapshot; and it adds the shares of terms in an order that depends on where the
//! entries lie.

mod analyzer;
mod bm25;
mod builder;
mod bundle;
mod codec;
mod compile;
mod cursor;
mod dictionary;
mod eval;
mod expand;
mod explain;
mod field;
mod fill;
mod highlight;
mod impact;
mod index;
mod merge;
mod norm;
mod part;
mod plan;
mod policy;
mod query;
mod search;
mod segment;
mod stored;
mod top;

pub use analyzer::{Analyzer, Token};
pub use bm25::{B, K1};
pub use explain::{Explanation, Share};
pub use field::{Field, WEIGHT_MAX};
pub use fill::Filling;
pub use highlight::{FRAGMENTS, Fragment, Highlight};
pub use index::{FIELDS, Slot, TextIndex};
pub use query::{
    Boolean, Boost, EXPANSION_TERMS, FUZZY_CHARS, Fuzzy, Match, Operator, Phrase, Prefix, QUERY_BYTES,
    QUERY_DEPTH, QUERY_TERMS, Query, Syntax,
};
pub use search::Search;
pub use stored::SegmentId;
pub use top::Hit;
