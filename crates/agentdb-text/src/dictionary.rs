//! The terms of a segment, sorted: a term's number is its rank.

use std::ops::Range;

use levenshtein_automata::{DFA, Distance, SINK_STATE};

/// Of so many terms one has its head beside the others': few enough heads to stay in the processor's cache, and few enough terms
/// between two of them.
const STRIDE: usize = 32;

/// Terms with the number of their field before them, in the order of their bytes.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    /// All keys, one behind the other.
    bytes: Vec<u8>,
    /// Where each key ends.
    ends: Vec<u32>,
    /// The heads of every 32nd key, which narrow a search before it looks at keys: those lie apart, and each look may wait for memory.
    heads: Vec<u64>,
}

/// The first eight bytes of a key as a number: of two keys the lesser never has the greater head.
fn head(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let taken = key.len().min(8);
    bytes[..taken].copy_from_slice(&key[..taken]);
    u64::from_be_bytes(bytes)
}

impl Dictionary {
    /// Keys one behind the other, and where each ends, which must ascend and not pass the bytes.
    pub(crate) fn new(bytes: Vec<u8>, ends: Vec<u32>) -> Self {
        let mut dictionary = Dictionary { bytes, ends, heads: Vec::new() };
        let heads = (0..dictionary.len()).step_by(STRIDE).map(|term| head(dictionary.key(term)));
        dictionary.heads = heads.collect();
        dictionary
    }

    /// Appends a key, which must be greater than those before.
    pub(crate) fn push(&mut self, key: &[u8]) {
        if self.len().is_multiple_of(STRIDE) {
            self.heads.push(head(key));
        }
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len() as u32);
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.heads.shrink_to_fit();
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * 4 + self.heads.capacity() * 8
    }

    /// All keys, one behind the other.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each key ends.
    pub(crate) fn ends(&self) -> &[u32] {
        &self.ends
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
        let at = self.lower_bound(self.around(key), |k| k < key);
        (at < self.len() && self.key(at) == key).then_some(at)
    }

    /// The terms whose keys begin with `prefix`.
    pub(crate) fn prefixed(&self, prefix: &[u8]) -> Range<usize> {
        let start = self.lower_bound(self.around(prefix), |k| k < prefix);
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

    /// The terms among which the first is that is not less than `key`, unless that is the one behind them.
    fn around(&self, key: &[u8]) -> Range<usize> {
        let head = head(key);
        let first = self.heads.partition_point(|each| *each < head).saturating_sub(1);
        let end = self.heads.partition_point(|each| *each <= head);
        first * STRIDE..self.len().min(end * STRIDE)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_no_other() {
        for count in [0, 1, 31, 32, 33, 64, 65, 700] {
            // Keys that share their first eight bytes, keys that are shorter, and one byte that is zero.
            let mut keys: Vec<Vec<u8>> =
                (0..count).map(|n| format!("\0\0long beginning {n:03}").into_bytes()).collect();
            keys.extend((0..count).map(|n| format!("\0\x01{n}").into_bytes()));
            keys.extend([b"\0\x01".to_vec(), b"\0\x01a\0".to_vec(), b"\0\x01a".to_vec()]);
            keys.sort();
            let mut pushed = Dictionary::default();
            keys.iter().for_each(|key| pushed.push(key));
            let stored = Dictionary::new(pushed.bytes.clone(), pushed.ends.clone());
            assert_eq!(pushed.heads, stored.heads);
            for (term, key) in keys.iter().enumerate() {
                assert_eq!(stored.find(key), Some(term));
                for other in
                    [[&key[..], b"\0"].concat(), [&key[..], b"z"].concat(), key[..key.len() - 1].to_vec()]
                {
                    assert_eq!(stored.find(&other), keys.iter().position(|k| *k == other));
                    let prefixed: Vec<usize> =
                        (0..keys.len()).filter(|n| keys[*n].starts_with(&other)).collect();
                    assert_eq!(stored.prefixed(&other).collect::<Vec<_>>(), prefixed);
                }
            }
        }
    }
}
