//! The flat index against a naive model: every answer must be the same bit for bit, on every kernel.

use agentdb_types::{Code, Lsn, limits};
use agentdb_vector::{Dimension, FlatIndex, Hit, Kernel, Metric, Slot};
use proptest::prelude::*;

/// A list of everything that was ever inserted.
#[derive(Default)]
struct Model(Vec<Entry>);

struct Entry {
    slot: Slot,
    born: Lsn,
    died: Option<Lsn>,
    vector: Vec<f32>,
}

impl Model {
    fn delete(&mut self, slot: Slot, lsn: Lsn) -> bool {
        let living = self.0.iter_mut().find(|e| e.slot == slot && e.died.is_none());
        living.map(|e| e.died = Some(lsn)).is_some()
    }

    fn insert(&mut self, slot: Slot, born: Lsn, vector: Vec<f32>) {
        self.delete(slot, born);
        self.0.push(Entry { slot, born, died: None, vector });
    }

    fn visible(&self, at: Lsn) -> impl Iterator<Item = &Entry> {
        self.0.iter().filter(move |e| e.born <= at && e.died.is_none_or(|died| at < died))
    }

    fn search(&self, metric: Metric, query: &[f32], k: usize, at: Lsn, odd: bool) -> Vec<(Slot, u32)> {
        let kept = self.visible(at).filter(|e| !odd || e.slot % 2 == 1);
        let mut hits: Vec<Hit> =
            kept.map(|e| Hit { slot: e.slot, score: score(metric, query, &e.vector) }).collect();
        hits.sort_by(|a, b| metric.compare(a.score, b.score).then(a.slot.cmp(&b.slot)));
        hits.truncate(k);
        bits(&hits)
    }
}

fn score(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    let kernel = Kernel::available().pop().expect("the portable kernel");
    let score = match metric {
        Metric::Cosine => (kernel.exact_dot(a, b) / (kernel.norm(a) * kernel.norm(b))).clamp(-1.0, 1.0),
        Metric::Dot => kernel.exact_dot(a, b),
        Metric::Euclidean => kernel.exact_squared_euclidean(a, b).sqrt(),
    };
    (score as f32).clamp(f32::MIN, f32::MAX) + 0.0
}

fn bits(hits: &[Hit]) -> Vec<(Slot, u32)> {
    hits.iter().map(|h| (h.slot, h.score.to_bits())).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Slot, Vec<f32>),
    Delete(Slot),
    Compact(usize),
    Search { query: Vec<f32>, k: usize, back: u64, odd: bool },
}

/// Few values, so that scores tie; some of them overflow, underflow or cancel in `f32`.
fn component() -> impl Strategy<Value = f32> {
    prop_oneof![
        12 => (-2i8..3).prop_map(f32::from),
        6 => -1f32..1.0,
        1 => prop::sample::select(vec![1e30, -1e30, f32::MAX, f32::MIN, 1e-30, -1e-30, 1e-42, 1e19, -1e-19]),
    ]
}

fn vector(dimension: usize) -> impl Strategy<Value = Vec<f32>> {
    let wild = prop::collection::vec(component(), dimension);
    // Whole vectors of one magnitude, so that extremes also meet their like.
    let scale = prop::sample::select(vec![1e-44, 1e-38, 1e-25, 1e-10, 1.0, 1e10, 1e18, 1e25, 1e38]);
    let scaled = (prop::collection::vec(-3f32..3.0, dimension), scale).prop_map(|(v, s)| {
        v.into_iter().map(|x| (x * s as f32).clamp(f32::MIN, f32::MAX)).collect::<Vec<_>>()
    });
    prop_oneof![3 => wild, 1 => scaled]
}

fn step(dimension: usize) -> impl Strategy<Value = Step> {
    let search = (vector(dimension), 0..40usize, 0..60u64, any::<bool>())
        .prop_map(|(query, k, back, odd)| Step::Search { query, k, back, odd });
    prop_oneof![
        8 => (0..60u64, vector(dimension)).prop_map(|(slot, vector)| Step::Insert(slot, vector)),
        3 => (0..60u64).prop_map(Step::Delete),
        1 => (0..40usize).prop_map(Step::Compact),
        3 => search,
    ]
}

