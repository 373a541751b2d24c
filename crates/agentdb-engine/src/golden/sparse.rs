//! A file without its zeros: its length, then runs of what is not zero, each an offset, a length and the bytes. All
//! numbers are `u64`, little-endian.

/// What the name of such a file ends with.
pub(super) const SUFFIX: &str = ".sparse";

/// Shorter gaps between runs are kept.
const GAP: usize = 32;

pub(super) fn shrink(file: &[u8]) -> Vec<u8> {
    let mut out = (file.len() as u64).to_le_bytes().to_vec();
    let mut at = 0;
    while let Some(start) = file[at..].iter().position(|b| *b != 0).map(|zeros| at + zeros) {
        let gap = file[start..].windows(GAP).position(|window| window.iter().all(|b| *b == 0));
        let end = gap.map_or(file.len(), |run| start + run);
        out.extend_from_slice(&(start as u64).to_le_bytes());
        out.extend_from_slice(&((end - start) as u64).to_le_bytes());
        out.extend_from_slice(&file[start..end]);
        at = end;
    }
    out
}

pub(super) fn expand(sparse: &[u8]) -> Vec<u8> {
    let number = |at: usize| u64::from_le_bytes(sparse[at..at + 8].try_into().unwrap()) as usize;
    let mut file = vec![0; number(0)];
    let mut at = 8;
    while at < sparse.len() {
        let (start, len) = (number(at), number(at + 8));
        file[start..start + len].copy_from_slice(&sparse[at + 16..at + 16 + len]);
        at += 16 + len;
    }
    file
}

#[test]
fn what_is_shrunk_expands_to_the_same() {
    let mut random = agentdb_env::sim::Random::new(1);
    for _ in 0..300 {
        let mut file = Vec::new();
        for _ in 0..random.below(6) {
            file.extend(std::iter::repeat_n(random.below(3) as u8, random.below(100) as usize));
        }
        assert_eq!(expand(&shrink(&file)), file);
    }
}
