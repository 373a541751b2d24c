//! Random histories: whatever was inserted, replaced, deleted and repaired, an answer holds only what the snapshot sees, with the
//! exact index's scores, and a search that may look at everything finds everything.

use agentdb_types::Lsn;
use agentdb_vector::{GraphFilter, GraphQuery, GraphSettings, Metric, Slot};
use proptest::prelude::*;

use super::world::{Noise, World};

#[derive(Clone, Debug)]
enum Step {
    Insert(Slot, u64),
    Delete(Slot),
    /// A step of a repair at a watermark so far back.
    Repair(u64, usize),
    Search {
        seed: u64,
        k: usize,
        ef: usize,
        back: u64,
        odd: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let search = (any::<u64>(), 0..20usize, 1..40usize, 0..50u64, any::<bool>())
        .prop_map(|(seed, k, ef, back, odd)| Step::Search { seed, k, ef, back, odd });
    prop_oneof![
        10 => (0..150u64, any::<u64>()).prop_map(|(slot, seed)| Step::Insert(slot, seed)),
        4 => (0..150u64).prop_map(Step::Delete),
        2 => (0..30u64, 1..60usize).prop_map(|(back, step)| Step::Repair(back, step)),
        3 => search,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_answer_holds_what_the_snapshot_sees_and_nothing_else(
        steps in prop::collection::vec(step(), 1..500),
        dimension in 1..70usize,
        metric in prop::sample::select(&Metric::ALL),
        links in 4..17usize,
    ) {
        let sample = Noise::new(5).vectors(50, dimension);
        let settings = GraphSettings { degree: 16, links, ef: 40, slack: 1.0 };
        let mut world = World::new(dimension, metric, settings, &sample);
        let mut oldest = Lsn(0);
        let (mut found, mut searches) = (0.0, 0);
        for step in &steps {
            match step {
                Step::Insert(slot, seed) => world.insert(*slot, &Noise::new(*seed).vector(dimension)),
                Step::Delete(slot) => {
                    world.delete(*slot);
                }
                Step::Repair(back, step) => {
                    oldest = oldest.max(Lsn(world.now.0.saturating_sub(*back)));
                    world.graph.repair(oldest, *step);
                }
                Step::Search { seed, k, ef, back, odd } => {
                    let vector = Noise::new(*seed).vector(dimension);
                    let at = oldest.max(Lsn(world.now.0.saturating_sub(*back)));
                    let keep = |slot: Slot| slot % 2 == 1;
                    let slots = |each: &mut dyn FnMut(Slot)| (0..75).for_each(|i| each(2 * i + 1));
                    let filter = GraphFilter { keep: &keep, matches: world.graph.len() / 2, slots: &slots };
                    let filter = odd.then_some(filter);
                    let query = GraphQuery { vector: &vector, k: *k, ef: *ef, rerank: *ef, at, filter };
                    let (hits, report, _) = world.search(&query);
                    prop_assert!(hits.len() <= report.scored.max(*k) && report.scored <= report.compared);
                    // The scan finds the newest of each slot alone, so that everything is asked for without a filter.
                    let everything = GraphQuery { k: 10, ef: 1_000, rerank: 1_000, filter: None, ..query };
                    found += world.search(&everything).2;
                    searches += 1;
                }
            }
        }
        let living = world.exact.len();
        prop_assert_eq!(world.graph.len(), living);
        prop_assert!(searches == 0 || found / f64::from(searches) > 0.97, "{found} of {searches}");
    }
}
