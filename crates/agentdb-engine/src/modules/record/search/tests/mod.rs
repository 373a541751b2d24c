//! Searches against what they mean.

mod explain;
mod feedback;
mod highlight;
mod pages;
mod refusals;
mod sparse;
mod stages;
mod words;
