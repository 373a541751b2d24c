//! What every system is asked to do.

use std::ops::Range;
use std::time::Instant;

use agentdb::Value;
use anyhow::{Result, ensure};

use super::data::{Data, Query};

/// Records of one write.
pub const BATCH: usize = 1_000;

/// What is searched for, by all queries; the ten best are given back with text and payload, but of `Words` the ids alone. Filters are
/// those of payloads.
pub enum Search {
    Words,
    Records,
    Vector(Value),
    Hybrid(Value),
}

/// A system under measurement; `None` means that it does not offer this. Times are in nanoseconds, of its own calls alone: batches
/// and queries are made before.
pub trait System {
    fn name(&self) -> &'static str;
    /// Stores records, a batch at a time, each durable when its call returns, or as it comes; what the calls took. Records that are not durable
    /// go to a place of their own, where nothing is searched.
    fn load(&mut self, range: Range<usize>, durable: bool) -> Result<Option<u64>>;
    /// Makes indexes of what is stored.
    fn index(&mut self) -> Result<u64>;
    /// How large its indexes of words and payloads are in memory.
    fn index_bytes(&self) -> Result<Option<u64>> {
        Ok(None)
    }
    fn search(&mut self, search: &Search) -> Result<Option<Answers>>;
    /// So many times a put that is durable, then a search by a word of it and a filter, whose first hit it must be.
    fn alternate(&mut self, count: usize) -> Result<Option<Alternated>>;
}

/// What each query took, and what it found, best first.
pub struct Answers<T = Vec<String>> {
    pub took: Vec<u64>,
    pub found: Vec<T>,
}

impl<T> Answers<T> {
    pub fn map<U>(self, with: impl FnMut(T) -> U) -> Answers<U> {
        Answers { took: self.took, found: self.found.into_iter().map(with).collect() }
    }
}

pub fn each_query<T>(data: &Data, mut each: impl FnMut(&Query) -> Result<T>) -> Result<Answers<T>> {
    let mut answers = Answers { took: Vec::new(), found: Vec::new() };
    for query in &data.queries {
        let (took, found) = timed(|| each(query))?;
        answers.took.push(took);
        answers.found.push(found);
    }
    Ok(answers)
}

pub struct Alternated {
    pub puts: Vec<u64>,
    pub searches: Vec<u64>,
}

impl Alternated {
    pub fn run(
        count: usize,
        put: impl Fn(&str, String) -> Result<()>,
        find: impl Fn(&str) -> Result<Option<String>>,
    ) -> Result<Self> {
        let mut took = Alternated { puts: Vec::new(), searches: Vec::new() };
        for number in 0..count {
            let (id, word) = (format!("new{number}"), format!("unheard{number}"));
            let text = format!("{word} w7 w9");
            took.puts.push(timed(|| put(&id, text))?.0);
            let (searched, found) = timed(|| find(&word))?;
            took.searches.push(searched);
            ensure!(found.as_ref() == Some(&id), "{id} is not found: {found:?}");
        }
        Ok(took)
    }
}

pub fn timed<T>(call: impl FnOnce() -> Result<T>) -> Result<(u64, T)> {
    let began = Instant::now();
    let answer = call()?;
    Ok((began.elapsed().as_nanos() as u64, answer))
}
