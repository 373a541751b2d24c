//! Property: after any writes, syncs (some failing), kills and crashes, each sector holds its synced bytes with some
//! of the unsynced writes over them, in order, and nothing else; and the length is one that some of them give.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Random, f, world_with};
use crate::OpenMode;
use crate::sim::inode::SECTOR;

#[derive(Clone, Debug)]
enum Op {
    Write { at: u64, len: u64 },
    SetLen(u64),
    Sync,
    FailingSync,
    Kill,
    Crash(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..6_000u64, 1..4_000u64).prop_map(|(at, len)| Op::Write { at, len }),
        3 => (0..8u64, 1..4u64).prop_map(|(at, len)| Op::Write { at: at * SECTOR, len: len * SECTOR }),
        2 => (0..9_000u64).prop_map(Op::SetLen),
        3 => Just(Op::Sync),
        1 => Just(Op::FailingSync),
        1 => Just(Op::Kill),
        2 => any::<u64>().prop_map(Op::Crash),
    ]
}

/// What happened to the file since the last crash.
struct Model {
    base: Vec<u8>,
    steps: Vec<Step>,
}

struct Step {
    kind: Kind,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Unsynced,
    Durable,
    /// Its sync failed: chance alone has decided.
    Abandoned,
}

enum Kind {
    Write {
        at: u64,
        len: u64,
        byte: u8,
    },
    SetLen(u64),
    /// The length alone may have been journalled.
    Journalled(u64),
}

impl Model {
    fn push(&mut self, kind: Kind, fate: Fate) {
        self.steps.push(Step { kind, fate });
    }

    fn sync(&mut self, fate: Fate) {
        self.steps.iter_mut().filter(|s| s.fate == Fate::Unsynced).for_each(|s| s.fate = fate);
    }

    /// What a reader sees before a crash.
    fn current(&self) -> Vec<u8> {
        let mut bytes = self.base.clone();
        for step in &self.steps {
            match step.kind {
                Kind::Write { at, len, byte } => {
                    let end = (at + len) as usize;
                    bytes.resize(end.max(bytes.len()), 0);
                    bytes[at as usize..end].fill(byte);
                }
                Kind::SetLen(len) => bytes.resize(len as usize, 0),
                Kind::Journalled(_) => {}
            }
        }
        bytes
    }

    fn possible_lengths(&self) -> BTreeSet<u64> {
        let mut lengths = BTreeSet::from([self.base.len() as u64]);
        for step in &self.steps {
            let mut after = BTreeSet::new();
            for &before in &lengths {
                match step.kind {
                    Kind::Write { at, len, .. } => {
                        after.insert(before.max(at + len));
                        if step.fate != Fate::Durable {
                            after.extend(
                                (at + 1..at + len).filter(|e| e % SECTOR == 0).map(|e| e.max(before)),
                            );
                        }
                    }
                    Kind::SetLen(len) => drop(after.insert(len)),
                    Kind::Journalled(len) => drop(after.insert(len.max(before))),
                }
            }
            if step.fate != Fate::Durable {
                after.extend(&lengths);
            }
            lengths = after;
        }
        lengths
    }

    /// The contents that a sector may have, beyond the end being zero.
    fn possible_sectors(&self, start: u64) -> BTreeSet<[u8; SECTOR as usize]> {
        let mut first = [0; SECTOR as usize];
        let kept = self.base.iter().skip(start as usize).take(SECTOR as usize);
        first.iter_mut().zip(kept).for_each(|(to, from)| *to = *from);
        let mut sectors = BTreeSet::from([first]);
        for step in &self.steps {
            let (from, to, byte) = match step.kind {
                Kind::Write { at, len, byte } => (at, at + len, byte),
                Kind::SetLen(len) => (len, u64::MAX, 0),
                Kind::Journalled(_) => continue,
            };
            let (from, to) = (from.max(start), to.min(start + SECTOR));
            if from >= to {
                continue;
            }
            let changed = sectors.iter().map(|sector| {
                let mut sector = *sector;
                sector[(from - start) as usize..(to - start) as usize].fill(byte);
                sector
            });
            let changed: BTreeSet<_> = changed.collect();
            if step.fate == Fate::Durable {
                sectors = changed;
            } else {
                sectors.extend(changed);
            }
        }
        sectors
    }

    fn check(&self, found: &[u8]) -> Result<(), TestCaseError> {
        let len = found.len() as u64;
        prop_assert!(self.possible_lengths().contains(&len), "no length of {len}");
        for start in (0..len).step_by(SECTOR as usize) {
            let mut sector = [0; SECTOR as usize];
            let part = found.iter().skip(start as usize);
            sector.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            let count = (len - start).min(SECTOR) as usize;
            let possible = self.possible_sectors(start);
            prop_assert!(possible.iter().any(|s| s[..count] == sector[..count]), "the sector at {start}");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_leaves_what_was_synced_and_some_of_the_rest(
        start in 0..3_000usize,
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let (world, mut file) = world_with(&vec![255; start]);
        let mut model = Model { base: vec![255; start], steps: Vec::new() };
        for (i, op) in ops.iter().enumerate() {
            match *op {
                Op::Write { at, len } => {
                    // Some writes are zeros, all others differ.
                    let byte = if i % 5 == 4 { 0 } else { i as u8 + 1 };
                    file.write_at(at, &vec![byte; len as usize]).unwrap();
                    model.push(Kind::Write { at, len, byte }, Fate::Unsynced);
                }
                Op::SetLen(len) => {
                    file.set_len(len).unwrap();
                    model.push(Kind::SetLen(len), Fate::Unsynced);
                }
                Op::Sync => {
                    file.sync_data().unwrap();
                    model.sync(Fate::Durable);
                }
                Op::FailingSync => {
                    world.faults().fail_sync(1);
                    prop_assert!(file.sync_data().is_err());
                    model.sync(Fate::Abandoned);
                    model.push(Kind::Journalled(model.current().len() as u64), Fate::Abandoned);
                }
                Op::Kill => {
                    world.process_kill();
                    file = world.env().files.open(f(), OpenMode::Write).unwrap();
                }
                Op::Crash(seed) => {
                    world.crash(&mut Random::new(seed));
                    model.push(Kind::Journalled(model.current().len() as u64), Fate::Unsynced);
                    let found = world.read_file(f()).unwrap();
                    model.check(&found)?;
                    model = Model { base: found, steps: Vec::new() };
                    file = world.env().files.open(f(), OpenMode::Write).unwrap();
                }
            }
            prop_assert!(world.read_file(f()).unwrap() == model.current(), "what a reader sees after {op:?}");
        }
    }
}

#[test]
fn every_outcome_happens() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..400 {
        let (world, file) = world_with(&[0; 1_024]);
        file.write_at(0, &[1; 1_024]).unwrap();
        file.write_at(1_024, &[2; 512]).unwrap();
        world.crash(&mut Random::new(seed));
        let found = world.read_file(f()).unwrap();
        outcomes.insert((found[0], found[512], found.get(1_024).copied()));
    }
    // Each sector of the first write is there or not; the second is there, absent, or there in length only.
    assert_eq!(outcomes.len(), 2 * 2 * 3, "{outcomes:?}");
}
