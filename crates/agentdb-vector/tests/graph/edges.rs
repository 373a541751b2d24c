//! The edges of the graph index: what is refused, what is empty, what the calibration says.

use agentdb_types::{Code, Error, Lsn, Result};
use agentdb_vector::{Dimension, Entry, Graph, GraphQuery, GraphSettings, Metric, Vectors};

use super::world::{Full, Noise, World};

fn query(vector: &[f32]) -> GraphQuery<'_> {
    GraphQuery { vector, k: 3, ef: 10, rerank: 10, at: Lsn(9), filter: None }
}

#[test]
fn settings_outside_their_limits_and_an_empty_sample_are_refused() {
    let dimension = Dimension::new(2).unwrap();
    let sample: &[f32] = &[1.0, 2.0];
    let new = |settings| Graph::new(dimension, Metric::Dot, settings, [sample].into_iter());
    let good = GraphSettings::default();
    assert!(new(good).is_ok());
    for (settings, field) in [
        (GraphSettings { degree: 20, ..good }, "degree"),
        (GraphSettings { degree: 144, ..good }, "degree"),
        (GraphSettings { links: 0, ..good }, "links"),
        (GraphSettings { links: 33, ..good }, "links"),
        (GraphSettings { ef: 0, ..good }, "ef"),
        (GraphSettings { ef: 10_001, ..good }, "ef"),
        (GraphSettings { slack: 0.9, ..good }, "slack"),
        (GraphSettings { slack: f32::NAN, ..good }, "slack"),
    ] {
        let err = new(settings).unwrap_err();
        assert_eq!((err.code(), err.value("field")), (Code::InvalidValue, Some(field)), "{settings:?}");
    }
    let none: [&[f32]; 0] = [];
    let err = Graph::new(dimension, Metric::Dot, good, none.into_iter()).unwrap_err();
    assert_eq!(err.value("field"), Some("sample"));
    let bad: &[f32] = &[0.0, 0.0];
    let err = Graph::new(dimension, Metric::Cosine, good, [bad].into_iter()).unwrap_err();
    assert_eq!(err.code(), Code::VectorZero);
}

#[test]
fn a_refused_vector_or_query_changes_nothing() {
    let mut world = World::new(2, Metric::Cosine, GraphSettings::default(), &[vec![1.0, 0.0]]);
    let mut hits = Vec::new();
    assert_eq!(world.graph.search(&query(&[1.0, 1.0]), &world.full, &mut hits).unwrap().compared, 0);
    world.insert(4, &[1.0, 0.0]);
    let refused: [(&[f32], Code); 3] = [
        (&[1.0], Code::DimensionMismatch),
        (&[f32::NAN, 0.0], Code::VectorNotFinite),
        (&[0.0, 0.0], Code::VectorZero),
    ];
    for (vector, code) in refused {
        assert_eq!(world.graph.insert(4, Lsn(2), vector).unwrap_err().code(), code);
        let searched = world.graph.search(&query(vector), &world.full, &mut hits);
        assert_eq!(searched.unwrap_err().code(), code);
    }
    assert_eq!((world.graph.len(), world.graph.nodes()), (1, 1));
    for big in
        [GraphQuery { k: 10_001, ..query(&[1.0, 1.0]) }, GraphQuery { ef: 10_001, ..query(&[1.0, 1.0]) }]
    {
        let err = world.graph.search(&big, &world.full, &mut hits).unwrap_err();
        assert_eq!(err.code(), Code::InvalidValue);
    }
    world.graph.search(&GraphQuery { k: 0, ..query(&[1.0, 1.0]) }, &world.full, &mut hits).unwrap();
    assert!(hits.is_empty());
    assert!(!world.delete(5) && world.delete(4) && !world.delete(4));
    assert!(world.graph.is_empty());
}

#[test]
fn what_the_full_vectors_cannot_give_fails_the_search() {
    struct Short;
    impl Vectors for Short {
        fn vector(&self, _: Entry) -> Result<&[f32]> {
            Ok(&[1.0])
        }
    }
    struct Broken;
    impl Vectors for Broken {
        fn vector(&self, entry: Entry) -> Result<&[f32]> {
            assert_eq!(entry, Entry { node: 0, slot: 7, born: Lsn(1) });
            Err(Error::new(Code::RowsCorrupt).with("reason", "a test"))
        }
    }
    let mut world = World::new(2, Metric::Dot, GraphSettings::default(), &[vec![1.0, 0.0]]);
    world.insert(7, &[1.0, 0.0]);
    let mut hits = Vec::new();
    let mut code = |vectors: &dyn Vectors| {
        world.graph.search(&query(&[1.0, 0.0]), vectors, &mut hits).unwrap_err().code()
    };
    assert_eq!(code(&Short), Code::DimensionMismatch);
    assert_eq!(code(&Broken), Code::RowsCorrupt);
}

#[test]
fn one_sequence_of_changes_gives_one_graph() {
    let vectors = Noise::new(21).vectors(700, 20);
    let bytes = || {
        let mut world = World::filled(Metric::Euclidean, &vectors);
        (0..100).for_each(|slot| assert!(world.delete(slot * 3)));
        world.repair(50);
        super::snapshot::saved(&world.graph)
    };
    assert!(bytes() == bytes());
}

#[test]
fn the_calibration_says_which_ef_reaches_a_recall() {
    let mut noise = Noise::new(22);
    let (vectors, asked, queries) =
        (noise.vectors(3_000, 48), noise.vectors(100, 48), noise.vectors(200, 48));
    let world = World::filled(Metric::Cosine, &vectors);
    assert_eq!(world.graph.ef_for(0.5), None);
    let exact = |vector: &[f32]| world.exact.search(vector, 10, world.now, None);
    let asked = asked.iter().map(Vec::as_slice);
    world.graph.calibrate(10, world.now, asked, exact, &world.full).unwrap();
    let points = world.graph.calibration();
    assert!(points.windows(2).all(|pair| pair[0].ef < pair[1].ef));
    assert!(points[points.len() - 1].recall >= 0.99);
    let (low, high) = (world.graph.ef_for(0.8).unwrap(), world.graph.ef_for(0.98).unwrap());
    assert!(low <= high);
    let recall = world.recall(&queries, high, None);
    assert!(recall > 0.96, "{recall} with {high}");
    assert_eq!(world.graph.ef_for(1.1), None);
    // A calibration that fails keeps the one before.
    let failed =
        world.graph.calibrate(10, world.now, [vectors[0].as_slice()].into_iter(), exact, &Full::default());
    assert!(failed.is_err());
    assert_eq!(world.graph.calibration(), points);
}

#[test]
fn memory_is_what_codes_links_and_marks_need() {
    let vectors = Noise::new(23).vectors(9_000, 60);
    let world = World::filled(Metric::Cosine, &vectors);
    // 64 bytes of code, 128 of links, 24 of marks and some 5 for the slot, in chunks that are rounded up.
    let chunks = 32_768 * (64 + 128 + 24);
    let memory = world.graph.memory_bytes();
    assert!((chunks..chunks + 9_000 * 16).contains(&memory), "{memory}");
}
