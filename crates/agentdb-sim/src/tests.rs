//! The runs.

use super::{Plan, Report, run};

fn seeds() -> u64 {
    std::env::var("AGENTDB_SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(1_000)
}

/// Plays seeds on two threads and adds up what happened.
fn play(first: u64, count: u64) -> Result<Report, Box<super::Failure>> {
    let part = |from: u64, to: u64| -> Result<Report, Box<super::Failure>> {
        let mut report = Report::default();
        for seed in from..to {
            report.merge(&run(seed, Plan::default())?);
        }
        Ok(report)
    };
    let middle = first + count / 2;
    std::thread::scope(|scope| {
        let other = scope.spawn(|| part(middle, first + count));
        let mut report: Report = part(first, middle)?;
        report.merge(&other.join().expect("the other half")?);
        Ok(report)
    })
}

#[test]
fn every_seed_holds_and_everything_happens() {
    let count = seeds();
    let report = play(0, count).unwrap_or_else(|failure| panic!("{failure}"));
    for (name, by) in &report.counts {
        println!("{by:>9} {name}");
    }
    for name in [
        "op state.put",
        "op state.delete",
        "op state.compare_and_set",
        "op state.patch",
        "op state.increment",
        "op state.expire",
        "op namespace.create",
        "op namespace.delete",
        "op reads",
        "batches",
        "mutation put",
        "mutation delete",
        "mutation add",
        "mutation splice",
        "ack durable",
        "ack written",
        "outcome unknown",
        "kept snapshots",
        "batches of Sweep",
        "batches of Collect",
        "refused version_mismatch",
        "refused state_not_found",
        "refused invalid_patch",
        "refused id_empty",
        "refused id_too_long",
        "refused ttl_out_of_range",
        "refused value_too_large",
        "refused idempotency_conflict",
        "refused namespace_exists",
        "refused namespace_not_found",
        "refused clock_jump",
        "task Sequence",
        "task Sync",
        "worked Sync",
        "worked Stamp",
        "worked Freeze",
        "worked Drain",
        "task PrepareSegment",
        "fault power loss in an operation",
        "fault power loss between operations",
        "fault failed sync",
        "fault failed write",
        "fault disk full",
        "fault read-only disk",
        "disk torn_writes",
        "disk lost_writes",
        "disk reordered_writes",
        "disk lost_entries",
        "disk failed_syncs",
        "disk failed_writes",
        "disk disk_full",
        "power losses",
        "process kills",
        "crashes while recovering",
        "lost unacknowledged batches",
        "recovered unacknowledged batches",
    ] {
        let by = report.counts.get(name).copied().unwrap_or_default();
        assert!(by >= count / 100, "`{name}` happened {by} times in {count} seeds");
    }
}

#[test]
fn a_seed_plays_the_same_every_time() {
    for seed in [3, 77] {
        let (a, b) = (run(seed, Plan::default()), run(seed, Plan::default()));
        assert_eq!(a.expect("first"), b.expect("second"));
    }
    assert_ne!(run(3, Plan::default()).expect("3").trace, run(4, Plan::default()).expect("4").trace);
}

/// Plays the seed in `AGENTDB_SEED`, if there is one, and tells what happened.
#[test]
fn replay() {
    if let Some(seed) = std::env::var("AGENTDB_SEED").ok().and_then(|s| s.parse().ok()) {
        match run(seed, Plan::default()) {
            Ok(report) => println!("seed {seed} holds: {report:#?}"),
            Err(failure) => panic!("{failure}"),
        }
    }
}

/// Each mistake that can be planted is found.
#[cfg(feature = "planted-bugs")]
#[test]
fn planted_bugs_are_found() {
    use agentdb_engine::planted::{Bug, plant};
    std::panic::set_hook(Box::new(|_| {}));
    for bug in Bug::ALL {
        plant(Some(bug));
        let found = (0..1_000).find(|seed| {
            // A mistake may also break the engine so that something inside it panics: that counts as found.
            std::panic::catch_unwind(|| run(*seed, Plan::default()).is_err()).unwrap_or(true)
        });
        plant(None);
        println!("{bug:?} is found by seed {found:?}");
        assert!(found.is_some(), "{bug:?} is not found by 1,000 seeds");
    }
}
