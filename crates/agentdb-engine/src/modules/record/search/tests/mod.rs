//! Searches against what they mean.

mod explain;
mod feedback;
mod highlight;
mod pages;
mod refusals;
mod select;
mod sparse;
mod stages;
mod words;
