//! Every decoder is fed its corpus, then mutations of it and random bytes for a while.
//!
//! `AGENTDB_FUZZ_SECONDS` sets for how long, `AGENTDB_SEED` with which seed. A failure names the seed and a file that holds
//! the input; that file belongs into the corpus once the bug is mended.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use agentdb_env::sim::Random;
use agentdb_env::{Env, OpenMode};
use agentdb_types::Lsn;
use serde_json::json;

use super::{Decoder, all};
use crate::digest::SetHash;
use crate::modules::backup::{Backups, DirectoryStore};
use crate::modules::database::flips::{of_every_table, with_a_fork};
use crate::modules::testing::{DIR, TestDb};
use crate::modules::{collection, record, state};
use crate::mutation::{self, Change, put_entry};
use crate::read::{Page, Read};
use crate::rows::decoders::blocks;
use crate::{Key, NamespaceId, Table, Task};

const THREADS: u64 = 2;
const SECONDS: u64 = 60;
/// Inputs for each decoder in one round. Requests open a database each time.
const BATCH: u64 = 200;
const BATCH_OF_REQUESTS: u64 = 4;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus")
}

/// The files of a decoder's corpus, by name.
fn load(name: &str) -> Vec<(String, Vec<u8>)> {
    let (files, dir) = (Env::real().files, corpus().join(name));
    let names = files.list(&dir).unwrap();
    let read = |name: String| {
        let file = files.open(&dir.join(&name), OpenMode::Read).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut bytes).unwrap();
        (name, bytes)
    };
    names.into_iter().map(read).collect()
}

/// A file whose name is free.
fn save(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let (files, path) = (Env::real().files, dir.join(name));
    files.create_dir_all(dir).unwrap();
    if files.exists(&path).unwrap() {
        files.remove(&path).unwrap();
    }
    files.open(&path, OpenMode::CreateNew).unwrap().write_at(0, bytes).unwrap();
    path
}

#[test]
fn every_decoder_has_a_corpus_and_knows_what_is_valid_in_it() {
    let names: Vec<&str> = all().iter().map(|(name, _)| *name).collect();
    assert_eq!(Env::real().files.list(&corpus()).unwrap(), names);
    for (name, decoder) in all() {
        let files = load(name);
        assert!(files.iter().any(|(file, _)| file.starts_with("valid-")), "{name} has nothing valid");
        for (file, bytes) in files {
            let valid = decoder(&bytes);
            assert!(valid || !file.starts_with("valid-"), "{name} refuses {file}");
        }
    }
}

/// Numbers at the borders of what is counted somewhere.
const BORDERS: [u64; 12] =
    [0, 1, 7, 8, 127, 128, 255, 4096, u16::MAX as u64, u32::MAX as u64, i64::MAX as u64, u64::MAX];

fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let len = bytes.len() as u64;
    let at = random.below(len + 1) as usize;
    let count = random.below(1 + random.clone().below(16)) as usize;
    let end = (at + count).min(bytes.len());
    match random.below(10) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        2 if at < bytes.len() => bytes[at] = random.next_u64() as u8,
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(at..end)),
        5 => {
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        6 | 7 => {
            // A piece of another file of the corpus, instead of a piece of this one.
            let from = random.below(other.len() as u64 + 1) as usize;
            let to = (from + random.below(32) as usize).min(other.len());
            bytes.splice(at..end, other[from..to].iter().copied());
        }
        8 => {
            let number = BORDERS[random.below(BORDERS.len() as u64) as usize].to_le_bytes();
            let width = 1 << random.below(4);
            let end = (at + width).min(bytes.len());
            bytes.splice(at..end, number[..width].iter().copied());
        }
        _ => {
            let mut piece = vec![0; count];
            random.fill(&mut piece);
            bytes.splice(at..at, piece);
        }
    }
}

fn input(items: &[(String, Vec<u8>)], random: &mut Random) -> Vec<u8> {
    if random.chance(1, 10) {
        let mut bytes = vec![0; random.below(300) as usize];
        random.fill(&mut bytes);
        return bytes;
    }
    let mut pick = || &items[random.below(items.len() as u64) as usize].1;
    let (mut bytes, other) = (pick().clone(), pick());
    for _ in 0..=random.below(6) {
        mutate(&mut bytes, other, random);
    }
    bytes
}

/// How many inputs were decoded, and how many refused.
type Counts = BTreeMap<&'static str, (u64, u64)>;

