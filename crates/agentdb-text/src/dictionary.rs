//! The terms of a segment, sorted: a term's number is its rank.

use std::ops::Range;

use levenshtein_automata::{DFA, Distance, SINK_STATE};

/// Terms with the number of their field before them, in the order of their bytes.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    /// All keys, one behind the other.
    pub(crate) bytes: Vec<u8>,
    /// Where each key ends.
    pub(crate) ends: Vec<u32>,
}

impl Dictionary {
    /// Appends a key, which must be greater than those before.
    pub(crate) fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len() as u32);
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn key(&self, term: usize) -> &[u8] {
        let start = if term == 0 { 0 } else { self.ends[term - 1] as usize };
        &self.bytes[start..self.ends[term] as usize]
    }

    /// The number of a key.
    pub(crate) fn find(&self, key: &[u8]) -> Option<usize> {
        let at = self.lower_bound(0..self.len(), |k| k < key);
        (at < self.len() && self.key(at) == key).then_some(at)
    }

    /// The terms whose keys begin with `prefix`.
    pub(crate) fn prefixed(&self, prefix: &[u8]) -> Range<usize> {
        let start = self.lower_bound(0..self.len(), |k| k < prefix);
        let end = self.lower_bound(start..self.len(), |k| k.starts_with(prefix));
        start..end
    }

    /// Tells the terms of a field that the automaton takes behind a prefix, with their distances.
    /// Where no continuation can be taken any more, all terms with that beginning are passed over at once.
    pub(crate) fn fuzzy(&self, prefix: &[u8], dfa: &DFA, each: &mut dyn FnMut(usize, u8)) {
        let Range { start: mut at, end } = self.prefixed(prefix);
        // The states behind each byte of the last term, so that a shared beginning is not read again.
        let mut states = vec![dfa.initial_state()];
        let mut last: &[u8] = &[];
        while at < end {
            let rest = &self.key(at)[prefix.len()..];
            let shared = last.iter().zip(rest).take_while(|(a, b)| a == b).count().min(states.len() - 1);
            states.truncate(shared + 1);
            let mut dead = states[shared] == SINK_STATE;
            while !dead && states.len() <= rest.len() {
                let next = dfa.transition(states[states.len() - 1], rest[states.len() - 1]);
                states.push(next);
                dead = next == SINK_STATE;
            }
            last = rest;
            if dead {
                let beginning = &self.key(at)[..prefix.len() + states.len() - 1];
                at = self.gallop(at, end, beginning);
                continue;
            }
            if let Distance::Exact(distance) = dfa.distance(states[rest.len()]) {
                each(at, distance);
            }
            at += 1;
        }
    }

    /// The first term from `at` on that does not begin like this.
    fn gallop(&self, at: usize, end: usize, beginning: &[u8]) -> usize {
        let mut step = 1;
        while at + step < end && self.key(at + step).starts_with(beginning) {
            step *= 2;
        }
        self.lower_bound(at + step / 2..end.min(at + step), |k| k.starts_with(beginning))
    }

    fn lower_bound(&self, range: Range<usize>, before: impl Fn(&[u8]) -> bool) -> usize {
        let Range { mut start, mut end } = range;
        while start < end {
            let middle = start + (end - start) / 2;
            if before(self.key(middle)) { start = middle + 1 } else { end = middle }
        }
        start
    }
}
