//! Snapshots of every format version are read for ever. A version's file is never written anew.

use std::sync::Arc;

use agentdb_types::Lsn;
use agentdb_vector::{Calibrated, Graph, GraphQuery, GraphSettings, Hit, Metric};

use super::snapshot::saved;
use super::world::{Noise, World};

const VERSION_1: &[u8] = include_bytes!("golden/version-1.graph");

/// What was saved: 60 vectors, of which some were replaced, some deleted and some taken out.
fn world() -> World {
    let vectors = Noise::new(41).vectors(80, 5);
    let settings = GraphSettings { degree: 16, links: 16, ef: 32, slack: 1.25 };
    let mut world = World::new(5, Metric::Dot, settings, &vectors);
    (0..60).for_each(|i| world.insert(i * 3, &vectors[i as usize]));
    (0..10).for_each(|i| assert!(world.delete(i * 6)));
    world.repair(100);
    (60..75).for_each(|i| world.insert((i - 50) * 3, &vectors[i as usize]));
    let exact = |vector: &[f32]| world.exact.search(vector, 5, world.now, None);
    let queries = vectors[75..].iter().map(Vec::as_slice);
    world.graph.calibrate(5, world.now, queries, exact, &world.full).unwrap();
    world
}

#[test]
fn version_1_is_read() {
    let world = world();
    let graph = Graph::open(Arc::new(VERSION_1.to_vec())).unwrap();
    graph.verify().unwrap();
    assert_eq!((graph.len(), graph.dimension().get(), graph.metric()), (world.exact.len(), 5, Metric::Dot));
    assert_eq!(graph.settings(), GraphSettings { degree: 16, links: 16, ef: 32, slack: 1.25 });
    assert_eq!(*graph.calibration(), [Calibrated { ef: 5, recall: 1.0 }]);
    let mut hits: Vec<Hit> = Vec::new();
    for (vector, at) in Noise::new(42).vectors(20, 5).iter().zip([70, 75, 80, 85].into_iter().cycle()) {
        let query = GraphQuery { vector, k: 60, ef: 100, rerank: 100, at: Lsn(at), filter: None };
        graph.search(&query, &world.full, &mut hits).unwrap();
        assert_eq!(hits, world.exact.search(vector, 60, Lsn(at), None).unwrap());
    }
}

/// Writes the file of the version that this build writes: once, when a version is new.
#[test]
#[ignore = "writes into the tree"]
#[expect(clippy::disallowed_methods, reason = "the tree's own files")]
fn write_the_file_of_this_version() {
    let bytes = saved(&world().graph);
    let version = u32::from_le_bytes(bytes[8..12].try_into().unwrap());
    let path = format!("{}/tests/graph/golden/version-{version}.graph", env!("CARGO_MANIFEST_DIR"));
    assert!(!std::path::Path::new(&path).exists(), "{path} is never written anew");
    std::fs::write(path, bytes).unwrap();
}
