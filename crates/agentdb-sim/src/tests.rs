//! The runs.

use agentdb_engine::{Effect, Engine};

use super::{Plan, Report, run};

/// Operations that are played in another way than as a request, and counted by what they do.
const APART: [&str; 24] = [
    "backup.archive",
    "backup.create",
    "backup.delete",
    "backup.list",
    "backup.prune",
    "backup.restore",
    "backup.verify",
    "blob.get",
    "collection.load",
    "database.compact",
    "database.digest",
    "database.info",
    "database.verify",
    "job.cancel",
    "job.get",
    "job.list",
    "job.pause",
    "job.resume",
    "log.read",
    "log.release",
    "namespace.export",
    "namespace.get",
    "namespace.import",
    "namespace.list",
];

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
    let happened = |name: &str| {
        let by = report.counts.get(name).copied().unwrap_or_default();
        assert!(by >= count / 100, "`{name}` happened {by} times in {count} seeds");
    };
    for about in Engine::operations().iter().map(|o| &o.about).filter(|about| !APART.contains(&about.name)) {
        happened(&format!("done {}", about.name));
        // A write is now and then a mistake; not every read can be one.
        if about.effect != Effect::Read {
            happened(&format!("refused {}", about.name));
        }
    }
    for name in [
        "op reads",
        "batches",
        "batches of several nouns",
        "batches of Sweep",
        "batches of Collect",
        "batches of Trim",
        "batches of Work",
        "jobs begun",
        "jobs done",
        "done job.cancel",
        "done job.pause",
        "done job.resume",
        "refused job_ended",
        "refused job_not_found",
        "batches of Retain",
        "retained no longer: state",
        "retained no longer: session",
        "retained no longer: message",
        "retained no longer: item",
        "retained no longer: record",
        "retained no longer: links",
        "retained no longer: tool_call",
        "retained no longer: thread",
        "retained no longer: checkpoint",
        "retained no longer: checkpoint_write",
        "ledger: let go",
        "refused retention_not_applicable",
        "done namespace.fork of the past",
        "refused namespace.fork for want of history",
        "mutation put",
        "mutation delete",
        "mutation add",
        "mutation splice",
        "ack durable",
        "ack written",
        "outcome unknown",
        "failed uploads",
        "kept snapshots",
        "pages of searches",
        "pages of a handle that is gone",
        "pages that were asked for too late",
        "watched on",
        "watched to the end",
        "watched namespaces that end",
        "watch log_trimmed",
        "watch progress",
        "watch value",
        "watch superseded",
        "watch put state",
        "watch put session",
        "watch put message",
        "watch put blob",
        "watch put collection",
        "watch put record",
        "watch put link",
        "watch put thread",
        "watch put checkpoint",
        "watch put checkpoint_write",
        "watch deleted state",
        "watch deleted session",
        "watch deleted messages",
        "watch deleted message",
        "watch deleted blob",
        "watch deleted collection",
        "watch deleted record",
        "watch deleted link",
        "watch deleted links",
        "watch deleted thread",
        "watch deleted checkpoint",
        "watch deleted checkpoint_write",
        "watch expired state",
        "watch expired session",
        "watch expired record",
        "watch expired links",
        "swept and told",
        "settled",
        "exports",
        "imports",
        "imports begun again",
        "imports that went on",
        "imported lines",
        "loads",
        "loads begun again",
        "loads that went on",
        "loaded rows",
        "backups",
        "archives",
        "archives given up",
        "archives of nothing new",
        "backups given up",
        "refused archive_gap",
        "refused backup_store_not_found",
        "released logs",
        "restores of archives",
        "restores that are in reach",
        "backups that continue another",
        "restores",
        "restores between backups",
        "digests of restored databases",
        "verified backups",
        "pruned",
        "deleted backups",
        "refused restore_point_not_found",
        "verified",
        "verified blobs",
        "refused id_empty",
        "refused id_too_long",
        "refused invalid_name",
        "refused unknown_field",
        "refused missing_field",
        "refused invalid_value",
        "refused depth_exceeded",
        "refused value_too_large",
        "refused batch_too_large",
        "refused unknown_operation",
        "refused not_batchable",
        "refused dimension_mismatch",
        "refused dimension_out_of_range",
        "refused vector_not_finite",
        "refused vector_zero",
        "refused ttl_out_of_range",
        "refused invalid_patch",
        "refused session_mismatch",
        "refused namespace_not_found",
        "refused state_not_found",
        "refused session_not_found",
        "refused message_not_found",
        "refused record_not_found",
        "refused page_too_large",
        "refused state.owners",
        "refused collection_not_found",
        "refused namespace_exists",
        "refused version_mismatch",
        "refused session_exists",
        "refused collection_exists",
        "refused idempotency_conflict",
        "refused message_exists",
        "refused blob_mismatch",
        "refused items_not_indexed",
        "refused item_index_mismatch",
        "refused path_length",
        "refused thread_not_found",
        "refused thread_exists",
        "refused tool_call_not_found",
        "refused tool_call_running",
        "refused tool_call_unknown",
        "refused tool_call_mismatch",
        "refused tool_call_fenced",
        "refused tool_call_finished",
        "refused not_repeatable",
        "ledger: ran",
        "ledger: ran again, idempotent",
        "ledger: ran again, failed before",
        "ledger: ran again, resolved so",
        "ledger: ran again, forgotten",
        "ledger: replayed",
        "ledger: told",
        "ledger: told late",
        "ledger: told twice",
        "ledger: renewed",
        "ledger: resolved",
        "ledger: deleted",
        "refused clock_jump",
        "refused history_trimmed",
        "refused no_history",
        "refused point_ahead",
        "refused no_encoder",
        "checked the handle's refusals",
        "checked the refusals of reads",
        "task Sequence",
        "task Sync",
        "task PrepareSegment",
        "worked Sync",
        "worked Stamp",
        "worked Freeze",
        "worked Drain",
        "worked Index",
        "worked Merge",
        "worked Decide",
        "worked Sweep",
        "worked Collect",
        "worked Compact",
        "worked Trim",
        "worked Retain",
        "reads of the past",
        "refused reads of the past",
        "trimmed logs",
        "fault power loss in an operation",
        "fault power loss between operations",
        "fault power loss after hasty writes",
        "fault failed sync",
        "fault failed sync of a directory",
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
        happened(name);
    }
}

