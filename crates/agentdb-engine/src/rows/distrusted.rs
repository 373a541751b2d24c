//! A row file that is not to be trusted: after a failed sync the operating system may show pages that it will never write.
//!
//! A mark beside the file tells so. If the log still reaches back to the beginning, the file is discarded and its rows come
//! from the log. If it does not, the file holds rows that nothing else holds: what it shows is written to a new file, which
//! is synced, and which takes its place only if every row and every digest in it holds.

use std::path::Path;

use agentdb_env::{Env, OpenMode};
use agentdb_types::{Code, Error, Result};

use super::base::{FILE, NEW_FILE};
use super::{Base, BaseLoad};

const MARK: &str = "DISTRUSTED";
/// Bytes that are copied at once.
const PIECE: u64 = 1 << 20;

/// Whether a failure leaves the row file in doubt. A write that was refused changed nothing that the last commit needs.
pub(crate) fn is_doubtful(err: &Error) -> bool {
    let refused = matches!(err.code(), Code::DiskFull | Code::ReadOnly | Code::Io);
    !(refused && err.value("operation").is_some_and(|operation| operation != "sync"))
}

/// Marks the row file in `dir`.
pub(crate) fn mark(env: &Env, dir: &Path) -> Result<()> {
    env.files.open(&dir.join(MARK), OpenMode::CreateNew)?.sync_data()?;
    env.files.sync_dir(dir)
}

/// Whether the row file in `dir` is marked.
pub(crate) fn is_marked(env: &Env, dir: &Path) -> Result<bool> {
    env.files.exists(&dir.join(MARK))
}

/// Takes a marked row file out of use, or renews it, and removes the mark.
///
/// # Errors
/// [`Code::RowsCorrupt`] if the file is needed and does not hold; errors of files. The mark stays then.
pub(crate) fn settle(env: &Env, dir: &Path, load: BaseLoad, log_reaches_back: bool) -> Result<()> {
    let file = dir.join(FILE);
    if env.files.exists(&file)? {
        if log_reaches_back {
            env.files.remove(&file)?;
        } else {
            renew(env, dir, load)?;
        }
        env.files.sync_dir(dir)?;
    }
    env.files.remove(&dir.join(MARK))?;
    env.files.sync_dir(dir)
}

/// Writes what the file shows to a new one, and lets it take its place if it is whole.
fn renew(env: &Env, dir: &Path, load: BaseLoad) -> Result<()> {
    let (file, new) = (dir.join(FILE), dir.join(NEW_FILE));
    if env.files.exists(&new)? {
        env.files.remove(&new)?;
    }
    let from = env.files.open(&file, OpenMode::Read)?;
    let to = env.files.open(&new, OpenMode::CreateNew)?;
    let (len, mut at) = (from.len()?, 0);
    while at < len {
        let mut bytes = vec![0; (len - at).min(PIECE) as usize];
        let read = from.read_at(at, &mut bytes)?;
        to.write_at(at, &bytes[..read])?;
        at += bytes.len() as u64;
    }
    to.sync_data()?;
    Base::load(to, load)?.check_whole()?;
    env.files.rename(&new, &file)
}

#[cfg(test)]
mod tests {
    use agentdb_env::sim::World;
    use agentdb_types::Lsn;
    use serde_json::json;

    use super::*;
    use crate::modules::state::{Get, Put};
    use crate::{Digest, Engine, NamespaceId, Options, Task, WriteOptions};

    fn open(world: &World) -> Result<Engine> {
        let log = agentdb_log::Options { first_segment_bytes: 8 << 10, segment_bytes: 8 << 10 };
        // Nothing of the log is kept that the rows hold.
        let options = Options { background: false, log_retention_bytes: 0, log, ..Options::default() };
        Engine::open(&world.env(), Path::new("/db"), options)
    }

