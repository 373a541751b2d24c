//! Inverted lists of sparse vectors: for each index of a component, the records that have it.

use std::collections::HashMap;

use crate::sparse::SparseComponents;

/// Entries of a block, at most: what a change in the middle of a list moves.
const BLOCK: usize = 512;
/// A search whose lists hold at least one entry for so many records keeps scores in an array of all records.
const DENSE: usize = 16;

/// The sparse vectors of a collection's records, by number of the vectors' name and by index.
#[derive(Default)]
pub(super) struct Postings {
    lists: HashMap<(u64, u32), List>,
    entries: usize,
}

/// Records that have a component, in the order of their ordinals, in blocks that are not empty.
#[derive(Default)]
struct List {
    blocks: Vec<Vec<(u32, f32)>>,
}

impl Postings {
    /// Adds the vector of a record that has none of this number.
    pub(super) fn insert(&mut self, number: u64, ordinal: u32, vector: &SparseComponents) {
        for &(index, value) in &vector.0 {
            self.lists.entry((number, index)).or_default().insert(ordinal, value);
        }
        self.entries += vector.0.len();
    }

    /// Takes the vector of a record away.
    pub(super) fn remove(&mut self, number: u64, ordinal: u32, vector: &SparseComponents) {
        for &(index, _) in &vector.0 {
            if let Some(list) = self.lists.get_mut(&(number, index))
                && list.remove(ordinal)
            {
                self.entries -= 1;
                if list.blocks.is_empty() {
                    self.lists.remove(&(number, index));
                }
            }
        }
    }

    /// The scores of all records that share an index with a query; `records` are all that there ever were. Products are added in
    /// the order of indices.
    pub(super) fn scores(&self, number: u64, query: &SparseComponents, records: usize) -> Vec<(u32, f64)> {
        let lists: Vec<(f32, &List)> = query
            .0
            .iter()
            .filter_map(|(index, value)| Some((*value, self.lists.get(&(number, *index))?)))
            .collect();
        let entries: usize = lists.iter().map(|(_, list)| list.len()).sum();
        if entries * DENSE < records {
            let mut scores: HashMap<u32, f64> = HashMap::with_capacity(entries);
            for (weight, list) in lists {
                list.entries().for_each(|(ordinal, value)| {
                    *scores.entry(ordinal).or_insert(0.0) += f64::from(weight) * f64::from(value)
                });
            }
            return scores.into_iter().collect();
        }
        let (mut scores, mut has) = (vec![0.0; records], vec![false; records]);
        for (weight, list) in lists {
            for (ordinal, value) in list.entries() {
                scores[ordinal as usize] += f64::from(weight) * f64::from(value);
                has[ordinal as usize] = true;
            }
        }
        let found = scores.into_iter().zip(has).enumerate();
        found.filter(|(_, (_, has))| *has).map(|(ordinal, (score, _))| (ordinal as u32, score)).collect()
    }

    /// About how many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.entries * size_of::<(u32, f32)>() + self.lists.len() * 64
    }
}

impl List {
    fn len(&self) -> usize {
        self.blocks.iter().map(Vec::len).sum()
    }

    fn entries(&self) -> impl Iterator<Item = (u32, f32)> + '_ {
        self.blocks.iter().flatten().copied()
    }

    /// The block that has, or would have, a record.
    fn block(&self, ordinal: u32) -> usize {
        self.blocks.partition_point(|block| block[0].0 <= ordinal).saturating_sub(1)
    }

    fn insert(&mut self, ordinal: u32, value: f32) {
        let at = self.block(ordinal);
        let Some(block) = self.blocks.get_mut(at) else { return self.blocks.push(vec![(ordinal, value)]) };
        match block.binary_search_by_key(&ordinal, |(of, _)| *of) {
            Ok(place) => block[place].1 = value,
            Err(place) => {
                block.insert(place, (ordinal, value));
                if block.len() > BLOCK {
                    // Records come mostly at the end: what is before it stays full then.
                    let keep = if place + 1 == block.len() { BLOCK } else { BLOCK / 2 };
                    let rest = block.split_off(keep);
                    self.blocks.insert(at + 1, rest);
                }
            }
        }
    }

    fn remove(&mut self, ordinal: u32) -> bool {
        let at = self.block(ordinal);
        let Some(block) = self.blocks.get_mut(at) else { return false };
        let Ok(place) = block.binary_search_by_key(&ordinal, |(of, _)| *of) else { return false };
        block.remove(place);
        if block.is_empty() {
            self.blocks.remove(at);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use agentdb_env::sim::Random;

    use super::*;

    /// Against one vector after another, whatever is put, replaced and taken away.
    #[test]
    fn scores_are_the_products_of_the_vectors_that_are_there() {
        for seed in 0..6 {
            let mut random = Random::new(seed);
            let records = 1 + random.below(3_000) as u32;
            let indices = [3, 40, 4_000][seed as usize % 3];
            let vector = |random: &mut Random, most: u64| {
                let of = |n: u64, random: &mut Random| (random.below(indices) as u32, n as f32 - 2.5);
                let components: BTreeMap<u32, f32> =
                    (0..1 + random.below(most)).map(|n| of(n, random)).collect();
                SparseComponents(components.into_iter().collect())
            };
            let (mut postings, mut there) = (Postings::default(), BTreeMap::new());
            for _ in 0..4_000 {
                let ordinal = random.below(u64::from(records)) as u32;
                if let Some(old) = there.remove(&ordinal) {
                    postings.remove(7, ordinal, &old);
                }
                if random.chance(4, 5) {
                    let new = vector(&mut random, 8);
                    postings.insert(7, ordinal, &new);
                    there.insert(ordinal, new);
                }
            }
            assert_eq!(postings.entries, there.values().map(|vector| vector.0.len()).sum::<usize>());
            for _ in 0..40 {
                let query = vector(&mut random, 5);
                let mut found = postings.scores(7, &query, records as usize);
                found.sort_by_key(|(ordinal, _)| *ordinal);
                let expected = there.iter().filter_map(|(ordinal, of)| Some((*ordinal, query.dot(of)?)));
                assert_eq!(found, expected.collect::<Vec<_>>(), "seed {seed}");
                assert_eq!(postings.scores(8, &query, records as usize), []);
            }
            for (ordinal, vector) in there {
                postings.remove(7, ordinal, &vector);
            }
            assert_eq!((postings.entries, postings.lists.len()), (0, 0));
        }
    }
}
