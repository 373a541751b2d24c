//! After a failed sync, nothing that is there is believed: the process starts again, works on, and loses power.

use agentdb_env::sim::Random;
use agentdb_types::Result;

use crate::modules::blob::Put;
use crate::modules::state;
use crate::modules::testing::{DIR, TestDb};
use crate::{Ack, Task, WriteOptions};

fn options(subject: Option<&str>) -> WriteOptions {
    WriteOptions { ack: Ack::Durable, subject: subject.map(str::to_owned), ..WriteOptions::default() }
}

/// Makes one of everything that has a file or a directory of its own.
fn work(db: &TestDb) -> Result<String> {
    let write = state::Put::new("o", "k", "sealed".into());
    db.engine().write(db.namespace, write, options(Some("ann")))?.wait()?;
    let stored =
        db.engine().put_blob(db.namespace, &mut &b"bytes"[..], Put::default(), options(None))?.response.blob;
    for task in [Task::Sync, Task::Freeze, Task::Drain] {
        while db.engine().step(task)? && task != Task::Freeze {}
    }
    Ok(stored)
}

fn check(db: &TestDb, blob: &str) {
    let found = db.read(state::Get::new("o", "k")).unwrap();
    assert_eq!(found.value, "sealed");
    let snapshot = db.engine().snapshot(db.namespace).unwrap();
    assert_eq!(db.engine().open_blob(&snapshot, blob).unwrap().read_all().unwrap(), b"bytes");
}

#[test]
fn what_a_failed_sync_left_is_made_again_before_it_is_relied_on() {
    let mut failed = 0;
    for seed in 0..8 {
        for nth in 1.. {
            let mut db = TestDb::absent(seed);
            db.world.faults().fail_sync(nth);
            let first = db.reopen().and_then(|()| work(&db));
            if first.is_err() {
                failed += 1;
                // The same process may try again, or another.
                if seed % 2 == 0 {
                    db.world.process_kill();
                }
                db.reopen().unwrap_or_else(|e| panic!("seed {seed}, sync {nth}: {e}"));
            }
            let blob =
                first.or_else(|_| work(&db)).unwrap_or_else(|e| panic!("seed {seed}, sync {nth}: {e}"));
            let all_synced = db.world.counters().get("failed_syncs").is_none_or(|n| *n == 0);
            db.world.faults().clear();
            db.world.crash(&mut Random::new(seed));
            db.reopen().unwrap_or_else(|e| panic!("seed {seed}, sync {nth}: {e}"));
            check(&db, &blob);
            let left = db.world.list_all();
            assert!(left.iter().all(|p| p.starts_with(DIR)), "{left:?}");
            if all_synced {
                break;
            }
        }
    }
    assert!(failed > 8 * 10, "{failed}");
}