    fn put(engine: &Engine, number: u32) -> Result<Lsn> {
        let value = json!({"number": number, "text": format!("{number:04}").repeat(200)});
        let put = Put::new("ann", format!("k{number}"), value);
        Ok(engine.write(NamespaceId::DEFAULT, put, WriteOptions::default())?.wait()?.lsn)
    }

    fn drain(engine: &Engine) -> Result<bool> {
        engine.step(Task::Freeze)?;
        engine.step(Task::Drain)
    }

    /// A database whose log begins after its first rows.
    fn trimmed(world: &World) -> (Engine, Digest) {
        let engine = open(world).unwrap();
        (0..40).for_each(|number| drop(put(&engine, number)));
        drain(&engine).unwrap();
        (40..44).for_each(|number| drop(put(&engine, number)));
        assert!(!world.env().files.exists(Path::new("/db/log/0000000001.log")).unwrap());
        let digest = engine.digest(NamespaceId::DEFAULT).unwrap().1;
        (engine, digest)
    }

    fn check(world: &World, digest: Digest) {
        let engine = open(world).unwrap();
        assert_eq!(engine.digest(NamespaceId::DEFAULT).unwrap().1, digest);
        assert_eq!(engine.verify(&mut |_| {}).unwrap().problems, []);
        let snapshot = engine.snapshot(NamespaceId::DEFAULT).unwrap();
        for number in 0..44 {
            let found = engine.read(&snapshot, Get::new("ann", format!("k{number}"))).unwrap();
            assert_eq!(found.value["number"], number);
        }
        drain(&engine).unwrap();
        assert!(!is_marked(&world.env(), Path::new("/db/rows")).unwrap());
    }

    #[test]
    fn a_disk_that_is_full_when_rows_are_drained_costs_no_row() {
        let world = World::new(1);
        let (engine, digest) = trimmed(&world);
        world.faults().set_capacity(Some(0));
        assert_eq!(drain(&engine).unwrap_err().code(), Code::DiskFull);
        assert_eq!(put(&engine, 99).unwrap_err().code(), Code::Poisoned);
        world.faults().clear();
        drop(engine);
        check(&world, digest);
    }

    #[test]
    fn a_failed_sync_or_write_of_the_row_file_costs_no_row_though_the_log_is_trimmed() {
        let mut failures = [0, 0];
        for fault in 1..12 {
            for sync in [true, false] {
                for crash in [true, false] {
                    let world = World::new(fault);
                    let (engine, digest) = trimmed(&world);
                    if sync {
                        world.faults().fail_sync(fault);
                    } else {
                        world.faults().fail_write(fault);
                    }
                    failures[usize::from(sync)] += u32::from(drain(&engine).is_err());
                    world.faults().clear();
                    drop(engine);
                    if crash {
                        world.crash(&mut agentdb_env::sim::Random::new(fault));
                    } else {
                        world.process_kill();
                    }
                    check(&world, digest);
                }
            }
        }
        assert!(failures.iter().all(|count| *count >= 4), "{failures:?} writes and syncs failed");
    }

    #[test]
    fn a_marked_row_file_that_does_not_hold_is_refused_and_kept() {
        let world = World::new(3);
        let (engine, _) = trimmed(&world);
        drop(engine);
        world.process_kill();
        let (env, dir, path) = (world.env(), Path::new("/db/rows"), Path::new("/db/rows/rows.redb"));
        mark(&env, dir).unwrap();
        let bytes = world.read_file(path).unwrap();
        let at = bytes.windows(8).position(|window| window == b"00070007").unwrap();
        world.flip_bit(path, at as u64, 0).unwrap();
        for _ in 0..2 {
            let err = open(&world).err().unwrap();
            assert!(err.code() == Code::RowsCorrupt && err.message().contains("k7"), "{err}");
            world.process_kill();
        }
        assert!(is_marked(&env, dir).unwrap() && world.read_file(path).unwrap().len() == bytes.len());
    }
}
