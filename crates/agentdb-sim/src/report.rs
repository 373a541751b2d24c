//! What a run saw, or how it failed.

use std::collections::BTreeMap;
use std::fmt;

/// What happened in a run, for proof that everything does happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Counts by name: operations, answers, faults, tasks, mutations.
    pub counts: BTreeMap<String, u64>,
    /// A hash over every file operation and every answer: equal for equal seeds.
    pub trace: u64,
}

impl Report {
    pub(crate) fn count(&mut self, name: &str, by: u64) {
        if by > 0 {
            *self.counts.entry(name.to_owned()).or_default() += by;
        }
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Report) {
        for (name, by) in &other.counts {
            self.count(name, *by);
        }
        self.trace ^= other.trace;
    }

    pub(crate) fn hash(&mut self, text: &str) {
        for byte in text.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// A run that found the engine wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed that shows it.
    pub seed: u64,
    /// What was wrong.
    pub what: String,
    /// What happened before, oldest first.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.what)?;
        writeln!(f, "replay: AGENTDB_SEED={} cargo test -p agentdb-sim replay -- --nocapture", self.seed)?;
        for line in self
            .trace
            .iter()
            .rev()
            .take(if std::env::var_os("AGENTDB_SEED").is_some() { usize::MAX } else { 40 })
            .rev()
        {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
