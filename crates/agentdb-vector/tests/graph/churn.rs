//! Recall while the graph changes: what is taken out and put in again leaves it as good as one built anew.

use agentdb_types::Lsn;
use agentdb_vector::{GraphQuery, Metric, Slot};

use super::world::{Noise, World};

const DIMENSION: usize = 32;
const ROWS: usize = 4_000;
const EF: usize = 40;

#[test]
fn recall_holds_when_a_fifth_is_deleted_and_inserted_again_three_times() {
    let mut noise = Noise::new(1);
    let (vectors, queries) = (noise.vectors(ROWS, DIMENSION), noise.vectors(150, DIMENSION));
    for metric in Metric::ALL {
        let mut world = World::filled(metric, &vectors);
        let fresh = world.recall(&queries, EF, None);
        assert!(fresh > 0.9, "{metric:?}: {fresh}");
        let nodes = world.graph.nodes();
        for round in 0..3 {
            let gone: Vec<Slot> =
                (0..ROWS as Slot).filter(|slot| (slot * 7 + round).is_multiple_of(5)).collect();
            for slot in &gone {
                assert!(world.delete(*slot));
            }
            // The dead are walked through until they are taken out.
            let before = world.recall(&queries, EF, None);
            assert_eq!(world.repair(512), gone.len());
            assert_eq!(world.graph.dead(), 0);
            let after = world.recall(&queries, EF, None);
            assert!(before > fresh - 0.03 && after > fresh - 0.03, "{metric:?}: {fresh}, {before}, {after}");
            for slot in &gone {
                world.insert(*slot, &vectors[*slot as usize]);
            }
        }
        // Nodes were used again.
        assert_eq!(world.graph.nodes(), nodes);
        let churned = world.recall(&queries, EF, None);
        assert!(churned > fresh - 0.01, "{metric:?}: {fresh} fresh, {churned} after churn");
    }
}

#[test]
fn what_is_left_is_found_when_nearly_everything_has_gone() {
    let vectors = Noise::new(2).vectors(2_000, DIMENSION);
    let mut world = World::filled(Metric::Euclidean, &vectors);
    for slot in 0..2_000 {
        if slot % 100 != 7 {
            world.delete(slot);
        }
    }
    let all = |world: &World, at: Lsn| {
        let query = GraphQuery { vector: &vectors[0], k: 20, ef: 20, rerank: 20, at, filter: None };
        world.search(&query).0.len()
    };
    assert_eq!(all(&world, world.now), 20);
    assert_eq!(world.repair(77), 1_980);
    assert_eq!(all(&world, world.now), 20);
    for slot in 0..2_000 {
        world.delete(slot);
    }
    assert_eq!(world.repair(5_000), 20);
    assert_eq!((all(&world, world.now), world.graph.len()), (0, 0));
    // From nothing again.
    for (slot, vector) in vectors.iter().enumerate() {
        world.insert(slot as Slot, vector);
    }
    assert_eq!(world.graph.nodes(), 2_000);
    assert!(world.recall(&vectors[..100], EF, None) > 0.9);
}

#[test]
fn a_search_at_an_earlier_snapshot_finds_what_was_there() {
    let vectors = Noise::new(3).vectors(1_500, DIMENSION);
    let mut world = World::filled(Metric::Cosine, &vectors);
    let before = world.now;
    // Every vector is replaced by another, and the first third goes.
    for slot in 0..1_500 {
        world.insert(slot, &vectors[(slot as usize + 700) % 1_500]);
    }
    for slot in 0..500 {
        world.delete(slot);
    }
    let mut found = 0.0;
    for vector in &vectors[..60] {
        let query = GraphQuery { vector, k: 10, ef: EF, rerank: EF, at: before, filter: None };
        let (hits, _, share) = world.search(&query);
        assert_eq!(hits[0].score, 1.0);
        found += share / 60.0;
    }
    assert!(found > 0.95, "{found}");
}

#[test]
fn many_equal_vectors_do_not_hide_one_another_or_the_rest() {
    let mut vectors = Noise::new(4).vectors(600, DIMENSION);
    for i in 0..300 {
        vectors[i * 2] = vectors[0].clone();
    }
    let world = World::filled(Metric::Cosine, &vectors);
    let query = GraphQuery { vector: &vectors[0], k: 300, ef: 400, rerank: 400, at: world.now, filter: None };
    let (hits, _, _) = world.search(&query);
    let equal = hits.iter().filter(|hit| hit.score == 1.0).count();
    assert!(equal >= 290, "{equal} of 300");
    let others: Vec<Vec<f32>> = vectors.iter().skip(1).step_by(2).cloned().collect();
    assert!(world.recall(&others, 60, None) > 0.9);
}
