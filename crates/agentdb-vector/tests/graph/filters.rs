//! Filters of every selectivity: the recall that is promised, and the plan that is taken.

use agentdb_vector::{GraphFilter, GraphQuery, Metric, Plan, Slot};

use super::world::{Noise, World};

const ROWS: usize = 6_000;

fn with_filter(world: &World, keep: &dyn Fn(Slot) -> bool, f: &mut dyn FnMut(GraphFilter<'_>)) {
    let passing: Vec<Slot> = (0..ROWS as Slot).filter(|slot| keep(*slot)).collect();
    let slots = |each: &mut dyn FnMut(Slot)| passing.iter().for_each(|slot| each(*slot));
    assert!(!world.graph.is_empty());
    f(GraphFilter { keep, matches: passing.len(), slots: &slots });
}

#[test]
fn recall_holds_at_every_selectivity() {
    let mut noise = Noise::new(11);
    let (vectors, queries) = (noise.vectors(ROWS, 24), noise.vectors(100, 24));
    let world = World::filled(Metric::Cosine, &vectors);
    for one_in in [1u64, 2, 10, 100, 1_000] {
        with_filter(
            &world,
            &|slot| slot.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40 < (1 << 24) / one_in,
            &mut |filter| {
                let recall = world.recall(&queries, 60, Some(filter));
                assert!(recall >= 0.95, "one in {one_in}: {recall}");
            },
        );
    }
}

#[test]
fn a_filter_that_keeps_a_far_cluster_is_walked_inside() {
    let mut noise = Noise::new(12);
    let mut vectors = noise.vectors(ROWS, 24);
    // Half of all lies together, far from every query.
    for vector in vectors.iter_mut().take(ROWS / 2) {
        for (i, x) in vector.iter_mut().enumerate() {
            *x = 0.05 * *x + if i % 2 == 0 { 4.0 } else { -4.0 };
        }
    }
    let queries = noise.vectors(40, 24);
    let world = World::filled(Metric::Euclidean, &vectors);
    with_filter(&world, &|slot| slot < ROWS as Slot / 2, &mut |filter| {
        assert!(world.recall(&queries, 60, Some(filter)) >= 0.95);
        let mut inside = 0;
        for vector in &queries {
            let query = GraphQuery { vector, k: 10, ef: 60, rerank: 20, at: world.now, filter: Some(filter) };
            let report = world.search(&query).1;
            inside += usize::from(report.plan == Plan::Inside);
            // Each of both walks meets a node once at most.
            assert!(report.compared <= 2 * ROWS, "{report:?}");
        }
        assert!(inside > queries.len() / 2, "{inside}");
    });
}

#[test]
fn the_plan_follows_the_number_of_matches() {
    let vectors = Noise::new(13).vectors(ROWS, 8);
    let world = World::filled(Metric::Dot, &vectors);
    let plan = |keep: &dyn Fn(Slot) -> bool| {
        let mut plan = Plan::Nearest;
        with_filter(&world, keep, &mut |filter| {
            let (vector, at) = (&vectors[5], world.now);
            let query = GraphQuery { vector, k: 5, ef: 20, rerank: 20, at, filter: Some(filter) };
            plan = world.search(&query).1.plan;
        });
        plan
    };
    assert_eq!(plan(&|slot| slot % 500 == 0), Plan::Scan);
    assert_eq!(plan(&|slot| slot % 500 != 0), Plan::Matching);
    assert_eq!(plan(&|_| false), Plan::Scan);
    let query = GraphQuery { vector: &vectors[5], k: 5, ef: 20, rerank: 20, at: world.now, filter: None };
    assert_eq!(world.search(&query).1.plan, Plan::Nearest);
}
