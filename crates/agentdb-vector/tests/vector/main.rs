//! The flat index from outside: against a model, at its edges, under concurrency.

mod concurrent;
mod edges;
mod model;
