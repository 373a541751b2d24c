//! Searches against what they mean.

mod explain;
mod highlight;
mod pages;
mod refusals;
mod sparse;
mod stages;
mod words;
