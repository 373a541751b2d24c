//! The text index against a plain reference, damage, odd texts, and a collection with judged queries.
#![allow(clippy::unwrap_used, missing_docs)]

mod bulk;
mod cranfield;
mod edges;
mod malformed;
mod model;
mod reference;
mod stored;