/// Feeds one decoder a batch; the file and the message of what failed, if anything did.
fn feed(
    (name, decoder): (&'static str, Decoder),
    items: &[(String, Vec<u8>)],
    random: &mut Random,
    counts: &mut Counts,
) -> Result<(), String> {
    let batch = if name == "requests" { BATCH_OF_REQUESTS } else { BATCH };
    for _ in 0..batch {
        let bytes = input(items, random);
        match catch_unwind(AssertUnwindSafe(|| decoder(&bytes))) {
            Ok(true) => counts.entry(name).or_default().0 += 1,
            Ok(false) => counts.entry(name).or_default().1 += 1,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                let dir = std::env::temp_dir().join("agentdb-decoders").join(name);
                let hash = blake3::hash(&bytes).to_hex();
                let path = save(&dir, &format!("find-{}", &hash[..16]), &bytes);
                return Err(format!("{name} fails on {}: {}", path.display(), text.unwrap_or_default()));
            }
        }
    }
    Ok(())
}

#[test]
fn every_decoder_survives_mutations_of_its_corpus_and_random_bytes() {
    let variable = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seconds = variable("AGENTDB_FUZZ_SECONDS").unwrap_or(SECONDS);
    let seed = variable("AGENTDB_SEED").unwrap_or(1);
    let env = Env::real();
    let end = env.clock.monotonic_us() + seconds * 1_000_000;
    let failures = Arc::new(Mutex::new(Vec::new()));
    let counts = Arc::new(Mutex::new(Counts::new()));
    let mut threads = Vec::new();
    for thread in 0..THREADS {
        let (env, failures, all_counts) = (env.clone(), failures.clone(), counts.clone());
        let body = move || {
            let corpora: Vec<_> = all().iter().map(|(name, _)| load(name)).collect();
            // Threads and rounds have numbers of their own: what is fed does not depend on how fast the machine is.
            let mut random = Random::new(seed * THREADS + thread);
            let mut counts = Counts::new();
            let mut failed = None;
            while failed.is_none() && env.clock.monotonic_us() < end {
                for (decoder, items) in all().iter().zip(&corpora) {
                    failed = failed.or(feed(*decoder, items, &mut random, &mut counts).err());
                }
            }
            failures.lock().unwrap().extend(failed);
            for (name, (valid, refused)) in counts {
                let mut all = all_counts.lock().unwrap();
                let sum = all.entry(name).or_default();
                *sum = (sum.0 + valid, sum.1 + refused);
            }
        };
        threads.push(Env::real().threads.spawn("decoders", Box::new(body)).unwrap());
    }
    threads.into_iter().for_each(agentdb_env::Join::join);
    let failures = failures.lock().unwrap();
    assert!(failures.is_empty(), "AGENTDB_SEED={seed}: {failures:#?}");
    let counts = counts.lock().unwrap();
    for (name, _) in all() {
        let (valid, refused) = counts[name];
        println!("{name:16} {valid:>9} decoded {refused:>9} refused");
        assert!(valid > 0 && refused > 0, "{name} decodes {valid} and refuses {refused}");
    }
}

/// Writes the corpus of real encodings: `cargo test -p agentdb-engine write_the_corpus -- --ignored`. Finds stay.
#[test]
#[ignore = "it writes into the source tree"]
fn write_the_corpus() {
    let db = with_a_fork(of_every_table(21));
    let put = |decoder: &str, name: &str, bytes: &[u8]| {
        save(&corpus().join(decoder), &format!("valid-{name}"), bytes);
    };
    for namespace in [NamespaceId::SYSTEM, NamespaceId::DEFAULT] {
        let snapshot = db.engine().snapshot(namespace).unwrap();
        snapshot
            .scan_prefix(&Key::namespace(namespace), Page::Forward, &mut |key, row| {
                let bytes = key.as_bytes();
                let table = Table::from_number(Key::table_of(bytes).unwrap()).unwrap();
                let decoder = match table {
                    Table::Namespace => "namespace_row",
                    Table::Idempotency => "idempotency_row",
                    Table::State => "state_row",
                    Table::History => "version_row",
                    Table::Moment => "moments_row",
                    Table::Import => "import_row",
                    Table::Load => "load_row",
                    Table::Retention => "retention_row",
                    Table::Policy => "policy_row",
                    Table::SessionTally => "session_tally_row",
                    Table::Session => "session_row",
                    Table::Message if row.body.is_empty() => return Ok(true),
                    Table::Message => "message_row",
                    Table::MessageLayer => "message_layer_row",
                    Table::Blob | Table::ForkBlob => "blob_row",
                    Table::Collection => "collection_row",
                    Table::Record => "record_row",
                    Table::Vector => "vector_row",
                    Table::Garbage if !row.body.is_empty() => "node_note",
                    Table::Link => "link_row",
                    Table::Thread => "thread_row",
                    Table::Checkpoint => "checkpoint_row",
                    Table::CheckpointWrite => "checkpoint_write_row",
                    Table::ChannelVersion => "channel_version_row",
                    Table::ChannelContent => "channel_content_row",
                    Table::ToolCall => "tool_call_row",
                    Table::Job => "job_row",
                    Table::Fork => "fork_row",
                    Table::Item => "item_row",
                    Table::ItemExpiry => "item_expiry_row",
                    Table::ItemIndex => "item_index_row",
                    _ => "",
                };
                if !decoder.is_empty() {
                    put(decoder, table.name(), &row.body);
                }
                if key.components().text().is_ok() {
                    put("key", table.name(), bytes);
                } else {
                    save(&corpus().join("key"), &format!("numbers-{}", table.name()), bytes);
                }
                Ok(true)
            })
            .unwrap();
    }
    write_log(&db, &put);
    write_text(&db, &put);
    write_backups(&put);
    write_kept_words(&put);
}

