//! The simulated world itself: what survives, what fails, and that it is always the same.

mod crash;
mod entries;
mod faults;
mod repeat;

use std::path::Path;
use std::sync::Arc;

use agentdb_types::Code;

use super::{Random, World};
use crate::{File, OpenMode};

/// A world with a durable file `/f` of these bytes, open for writing.
fn world_with(bytes: &[u8]) -> (World, Arc<dyn File>) {
    let world = World::new(1);
    world.write_file(Path::new("/f"), bytes).unwrap();
    let file = world.env().files.open(Path::new("/f"), OpenMode::Write).unwrap();
    (world, file)
}

fn f() -> &'static Path {
    Path::new("/f")
}

#[test]
fn time_moves_when_told_to() {
    let world = World::new(1);
    let clock = world.env().clock;
    assert_eq!(clock.wall().to_string(), "2026-01-01T00:00:00.000000Z");
    world.advance_us(5);
    world.jump_wall_us(-3_000_000);
    assert_eq!(clock.monotonic_us(), 5);
    assert_eq!(clock.wall().to_string(), "2025-12-31T23:59:57.000005Z");
    world.jump_wall_us(i64::MIN);
    assert_eq!(clock.wall().micros(), 0);
    world.jump_wall_us(i64::MAX);
    assert_eq!(clock.wall().micros(), agentdb_types::limits::TIME_MAX_US);
}

#[test]
fn the_seed_determines_the_randomness() {
    let draw = |seed| {
        let mut out = [0; 13];
        World::new(seed).env().entropy.fill(&mut out);
        out
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    // The first outputs of xoshiro256** for the state (1, 2, 3, 4), from the authors' reference code.
    let mut known = Random::from_state([1, 2, 3, 4]);
    assert_eq!([known.next_u64(), known.next_u64(), known.next_u64()], [11_520, 0, 1_509_978_240]);
    let mut random = Random::new(3);
    assert!((0..1_000).all(|_| random.below(7) < 7));
    assert_eq!(random.below(0), 0);
    let hits = (0..10_000).filter(|_| random.chance(1, 4)).count();
    assert!((2_300..2_700).contains(&hits), "{hits}");
}

#[test]
fn no_threads_here() {
    let err = World::new(1).env().threads.spawn("t", Box::new(|| ())).err().unwrap();
    assert_eq!(err.code(), Code::Io);
}

#[test]
fn a_flipped_bit_stays() {
    let (world, file) = world_with(&[0; 10]);
    world.flip_bit(f(), 3, 7).unwrap();
    let mut out = [0; 4];
    file.read_at(0, &mut out).unwrap();
    assert_eq!(out, [0, 0, 0, 0x80]);
    world.crash(&mut Random::new(1));
    assert_eq!(world.read_file(f()).unwrap()[3], 0x80);
    assert_eq!(world.flip_bit(f(), 10, 0).unwrap_err().code(), Code::Io);
    assert_eq!(world.flip_bit(Path::new("/no"), 0, 0).unwrap_err().code(), Code::Io);
}

#[test]
fn files_are_listed_and_replaced() {
    let (world, old) = world_with(b"old");
    world.write_file(Path::new("/d/e/g"), b"g").unwrap();
    world.write_file(f(), b"new").unwrap();
    assert_eq!(world.list_all(), [Path::new("/d/e/g"), f()]);
    assert_eq!(old.len().unwrap(), 3);
    assert_eq!(world.read_file(f()).unwrap(), b"new");
    assert!(
        world.write_file(Path::new("/f/x"), b"").is_err() && world.write_file(Path::new("/d"), b"").is_err()
    );
}
