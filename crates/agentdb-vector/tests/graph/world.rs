//! What the tests share: vectors that lie in clusters, the full vectors beside a graph, the exact index as judge.

use std::collections::BTreeMap;

use agentdb_types::{Code, Error, Lsn, Result};
use agentdb_vector::{
    Dimension, Entry, FlatIndex, Graph, GraphFilter, GraphQuery, GraphSettings, Hit, Metric, Report,
};
use agentdb_vector::{Slot, Vectors};

/// A deterministic stream of numbers.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// In -1..1.
    pub fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// Around one of 40 centres, as the vectors of real things are.
    pub fn vector(&mut self, dimension: usize) -> Vec<f32> {
        let mut centre = Noise::new(self.next() % 40 + 1);
        (0..dimension).map(|_| centre.float() + 0.7 * self.float()).collect()
    }

    pub fn vectors(&mut self, count: usize, dimension: usize) -> Vec<Vec<f32>> {
        (0..count).map(|_| self.vector(dimension)).collect()
    }
}

/// The full vectors, by slot and birth.
#[derive(Default)]
pub struct Full(pub BTreeMap<(Slot, Lsn), Vec<f32>>);

impl Vectors for Full {
    fn vector(&self, entry: Entry) -> Result<&[f32]> {
        let found = self.0.get(&(entry.slot, entry.born)).map(Vec::as_slice);
        found.ok_or_else(|| Error::new(Code::InvalidValue).with("field", "slot").with("reason", entry.slot))
    }
}

/// A graph, the exact index with the same changes, and the full vectors.
pub struct World {
    pub graph: Graph,
    pub exact: FlatIndex,
    pub full: Full,
    pub now: Lsn,
}

impl World {
    pub fn new(dimension: usize, metric: Metric, settings: GraphSettings, sample: &[Vec<f32>]) -> Self {
        let dimension = Dimension::new(dimension).unwrap();
        let sample = sample.iter().map(Vec::as_slice);
        World {
            graph: Graph::new(dimension, metric, settings, sample).unwrap(),
            exact: FlatIndex::new(dimension, metric),
            full: Full::default(),
            now: Lsn(0),
        }
    }

    /// A world that holds `vectors` under the slots from 0 on.
    pub fn filled(metric: Metric, vectors: &[Vec<f32>]) -> Self {
        let mut world = World::new(vectors[0].len(), metric, GraphSettings::default(), vectors);
        for (slot, vector) in vectors.iter().enumerate() {
            world.insert(slot as Slot, vector);
        }
        world
    }

    pub fn insert(&mut self, slot: Slot, vector: &[f32]) {
        self.now = self.now.next();
        self.graph.insert(slot, self.now, vector).unwrap();
        self.exact.insert(slot, self.now, vector).unwrap();
        self.full.0.insert((slot, self.now), vector.to_vec());
    }

    pub fn delete(&mut self, slot: Slot) -> bool {
        self.now = self.now.next();
        let deleted = self.graph.delete(slot, self.now);
        assert_eq!(deleted, self.exact.delete(slot, self.now));
        deleted
    }

    /// Takes out everything that died, in steps.
    pub fn repair(&self, step: usize) -> usize {
        let mut removed = 0;
        loop {
            let progress = self.graph.repair(self.now, step);
            removed += progress.removed;
            if progress.left == 0 {
                return removed;
            }
        }
    }

    /// Searches, checks all of the answer that is certain, and returns it with how much of the exact one it holds.
    pub fn search(&self, query: &GraphQuery<'_>) -> (Vec<Hit>, Report, f64) {
        let mut hits = Vec::new();
        let report = self.graph.search(query, &self.full, &mut hits).unwrap();
        let keep = query.filter.map(|filter| filter.keep);
        let every = self.exact.search(query.vector, usize::MAX, query.at, keep).unwrap();
        let wanted = &every[..every.len().min(query.k)];
        assert!(hits.len() <= wanted.len(), "{} of {}", hits.len(), wanted.len());
        for pair in hits.windows(2) {
            let order = self.graph.metric().compare(pair[0].score, pair[1].score);
            assert!(order.then(pair[0].slot.cmp(&pair[1].slot)).is_lt(), "{pair:?}");
        }
        for hit in &hits {
            // Visible, passing, and the same score bit for bit.
            let exact = every.iter().find(|e| e.slot == hit.slot);
            assert_eq!(exact.map(|e| e.score.to_bits()), Some(hit.score.to_bits()), "{hit:?}");
        }
        let found = wanted.iter().filter(|e| hits.iter().any(|hit| hit.slot == e.slot)).count();
        let share = if wanted.is_empty() { 1.0 } else { found as f64 / wanted.len() as f64 };
        (hits, report, share)
    }

    /// The mean recall@10 of queries at the newest snapshot.
    pub fn recall(&self, queries: &[Vec<f32>], ef: usize, filter: Option<GraphFilter<'_>>) -> f64 {
        let shares = queries.iter().map(|vector| {
            let query = GraphQuery { vector, k: 10, ef, rerank: Graph::rerank(ef), at: self.now, filter };
            self.search(&query).2
        });
        shares.sum::<f64>() / queries.len() as f64
    }
}