/// The list of words that are kept of a collection.
fn write_kept_words(put: &dyn Fn(&str, &str, &[u8])) {
    let db = TestDb::new(5);
    db.write(collection::Create::new("docs")).unwrap();
    for id in 0..1_100 {
        let (record, text) = (Some(format!("r{id}")), (id % 40 > 0).then(|| "a text".to_owned()));
        db.write(record::Put { record, text, ..record::Put::new("docs") }).unwrap();
    }
    db.read(record::Search { words: Some("text".into()), ..record::Search::new("docs") }).unwrap();
    db.run(Task::Index);
    let list = db.world.list_all().into_iter().find(|path| path.extension().is_some_and(|e| e == "list"));
    put("kept_words", "docs", &db.world.read_file(&list.unwrap()).unwrap());
}

/// The objects of a store of backups, and the file that holds the log for it.
fn write_backups(put: &dyn Fn(&str, &str, &[u8])) {
    let db = TestDb::new(3);
    let open = |key| {
        let store = DirectoryStore::new(&db.world.env(), Path::new("/backups")).unwrap();
        Backups::open(&db.world.env(), Arc::new(store), key).unwrap()
    };
    let backups = open(None);
    let write = |n: u64| db.write(state::Put::new("ann", "plan", json!(n))).unwrap();
    write(1);
    db.engine().backup(&backups, false, &mut |_| {}).unwrap();
    write(2);
    db.engine().archive(&backups, true, &mut |_| {}).unwrap();
    std::mem::forget(db.engine().begin_backup(&backups, false).unwrap());
    put("hold_file", "held", &db.world.read_file(&Path::new(DIR).join("HOLD")).unwrap());
    put("backup_object", "empty", &[1, 0]);
    let mut kinds = BTreeMap::new();
    for path in db.world.list_all() {
        let Some(object) = path.strip_prefix("/backups").ok().and_then(Path::to_str) else { continue };
        let bytes = db.world.read_file(&path).unwrap();
        let contents = bytes.get(2..).unwrap_or_default();
        let (decoder, bytes) = match object.split_once('/').map_or(object, |(kind, _)| kind) {
            "STORE" => ("backup_store", &bytes[..]),
            "manifests" => ("backup_manifest", contents),
            "leases" => ("backup_lease", &bytes[..]),
            "chunks" if super::by_name("backup_index").unwrap()(contents) => ("backup_index", contents),
            _ => continue,
        };
        let number = kinds.entry(decoder).or_insert(0);
        *number += 1;
        put(decoder, &number.to_string(), bytes);
    }
}

