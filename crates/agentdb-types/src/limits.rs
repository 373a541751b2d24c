//! Every limit of the database, once. Beyond a limit the caller gets the error that names it; nothing is cut.

/// Bytes of an id, a name or a key.
pub const ID_BYTES: usize = 512;
/// Bytes of an inline value (a state, a message, a record's payload or text); a larger one is a blob.
pub const VALUE_BYTES: usize = 1 << 20;
/// Bytes of a blob.
pub const BLOB_BYTES: u64 = 5 << 30;
/// Microseconds for which the file of a deleted blob is kept, for readers of older snapshots: one hour.
pub const BLOB_KEPT_US: i64 = 3_600 * 1_000_000;
/// Mutations of one batch, after the operations in it are resolved; those of the engine's own bookkeeping not counted.
pub const BATCH_MUTATIONS: usize = 10_000;
/// Bytes of one batch, keys and bodies together.
pub const BATCH_BYTES: usize = 64 << 20;
/// Nesting of a JSON value: a scalar is 1 deep.
pub const JSON_DEPTH: usize = 32;
/// Dimensions of a vector.
pub const DIMENSION: usize = 8_192;
/// Rows of one page.
pub const PAGE: usize = 10_000;
/// Rows of one page when the caller does not say.
pub const PAGE_DEFAULT: usize = 100;
/// Microseconds for which the outcome of a write with an idempotency key is kept: 24 hours.
pub const IDEMPOTENCY_KEPT_US: i64 = 24 * 3_600 * 1_000_000;
/// Microseconds for which history is kept unless a namespace says otherwise: 24 hours.
pub const HISTORY_KEPT_US: i64 = 24 * 3_600 * 1_000_000;
/// Microseconds by which the wall clock may run ahead of the elapsed time between two writes: one hour.
pub const CLOCK_JUMP_US: i64 = 3_600 * 1_000_000;
/// Requests that may wait for the sequencer.
pub const QUEUE_REQUESTS: usize = 65_536;
/// Bytes of requests that may wait for the sequencer.
pub const QUEUE_BYTES: usize = 256 << 20;
/// Bytes of committed rows that may wait in memory for the base.
pub const UNDRAINED_BYTES: usize = 512 << 20;
/// Bytes of one group of the log: the sequencer closes a group that reaches it, and one batch always fits.
pub const GROUP_BYTES: usize = 8 << 20;
/// The latest time that can be written: the end of the year 9999, in microseconds since 1970.
pub const TIME_MAX_US: i64 = 253_402_300_799_999_999;
/// Terms of a filter: comparisons, and members of the lists in them.
pub const FILTER_TERMS: usize = 1_024;
/// Nesting of a filter.
pub const FILTER_DEPTH: usize = 16;
/// Bytes of a string that the index over payloads holds; longer ones are found by looking at payloads, and can neither be counted
/// nor sorted by.
pub const INDEXED_TEXT_BYTES: usize = 512;
/// Buckets of a histogram, those without a value not counted.
pub const HISTOGRAM_BUCKETS: usize = 10_000;
/// Microseconds for which a tool call is claimed when the caller does not say: one minute.
pub const TOOL_CALL_LEASE_US: i64 = 60 * 1_000_000;
/// Segments of the path of an item.
pub const PATH_SEGMENTS: usize = 32;
/// Vectors of one item.
pub const ITEM_VECTORS: usize = 100;
/// Declared fields of a collection's payloads, those that were learnt included.
pub const FIELDS: usize = 1_000;
/// Records that one request deletes by a filter: each takes a row for itself and for each vector.
pub const DELETE_WHERE: usize = 2_000;
/// Named vectors of a collection's records.
pub const NAMED_VECTORS: usize = 64;
/// Components of a sparse vector.
pub const SPARSE_COMPONENTS: usize = 16_384;
/// How long a job that has ended is kept: seven days, in microseconds.
pub const JOB_KEPT_US: i64 = 7 * 24 * 3_600 * 1_000_000;
/// How long whoever does a job is believed to do it without a word, in microseconds.
pub const JOB_LEASE_US: i64 = 30 * 1_000_000;
/// Bytes of one line of an import.
pub const IMPORT_LINE_BYTES: usize = 128 << 20;
/// What an archive may send without being a job: one that is sent each minute is not to fill the list, nor the log.
pub const ARCHIVE_UNLISTED_BYTES: u64 = 16 << 20;
/// Microseconds for which it is remembered how far an unfinished import has come: 7 days.
pub const IMPORT_KEPT_US: i64 = 7 * 24 * 3_600 * 1_000_000;
/// Microseconds for which it is remembered how far a load has come: 7 days.
pub const LOAD_KEPT_US: i64 = 7 * 24 * 3_600 * 1_000_000;
/// Snapshots that are kept for the further pages of searches; beyond, the one goes that was not used for longest.
pub const SEARCH_PINS: usize = 64;
/// Microseconds for which the snapshot of a search's pages is kept after it was used last: one minute.
pub const SEARCH_PIN_IDLE_US: u64 = 60 * 1_000_000;
/// Bytes of memory tables that are kept for nothing but further pages of searches.
pub const SEARCH_PINNED_BYTES: usize = 256 << 20;
/// Bytes of what stands before, or behind, a word that is highlighted.
pub const HIGHLIGHT_TAG_BYTES: usize = 64;
/// Records that the second stage of a search scores anew.
pub const RERANK_CANDIDATES: usize = 10_000;
/// Records from which a search chooses hits that are not all alike.
pub const DIVERSITY_CANDIDATES: usize = 1_000;
/// Records from which one traversal starts.
pub const TRAVERSAL_STARTS: usize = 100;
/// Types of links that one request names.
pub const LINK_TYPES: usize = 100;
/// Links of a path that a traversal follows.
pub const TRAVERSAL_DEPTH: usize = 10;
/// Records that one traversal tells.
pub const TRAVERSAL_HITS: usize = 1_000;
/// Records that one traversal looks at.
pub const TRAVERSAL_RECORDS: usize = 10_000;
/// Links that one traversal looks at.
pub const TRAVERSAL_LINKS: usize = 100_000;
/// Parts of a formula: numbers, fields, and what is computed of them.
pub const FORMULA_PARTS: usize = 256;
