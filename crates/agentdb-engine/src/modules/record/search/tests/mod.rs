//! Searches against what they mean.

mod explain;
mod highlight;
mod pages;
mod refusals;
mod stages;
mod words;