fn write_log(db: &crate::modules::testing::TestDb, put: &dyn Fn(&str, &str, &[u8])) {
    let segment = db.world.read_file(&Path::new(DIR).join("log/0000000001.log")).unwrap();
    put("segment_header", "first", &segment[..44]);
    let salt = u64::from_le_bytes(segment[32..40].try_into().unwrap());
    let (mut at, mut number) = (4096, 0);
    while segment[at..at + 4] == *b"ADBG" {
        let body = u32::from_le_bytes(segment[at + 48..at + 52].try_into().unwrap()) as usize;
        number += 1;
        put("frame", &format!("{number}"), &segment[at..at + 96 + body]);
        let frame = agentdb_log::decode_frame(&segment[at..], salt, at as u64).unwrap().unwrap();
        put("entries", &format!("{number}"), &frame.group.body);
        at += (96 + body).next_multiple_of(8);
    }
    let edit = |at, remove| mutation::Edit { at, remove, insert: b"new".to_vec() };
    let changes = [
        ("put", Change::Put(b"row"[..].into())),
        ("delete", Change::Delete),
        ("add", Change::Add(-3)),
        ("splice", Change::Splice(vec![edit(3, 2), edit(100, 0)])),
    ];
    let mut group = Vec::new();
    for (name, change) in changes {
        let mut bytes = vec![change.kind()];
        change.encode_body(&mut bytes);
        put("change", name, &bytes);
        put("sealed", name, &bytes);
        let mutations = vec![mutation::Mutation {
            key: b"key".to_vec(),
            body: mutation::Body::Clear(change),
            keeps: name == "splice",
        }];
        let mut names = mutation::Names::default();
        names.insert(Table::Session, &[7], "s1");
        names.insert(Table::Message, &[7, 1], "m1");
        let unknown = vec![(5, b"x".to_vec()), (99, Vec::new())];
        let entry = mutation::Entry {
            operation: "state.put".into(),
            principal: Some("alice".into()),
            subject: Some("ann".into()),
            names,
            mutations,
            unknown,
        };
        put_entry(&mut group, &entry);
    }
    put("entries", "all-kinds", &group);
    let ring = &db.engine().core.keyring;
    for subject in ["ann", "bob"] {
        ring.ensure(subject).unwrap();
    }
    ring.destroy("bob").unwrap();
    let keys = db.world.list_all().into_iter().filter(|p| p.extension().is_some_and(|e| e == "key"));
    for (number, path) in keys.enumerate() {
        put("key_file", &format!("{number}"), &db.world.read_file(&path).unwrap());
    }
    let mut hash = SetHash::default();
    put("set_hash", "empty", &hash.to_bytes());
    hash.add(b"key", Lsn(1), b"row");
    put("set_hash", "one", &hash.to_bytes());
    db.drain();
    let rows = Path::new(DIR).join("rows");
    put("manifest", "drained", &db.world.read_file(&rows.join("MANIFEST")).unwrap());
    let run = db.world.read_file(&rows.join("0000000001.run")).unwrap();
    put("run", "drained", &run);
    let [plain, packed] = blocks(&run);
    put("block", "first", &plain);
    put("packed_block", "first", &packed);
}

fn write_text(db: &crate::modules::testing::TestDb, put: &dyn Fn(&str, &str, &[u8])) {
    put("format_file", "first", &db.world.read_file(&Path::new(DIR).join("FORMAT")).unwrap());
    for (name, text) in [("plain", "1970-01-01T00:00:00Z"), ("offset", "2026-02-28T23:59:59.123456+01:30")] {
        put("timestamp", name, text.as_bytes());
    }
    put("id", "text", "é-7".as_bytes());
    put("id", "longest", "x".repeat(512).as_bytes());
    let prefix = Key::new(NamespaceId::DEFAULT, Table::State).text("ann");
    put("cursor", "state", crate::cursor::encode(&prefix, &prefix.clone().text("plan")).as_bytes());
    let value = json!({"a": [1, -2.5e-3, "x\u{0}\"\\", null, true], "é": {"": u64::MAX}});
    put("json", "all", value.to_string().as_bytes());
    put("json", "deep", format!("{}1{}", "[".repeat(31), "]".repeat(31)).as_bytes());
    let filter = json!({
        "kind": "note", "pages": {"$gte": 3, "$lt": 10.5, "$ne": 4}, "tags": {"$contains": "x", "$nin": [1, "y"]},
        "$or": [{"a.b": true}, {"a.c": {"$in": [1, 2]}}], "$not": {"gone": {"$exists": true}},
    });
    let payload = json!({"kind": "note", "pages": 5, "tags": ["x"], "a": {"b": true, "c": 2}});
    put("filter", "all", format!("{filter}\n{payload}").as_bytes());
    put(
        "filter",
        "numbers",
        b"{\"n\": {\"$gt\": 9007199254740992.0, \"$lte\": 1e300}}\n{\"n\": 9007199254740993}",
    );
    put("import", "all", &super::text::exported(db.engine()));
    for (name, lines) in super::requests::examples() {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        put("requests", name, lines.join("\n").as_bytes());
    }
}
