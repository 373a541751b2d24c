//! The digest: a set hash of a namespace's rows that is kept up to date row by row.
//!
//! LtHash with 1,024 lanes of 16 bits (Bellare and Micciancio's AdHash over a lattice; parameters of Lewi, Kim, Maykov
//! and Weis, "Securing Update Propagation with Homomorphic Hashing", 2019), over BLAKE3 as an extendable-output function.

use std::fmt;

use agentdb_types::Lsn;

const LANES: usize = 1024;
const BYTES: usize = LANES * 2;

/// The state of a set hash: adding a row and removing it again leaves no trace, in any order.
#[derive(Clone, PartialEq, Eq)]
pub struct SetHash(Box<[u16; LANES]>);

impl Default for SetHash {
    fn default() -> Self {
        SetHash(Box::new([0; LANES]))
    }
}

impl SetHash {
    pub(crate) fn add(&mut self, key: &[u8], lsn: Lsn, body: &[u8]) {
        for (lane, e) in self.0.iter_mut().zip(expand(key, lsn, body)) {
            *lane = lane.wrapping_add(e);
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8], lsn: Lsn, body: &[u8]) {
        for (lane, e) in self.0.iter_mut().zip(expand(key, lsn, body)) {
            *lane = lane.wrapping_sub(e);
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|lane| lane.to_le_bytes()).collect()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != BYTES {
            return None;
        }
        let mut hash = SetHash::default();
        for (lane, pair) in hash.0.iter_mut().zip(bytes.chunks_exact(2)) {
            *lane = u16::from_le_bytes([pair[0], pair[1]]);
        }
        Some(hash)
    }

    /// The digest: BLAKE3 of the state.
    pub fn digest(&self) -> Digest {
        Digest(*blake3::hash(&self.to_bytes()).as_bytes())
    }
}

fn expand(key: &[u8], lsn: Lsn, body: &[u8]) -> impl Iterator<Item = u16> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(&lsn.0.to_le_bytes());
    hasher.update(body);
    let mut out = [0u8; BYTES];
    hasher.finalize_xof().fill(&mut out);
    (0..LANES).map(move |i| u16::from_le_bytes([out[2 * i], out[2 * i + 1]]))
}

/// What two replicas with the same rows of a namespace have in common, and two with different rows have not.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_removal_undoes() {
        let rows: [(&[u8], u64, &[u8]); 3] = [(b"a", 1, b"x"), (b"b", 2, b""), (b"", 3, b"yy")];
        let mut forward = SetHash::default();
        rows.iter().for_each(|(k, l, b)| forward.add(k, Lsn(*l), b));
        let mut backward = SetHash::default();
        rows.iter().rev().for_each(|(k, l, b)| backward.add(k, Lsn(*l), b));
        assert_eq!(forward.digest(), backward.digest());
        backward.remove(b"b", Lsn(2), b"");
        assert_ne!(forward.digest(), backward.digest());
        backward.remove(b"a", Lsn(1), b"x");
        backward.remove(b"", Lsn(3), b"yy");
        assert!(backward == SetHash::default());
        assert!(SetHash::from_bytes(&forward.to_bytes()).unwrap() == forward);
    }

    #[test]
    fn the_border_between_key_and_body_counts() {
        let (mut a, mut b) = (SetHash::default(), SetHash::default());
        a.add(b"ab", Lsn(1), b"c");
        b.add(b"a", Lsn(1), b"bc");
        assert!(a != b);
    }
}