#[test]
fn a_seed_plays_the_same_every_time() {
    for seed in [3, 77, 400] {
        let (a, b) =
            (run(seed, Plan::default()).expect("first"), run(seed, Plan::default()).expect("second"));
        assert_eq!(a, b);
        // Ids are generated, indexes filled and compacted, and files of blobs listed in these runs.
        for name in
            ["op session.create", "op message.append", "op record.put", "op blob.put", "worked Collect"]
        {
            assert!(a.counts.contains_key(name), "seed {seed} does without `{name}`");
        }
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

/// Each mistake that can be planted is found; of those whose names `AGENTDB_BUGS` holds, if it is set.
#[cfg(feature = "planted-bugs")]
#[test]
fn planted_bugs_are_found() {
    use agentdb_engine::planted::{Bug, plant};
    std::panic::set_hook(Box::new(|_| {}));
    let only = std::env::var("AGENTDB_BUGS").ok();
    for bug in
        Bug::ALL.into_iter().filter(|bug| only.as_ref().is_none_or(|only| only.contains(&format!("{bug:?}"))))
    {
        plant(Some(bug));
        let found = (0..1_000).find_map(|seed| {
            // A mistake may also break the engine so that something inside it panics: that counts as found.
            match std::panic::catch_unwind(|| run(seed, Plan::default())) {
                Ok(Ok(_)) => None,
                Ok(Err(failure)) => Some((seed, failure.what)),
                Err(_) => Some((seed, "a panic".to_owned())),
            }
        });
        plant(None);
        let Some((seed, what)) = found else { panic!("{bug:?} is not found by 1,000 seeds") };
        println!("{bug:?} is found by seed {seed}: {}", what.chars().take(300).collect::<String>());
        assert!(run(seed, Plan::default()).is_ok(), "seed {seed} fails without {bug:?}");
    }
}

/// What one seed in some 2,000 does by chance: rows are drained that the log has not synced, and power is lost.
#[cfg(feature = "planted-bugs")]
#[test]
fn planted_view_beyond_the_log_is_found_when_power_is_lost() {
    use std::path::Path;

    use agentdb_engine::modules::state;
    use agentdb_engine::planted::{Bug, plant};
    use agentdb_engine::{Ack, NamespaceId, Options, Task, WriteOptions};
    use agentdb_env::sim::{Random, World};
    use agentdb_types::Code;
    use serde_json::json;

    let opened = |bug: Option<Bug>, seed: u64| {
        plant(bug);
        let world = World::new(seed);
        let open = || {
            Engine::open(&world.env(), Path::new("/db"), Options { background: false, ..Options::default() })
        };
        let engine = open().expect("a new database");
        let written = WriteOptions { ack: Ack::Written, ..WriteOptions::default() };
        for n in 0..50 {
            let put = state::Put::new("ann", format!("k{n}"), json!(n));
            engine
                .write(NamespaceId::DEFAULT, put, written.clone())
                .and_then(|put| put.wait())
                .expect("a put");
        }
        engine.step(Task::Freeze).expect("freezing");
        while engine.step(Task::Drain).expect("draining") {}
        world.crash(&mut Random::new(seed));
        drop(engine);
        let opened = open().map(drop).map_err(|err| err.code());
        plant(None);
        opened
    };
    assert!((0..20).all(|seed| opened(None, seed).is_ok()));
    let found =
        (0..20).filter(|seed| opened(Some(Bug::ViewBeyondLog), *seed) == Err(Code::ViewAhead)).count();
    assert!(found > 0, "nothing is found");
}

/// Words are kept of records that the log has not synced, power is lost, and other records get their versions.
#[cfg(feature = "planted-bugs")]
#[test]
fn planted_words_of_records_that_power_took_are_believed_by_the_mistake_alone() {
    use std::path::Path;

    use agentdb_engine::modules::{collection, record};
    use agentdb_engine::planted::{Bug, plant};
    use agentdb_engine::{Ack, NamespaceId, Options, Task, WriteOptions};
    use agentdb_env::sim::{Random, World};

    let found = |bug: Option<Bug>, seed: u64| {
        plant(bug);
        let world = World::new(seed);
        let open = || {
            let options = Options { background: false, compact_entries: 4, ..Options::default() };
            Engine::open(&world.env(), Path::new("/db"), options).expect("it opens")
        };
        let put = |engine: &Engine, id: u64, text: &str, ack: Ack| {
            let (record, text) = (Some(format!("r{id}")), Some(text.to_owned()));
            let put = record::Put { record, text, ..record::Put::new("docs") };
            let put =
                engine.write(NamespaceId::DEFAULT, put, WriteOptions { ack, ..WriteOptions::default() });
            put.and_then(|put| put.wait()).expect("a put");
        };
        let found = |engine: &Engine, words: &str| {
            let snapshot = engine.snapshot(NamespaceId::DEFAULT).expect("a snapshot");
            let search =
                record::Search { words: Some(words.into()), limit: Some(100), ..record::Search::new("docs") };
            engine.read(&snapshot, search).expect("a search").hits.len()
        };
        let engine = open();
        let create =
            engine.write(NamespaceId::DEFAULT, collection::Create::new("docs"), WriteOptions::default());
        create.and_then(|create| create.wait()).expect("a collection");
        (0..20).for_each(|id| put(&engine, id, "old", Ack::Written));
        assert_eq!(found(&engine, "old"), 20);
        while engine.step(Task::Index).expect("indexing") {}
        world.crash(&mut Random::new(seed));
        drop(engine);
        let engine = open();
        let left = {
            let snapshot = engine.snapshot(NamespaceId::DEFAULT).expect("a snapshot");
            let count = record::Count { collection: "docs".into(), filter: None };
            engine.read(&snapshot, count).expect("a count").count
        };
        (left..20).for_each(|id| put(&engine, id, "new", Ack::Durable));
        let found = (found(&engine, "old") as u64, found(&engine, "new") as u64);
        plant(None);
        found == (left, 20 - left)
    };
    assert!((0..20).all(|seed| found(None, seed)));
    assert!((0..20).any(|seed| !found(Some(Bug::KeptWordsBelieved), seed)), "nothing is found");
}

/// A session is forked under the name of one that is gone, and then restored to what that one was: the layer below knows a place
/// by an id, and the session has another message there. One seed in some 1,000 does that.
#[cfg(feature = "planted-bugs")]
#[test]
fn planted_ids_of_another_life_are_believed_by_the_mistake_alone() {
    use std::path::Path;

    use agentdb_engine::modules::session::message;
    use agentdb_engine::planted::{Bug, plant};
    use agentdb_engine::{Batch, NamespaceId, Options, WriteOptions};
    use agentdb_env::sim::World;
    use agentdb_types::{Code, Lsn};
    use serde_json::{Value, json};

    let found = |bug: Option<Bug>| {
        plant(bug);
        let world = World::new(1);
        let options = Options { background: false, ..Options::default() };
        let engine = Engine::open(&world.env(), Path::new("/db"), options).expect("it opens");
        let write = |operation: &str, request: Value| -> Lsn {
            let mut batch = Batch::new();
            batch.push_json(&engine, operation, request).expect("a request");
            let written = engine.write_batch(NamespaceId::DEFAULT, batch, WriteOptions::default());
            written.and_then(|written| written.wait()).expect("a write").lsn
        };
        let append = |session: &str, message: &str| {
            let text = json!({"session": session, "owner": "ann", "role": "user", "content": message, "message": message});
            write("message.append", text)
        };
        let before = append("b", "m2");
        write("session.delete", json!({"session": "b"}));
        append("a", "m1");
        write("session.fork", json!({"session": "a", "to": "b"}));
        write("session.restore", json!({"session": "b", "at": before}));
        let get = |id: &str| {
            let snapshot = engine.snapshot(NamespaceId::DEFAULT).expect("a snapshot");
            let get = json!({"session": "b", "message": id});
            let get: message::Get = serde_json::from_value(get).expect("a request");
            engine.read(&snapshot, get).map(|entry| entry.sequence).map_err(|err| err.code())
        };
        let found = (get("m2"), get("m1"));
        plant(None);
        found
    };
    assert_eq!(found(None), (Ok(1), Err(Code::MessageNotFound)));
    assert_ne!(found(Some(Bug::SharedIdBelieved)).1, Err(Code::MessageNotFound));
}
