//! Any sequence of operations has the same results on the machine and in the simulated world.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use agentdb_types::{Code, Result};
use proptest::prelude::*;

use crate::sim::World;
use crate::{Env, File, Files, OpenMode};

#[derive(Clone, Debug)]
enum Op {
    Open(u8, u8),
    Close(u8),
    Exists(u8),
    CreateDir(u8),
    List(u8),
    Rename(u8, u8),
    Link(u8, u8),
    Remove(u8),
    SyncDir(u8),
    Write(u8, u64, u16, u8),
    Read(u8, u64, u16),
    SetLen(u8, u64),
    Sync(u8),
}

/// Names that may be files or directories, and lie in one another.
const NAMES: [&str; 6] = ["a", "b", "d", "d/a", "d/e", "d/e/f"];

fn op() -> impl Strategy<Value = Op> {
    let name = 0..NAMES.len() as u8;
    let at = 0u64..20_000;
    prop_oneof![
        4 => (name.clone(), 0..3u8).prop_map(|(n, m)| Op::Open(n, m)),
        1 => name.clone().prop_map(Op::Close),
        1 => name.clone().prop_map(Op::Exists),
        1 => (2..6u8).prop_map(Op::CreateDir),
        1 => name.clone().prop_map(Op::List),
        2 => (name.clone(), name.clone()).prop_map(|(a, b)| Op::Rename(a, b)),
        1 => (name.clone(), name.clone()).prop_map(|(a, b)| Op::Link(a, b)),
        1 => name.clone().prop_map(Op::Remove),
        1 => name.clone().prop_map(Op::SyncDir),
        4 => (name.clone(), at.clone(), 0..9_000u16, 0..3u8).prop_map(|(n, o, l, b)| Op::Write(n, o, l, b)),
        4 => (name.clone(), at.clone(), 0..9_000u16).prop_map(|(n, o, l)| Op::Read(n, o, l)),
        1 => (name.clone(), at).prop_map(|(n, l)| Op::SetLen(n, l)),
        1 => name.prop_map(Op::Sync),
    ]
}

/// Does one operation and returns what a caller could see of it.
fn run(files: &dyn Files, dir: &Path, open: &mut BTreeMap<u8, Arc<dyn File>>, op: &Op) -> Result<Vec<u8>> {
    let path = |n: u8| dir.join(NAMES[usize::from(n)]);
    let handle = |open: &BTreeMap<u8, Arc<dyn File>>, n| open.get(&n).cloned();
    match *op {
        Op::Open(n, mode) => {
            let mode = [OpenMode::Read, OpenMode::Write, OpenMode::CreateNew][usize::from(mode)];
            open.insert(n, files.open(&path(n), mode)?);
        }
        Op::Close(n) => drop(open.remove(&n)),
        Op::Exists(n) => return Ok(vec![files.exists(&path(n))?.into()]),
        Op::CreateDir(n) => files.create_dir_all(&path(n))?,
        Op::List(n) => return Ok(files.list(&path(n))?.join("/").into_bytes()),
        // The real one may also replace an empty directory by another, or refuse to; nobody renames directories so.
        Op::Rename(a, b) if files.list(&path(a)).is_ok() && files.exists(&path(b))? => {}
        Op::Rename(a, b) => files.rename(&path(a), &path(b))?,
        // Refused, in words of the system's own; nobody links directories.
        Op::Link(a, _) if files.list(&path(a)).is_ok() => {}
        Op::Link(a, b) => files.link(&path(a), &path(b))?,
        Op::Remove(n) => files.remove(&path(n))?,
        Op::SyncDir(n) => files.sync_dir(&path(n))?,
        Op::Write(n, at, len, byte) => {
            if let Some(file) = handle(open, n) {
                file.write_at(at, &vec![byte; len.into()])?;
            }
        }
        Op::Read(n, at, len) => {
            if let Some(file) = handle(open, n) {
                let mut out = vec![0xEE; len.into()];
                let count = file.read_at(at, &mut out)?;
                out.truncate(count);
                out.extend(file.len()?.to_le_bytes());
                return Ok(out);
            }
        }
        Op::SetLen(n, len) => {
            if let Some(file) = handle(open, n) {
                file.set_len(len)?;
            }
        }
        Op::Sync(n) => {
            if let Some(file) = handle(open, n) {
                file.sync_data()?;
            }
        }
    }
    Ok(Vec::new())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_simulated_files_are_like_the_real_ones(ops in prop::collection::vec(op(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let (real, sim) = (Env::real().files, World::new(1).env().files);
        let (mut real_open, mut sim_open) = (BTreeMap::new(), BTreeMap::new());
        for op in &ops {
            let expected = run(&*real, dir.path(), &mut real_open, op);
            let actual = run(&*sim, Path::new("/"), &mut sim_open, op);
            // The same value, or an error of the same code.
            let code = |r: Result<Vec<u8>>| -> std::result::Result<Vec<u8>, Code> { r.map_err(|e| e.code()) };
            let (expected, actual) = (code(expected), code(actual));
            prop_assert!(expected == actual, "{:?}: {:?} but {:?}", op, expected, actual);
        }
    }
}