fn history() -> impl Strategy<Value = (usize, Vec<Step>)> {
    (1..40usize).prop_flat_map(|d| (Just(d), prop::collection::vec(step(d), 0..200)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn every_answer_is_that_of_the_model((dimension, steps) in history(), metric in prop::sample::select(&Metric::ALL)) {
        let dimension = Dimension::new(dimension).unwrap();
        for kernel in Kernel::available() {
            let index = FlatIndex::with_kernel(dimension, metric, kernel);
            let (mut model, mut now, mut oldest) = (Model::default(), Lsn(0), Lsn(0));
            for step in &steps {
                match step {
                    Step::Insert(slot, vector) => {
                        now = now.next();
                        match index.insert(*slot, now, vector) {
                            Ok(()) => model.insert(*slot, now, vector.clone()),
                            Err(e) => prop_assert_eq!(e.code(), Code::VectorZero),
                        }
                    }
                    Step::Delete(slot) => {
                        now = now.next();
                        prop_assert_eq!(index.delete(*slot, now), model.delete(*slot, now));
                    }
                    Step::Compact(back) => {
                        oldest = oldest.max(Lsn(now.0.saturating_sub(*back as u64)));
                        let before = model.0.len();
                        model.0.retain(|e| e.died.is_none_or(|died| died > oldest));
                        prop_assert_eq!(index.compact(oldest), before - model.0.len());
                    }
                    Step::Search { query, k, back, odd } => {
                        let at = oldest.max(Lsn(now.0.saturating_sub(*back)));
                        let filter = |slot: Slot| slot % 2 == 1;
                        let filter: Option<&dyn Fn(Slot) -> bool> = if *odd { Some(&filter) } else { None };
                        match index.search(query, *k, at, filter) {
                            Ok(hits) => prop_assert_eq!(bits(&hits), model.search(metric, query, *k, at, *odd)),
                            Err(e) => prop_assert_eq!(e.code(), Code::VectorZero),
                        }
                        for slot in 0..60 {
                            let expected = model.visible(at).find(|e| e.slot == slot);
                            let got = index.get(slot, at);
                            let to_bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                            prop_assert_eq!(got.as_deref().map(to_bits), expected.map(|e| to_bits(&e.vector)));
                        }
                    }
                }
                prop_assert_eq!(index.rows(), model.0.len());
            }
            prop_assert_eq!(index.len(), model.0.iter().filter(|e| e.died.is_none()).count());
        }
    }
}

/// A deterministic stream of numbers in -1..1.
fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

#[test]
fn many_blocks_and_chunks_at_ordinary_dimensions() {
    for (d, rows) in [(1, 5_000), (100, 4_000), (384, 1_500), (limits::DIMENSION, 150)] {
        let dimension = Dimension::new(d).unwrap();
        let mut next = noise(d as u64);
        let vectors: Vec<Vec<f32>> = (0..rows).map(|_| (0..d).map(|_| next()).collect()).collect();
        for metric in Metric::ALL {
            let mut model = Model::default();
            for (i, vector) in vectors.iter().enumerate() {
                model.insert(i as u64, Lsn(i as u64 + 1), vector.clone());
            }
            for kernel in Kernel::available() {
                let index = FlatIndex::with_kernel(dimension, metric, kernel);
                for entry in &model.0 {
                    index.insert(entry.slot, entry.born, &entry.vector).unwrap();
                }
                for (at, k, query) in [(rows, 10, 7), (rows / 2, 1, 0), (rows, 3 * rows, 3)] {
                    let (at, query) = (Lsn(at as u64), &vectors[query]);
                    let hits = index.search(query, k, at, None).unwrap();
                    assert_eq!(
                        bits(&hits),
                        model.search(metric, query, k, at, false),
                        "{d} {metric:?} {kernel:?}"
                    );
                }
            }
        }
    }
}
