//! The bytes of a graph: opened they answer as before, and damaged they are refused or harmless.

use std::sync::Arc;

use agentdb_types::{Code, Error};
use agentdb_vector::{Bytes, Graph, GraphQuery, GraphSettings, Metric};

use super::world::{Noise, World};

pub fn saved(graph: &Graph) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut sink = |part: &[u8]| {
        bytes.extend_from_slice(part);
        Ok(())
    };
    graph.save(&mut sink).unwrap();
    bytes
}

/// A world whose graph has whole chunks and a part of one, with dead nodes and free ones.
fn world(metric: Metric) -> World {
    // 512 nodes to a chunk: codes of 4 KiB.
    let vectors = Noise::new(31).vectors(900, 4_040);
    let settings = GraphSettings { degree: 16, links: 8, ef: 20, slack: 1.0 };
    let mut world = World::new(4_040, metric, settings, &vectors[..50]);
    for (slot, vector) in vectors.iter().enumerate() {
        world.insert(slot as u64, vector);
    }
    for slot in 0..60 {
        world.delete(slot * 5);
    }
    world.repair(1_000);
    for slot in 0..20 {
        world.delete(slot * 5 + 1);
    }
    world
}

fn answers(graph: &Graph, world: &World) -> Vec<(u64, u32)> {
    let mut hits = Vec::new();
    let queries = Noise::new(32).vectors(8, 4_040);
    let answers = queries.iter().flat_map(|vector| {
        let query = GraphQuery { vector, k: 5, ef: 30, rerank: 10, at: world.now, filter: None };
        graph.search(&query, &world.full, &mut hits).unwrap();
        hits.iter().map(|hit| (hit.slot, hit.score.to_bits())).collect::<Vec<_>>()
    });
    answers.collect()
}

#[test]
fn an_opened_graph_answers_and_changes_as_the_one_that_was_saved() {
    for metric in [Metric::Cosine, Metric::Dot] {
        let mut world = world(metric);
        let bytes: Arc<dyn Bytes> = Arc::new(saved(&world.graph));
        let opened = Graph::open(bytes.clone()).unwrap();
        opened.verify().unwrap();
        assert_eq!((opened.len(), opened.nodes()), (world.graph.len(), world.graph.nodes()));
        assert_eq!(opened.settings(), world.graph.settings());
        assert_eq!(answers(&opened, &world), answers(&world.graph, &world));
        assert!(opened.memory_bytes() < world.graph.memory_bytes() * 3 / 4);
        assert!(saved(&opened) == bytes.bytes());
        // From here on it has memory of its own, and knows what was dead; numbers that were free are dead ones again.
        world.graph = opened;
        let vector = Noise::new(33).vector(4_040);
        world.insert(1_000, &vector);
        assert_eq!(world.graph.dead(), 80);
        assert!(!world.graph.delete(5, world.now), "deleted before it was saved");
        assert_eq!(world.repair(100), 80);
        let (nodes, query) = (
            world.graph.nodes(),
            GraphQuery { vector: &vector, k: 3, ef: 30, rerank: 10, at: world.now, filter: None },
        );
        assert_eq!(world.search(&query).0[0].slot, 1_000);
        (2_000..2_080).for_each(|slot| world.insert(slot, &vector));
        assert_eq!(world.graph.nodes(), nodes);
        assert!(world.delete(7));
    }
}

#[test]
fn an_empty_graph_is_saved_too() {
    let world = World::new(3, Metric::Cosine, GraphSettings::default(), &[vec![1.0, 0.0, 0.5]]);
    let opened = Graph::open(Arc::new(saved(&world.graph))).unwrap();
    assert!(opened.is_empty());
    opened.insert(1, world.now, &[1.0, 2.0, 3.0]).unwrap();
    assert_eq!(opened.len(), 1);
}

#[test]
fn bytes_at_any_address_are_opened() {
    struct Shifted(Vec<u8>, usize);
    impl Bytes for Shifted {
        fn bytes(&self) -> &[u8] {
            &self.0[self.1..]
        }
    }
    let world = world(Metric::Cosine);
    let bytes = saved(&world.graph);
    for shift in [1, 4] {
        let shifted = Shifted([&vec![7; shift], bytes.as_slice()].concat(), shift);
        let opened = Graph::open(Arc::new(shifted)).unwrap();
        assert_eq!(answers(&opened, &world), answers(&world.graph, &world));
    }
}

#[test]
fn a_failing_sink_fails_the_save() {
    let world = world(Metric::Cosine);
    let mut left = 3;
    let failed = world.graph.save(&mut |_| {
        left -= 1;
        if left == 0 { Err(Error::new(Code::RowsCorrupt).with("reason", "a test")) } else { Ok(()) }
    });
    assert_eq!(failed.unwrap_err().code(), Code::RowsCorrupt);
}

#[test]
fn bytes_that_are_cut_or_too_many_are_refused() {
    let bytes = saved(&world(Metric::Cosine).graph);
    let code = |bytes: &[u8]| Graph::open(Arc::new(bytes.to_vec())).map(|_| ()).unwrap_err().code();
    for len in (0..200).chain((200..bytes.len()).step_by(bytes.len() / 40)).chain([bytes.len() - 1]) {
        assert_eq!(code(&bytes[..len]), Code::FormatCorrupt, "{len} bytes");
    }
    assert_eq!(code(&[bytes.as_slice(), &[0]].concat()), Code::FormatCorrupt);
    let mut newer = bytes.clone();
    newer[8] = 2;
    assert_eq!(code(&newer), Code::FormatTooNew);
}

#[test]
fn flipped_bits_are_refused_or_found_by_verifying_and_never_unsafe() {
    let world = world(Metric::Cosine);
    let bytes = saved(&world.graph);
    let mut noise = Noise::new(34);
    let header = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    for round in 0..120 {
        let mut damaged = bytes.clone();
        let at =
            if round % 2 == 0 { noise.next() as usize % header } else { noise.next() as usize % bytes.len() };
        damaged[at] ^= 1 << (noise.next() % 8);
        match Graph::open(Arc::new(damaged)) {
            Err(err) => assert!(matches!(err.code(), Code::FormatCorrupt | Code::FormatTooNew), "{err}"),
            // In the padding of the header, between it and the next page, nothing is said.
            Ok(graph) => assert!(
                graph.verify().is_err() || (header..header.next_multiple_of(4096)).contains(&at),
                "{at}"
            ),
        }
    }
}

#[test]
fn links_and_marks_full_of_noise_are_searched_and_changed_without_harm() {
    let mut world = world(Metric::Euclidean);
    let mut bytes = saved(&world.graph);
    // The first chunk is whole and is not read at open. Its links follow 512 codes of 4,096 bytes.
    let header = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let links = header.next_multiple_of(4096) + 512 * 4_096;
    let mut noise = Noise::new(35);
    for byte in &mut bytes[links..links + 512 * (64 + 24)] {
        *byte = noise.next() as u8;
    }
    let opened = Graph::open(Arc::new(bytes)).unwrap();
    assert!(opened.verify().is_err());
    let mut hits = Vec::new();
    let vector = Noise::new(36).vector(4_040);
    let query = GraphQuery { vector: &vector, k: 5, ef: 900, rerank: 10, at: world.now, filter: None };
    // Entries that the marks invent have no full vectors: an error at most.
    let _ = opened.search(&query, &world.full, &mut hits);
    world.now = world.now.next();
    opened.insert(3, world.now, &vector).unwrap();
    opened.delete(8, world.now);
    while opened.repair(world.now, 100).left > 0 {}
    let _ = opened.search(&query, &world.full, &mut hits);
}
