//! Rows that are loaded against records that are put one by one; stopped, begun again, changed and refused.

use std::sync::Arc;

use agentdb_types::{Code, Error, Result, limits};
use serde_json::{Map, Value, json};

use super::{Counts, IfExists, Load, LoadJob, Loaded, Row, Rows};
use crate::modules::testing::TestDb;
use crate::modules::{collection, record};
use crate::{Engine, Metric, NamespaceId, Table, Task, TextEncoder, WriteOptions};

/// Rows that lie in memory.
struct Given(std::vec::IntoIter<Row>, u64);

impl Rows for Given {
    fn next_row(&mut self) -> Result<Option<Row>> {
        self.1 += 1;
        match self.0.next() {
            Some(row) if row.line == Some(u64::MAX) => {
                Err(Error::new(Code::LoadRow).with("row", self.1).with("column", "x").with("reason", "wrong"))
            }
            row => Ok(row),
        }
    }

    fn bytes_read(&self) -> u64 {
        self.1
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// A number that looks random, of a seed and a place.
fn dice(seed: u64, at: u64, below: u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at.wrapping_mul(0xd134_2543_de82_ef95);
    x = (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x ^ (x >> 32)) % below
}

/// Rows of all shapes: with and without vectors, texts, fields.
fn rows(seed: u64, count: u64) -> Vec<Row> {
    let row = |n: u64| {
        let roll = |part: u64, below: u64| dice(seed + part * 1_000, n, below);
        let component = |part: u64| roll(part, 9) as f32 - 4.5;
        let mut row = Row { record: Some(format!("r{n:05}")), ..Row::default() };
        row.vector = (roll(1, 5) > 0).then(|| vec![component(2), component(3), 1.0]);
        if roll(4, 3) == 0 {
            row.vectors.insert("image".into(), vec![component(5), 0.5]);
        }
        if roll(6, 4) == 0 {
            row.sparse.insert("words".into(), crate::SparseVector::new([(roll(7, 9) as u32, 0.5)]));
        }
        row.text =
            (roll(8, 2) == 0).then(|| format!("the {} of \"{n}\"\n", ["plan", "note"][roll(9, 2) as usize]));
        row.payload = object(json!({"n": n, "kind": format!("k{}", roll(10, 4)), "of": {"x": [n, null]}}));
        row
    };
    (0..count).map(row).collect()
}

fn create(db: &TestDb) {
    let create = collection::Create {
        dimension: Some(3),
        vectors: [("image".to_owned(), collection::VectorSettings { dimension: 2, metric: Metric::Dot })]
            .into(),
        sparse: [("words".to_owned(), collection::SparseSettings {})].into(),
        ..collection::Create::new("docs")
    };
    db.write(create).unwrap();
}

fn with_collection() -> TestDb {
    let db = TestDb::new(3);
    create(&db);
    db
}

fn begin(db: &TestDb, load: &Load, rows: Vec<Row>) -> Result<LoadJob<'static>> {
    let rows = Box::new(Given(rows.into_iter(), 0));
    db.engine().begin_load(db.namespace, load, "docs.csv", rows, WriteOptions::default())
}

fn finish(mut job: LoadJob<'_>) -> Result<Loaded> {
    loop {
        if let Some(loaded) = job.step()? {
            return Ok(loaded);
        }
    }
}

fn load(db: &TestDb, rows: Vec<Row>) -> Result<Loaded> {
    finish(begin(db, &Load::new("docs"), rows)?.segment_rows(7))
}

fn put(row: &Row) -> record::Put {
    record::Put {
        record: row.record.clone(),
        vector: row.vector.clone(),
        vectors: row.vectors.clone(),
        sparse: row.sparse.clone(),
        text: row.text.clone(),
        payload: row.payload.clone(),
        ..record::Put::new("docs")
    }
}

/// What a collection shows: its records without times and versions, what it knows of fields, and what searches find.
fn shown(db: &TestDb) -> Vec<Value> {
    let list = record::List {
        collection: "docs".into(),
        filter: None,
        limit: Some(10_000),
        cursor: None,
        reverse: false,
        include_vector: true,
        fields: None,
        omit_text: false,
    };
    let mut all: Vec<Value> = Vec::new();
    for entry in db.read(list).unwrap().items {
        let mut entry = serde_json::to_value(entry).unwrap();
        for field in ["created", "updated", "version"] {
            entry.as_object_mut().unwrap().remove(field);
        }
        all.push(entry);
    }
    let about = db.read(collection::Get { collection: "docs".into() }).unwrap();
    all.push(json!({"fields": about.fields, "records": about.records}));
    for search in [
        json!({"vector": [1.0, -2.0, 0.5], "limit": 9}),
        json!({"vector": [1.0, -2.0, 0.5], "limit": 9, "filter": {"kind": "k1"}}),
        json!({"vector": [1.0, 0.5], "using": "image", "limit": 9}),
        json!({"sparse": {"indices": [1, 3, 5], "values": [1.0, 1.0, 1.0]}, "using": "words", "limit": 9}),
        json!({"words": "plan", "limit": 9}),
    ] {
        let mut request = object(search);
        request.insert("collection".into(), "docs".into());
        let search: record::Search = serde_json::from_value(Value::Object(request)).unwrap();
        let hits = db.read(search).unwrap().hits;
        all.extend(hits.into_iter().map(|hit| json!([hit.record, hit.score])));
    }
    all
}

#[test]
fn rows_that_are_loaded_are_records_that_are_put() {
    for seed in 0..12 {
        let (one, other) = (with_collection(), with_collection());
        // Some are there before.
        for row in rows(seed + 100, 90).iter().filter(|row| row.payload["kind"] == "k2") {
            one.write(put(row)).unwrap();
            other.write(put(row)).unwrap();
        }
        // Indexes that are there already follow, too.
        if seed % 2 == 0 {
            shown(&other);
        }
        let rows = rows(seed, 60 + seed * 5);
        rows.iter().for_each(|row| drop(one.write(put(row)).unwrap()));
        let job = begin(&other, &Load::new("docs"), rows).unwrap();
        finish(job.segment_rows(1 + seed as usize * 3)).unwrap();
        assert_eq!(shown(&other), shown(&one), "seed {seed}");
        let mut other = other;
        other.drain();
        other.reopen().unwrap();
        assert_eq!(shown(&other), shown(&one), "seed {seed}, opened again");
    }
}

#[test]
fn a_segment_is_one_entry_of_the_log() {
    let db = with_collection();
    let before = db.engine().lsn();
    let loaded = load(&db, rows(1, 21)).unwrap();
    assert_eq!((loaded.lsn.0 - before.0, loaded.rows), (3, 21));
    assert_eq!(loaded.counts, Counts { created: 21, ..Counts::default() });
}

#[test]
fn stopped_at_any_segment_it_goes_on_without_gap_or_repeat() {
    let whole = with_collection();
    load(&whole, rows(1, 60)).unwrap();
    let generated = |db: &TestDb, rows: u64| {
        let rows = self::rows(1, rows).into_iter().map(|row| Row { record: None, ..row }).collect();
        begin(db, &Load { generate_ids: true, ..Load::new("docs") }, rows).unwrap().segment_rows(7)
    };
    for steps in 1..9 {
        for with_ids in [true, false] {
            let mut db = with_collection();
            let mut job = match with_ids {
                true => begin(&db, &Load::new("docs"), rows(1, 60)).unwrap().segment_rows(7),
                false => generated(&db, 60),
            };
            for _ in 0..steps {
                assert!(job.step().unwrap().is_none());
            }
            let committed = job.progress().rows;
            assert_eq!(committed, 7 * steps);
            drop(job);
            db.reopen().unwrap();
            // Segments of another size.
            let loaded = match with_ids {
                true => finish(begin(&db, &Load::new("docs"), rows(1, 60)).unwrap().segment_rows(5)).unwrap(),
                false => finish(generated(&db, 60)).unwrap(),
            };
            assert_eq!((loaded.resumed_behind, loaded.rows), (Some(committed), 60), "behind {steps}");
            assert_eq!(loaded.counts, Counts { created: 60, ..Counts::default() });
            if with_ids {
                assert_eq!(shown(&db), shown(&whole));
            }
            let about = db.read(collection::Get { collection: "docs".into() }).unwrap();
            assert_eq!(about.records, 60);
        }
    }
}

#[test]
fn what_was_loaded_must_be_the_same_and_what_follows_need_not() {
    let started = || {
        let db = with_collection();
        let mut job = begin(&db, &Load::new("docs"), rows(1, 60)).unwrap().segment_rows(7);
        for _ in 0..3 {
            job.step().unwrap();
        }
        drop(job);
        db
    };
    let changed = |at: usize| {
        let mut rows = rows(1, 60);
        rows[at].payload.insert("n".into(), json!("changed"));
        rows[at].payload.remove("n");
        rows
    };
    // In the first segment, the last loaded row, and the one behind it.
    for (at, refused) in [(0, true), (6, true), (7, true), (20, true), (21, false), (59, false)] {
        let db = started();
        let told = load(&db, changed(at));
        match refused {
            true => {
                let err = told.unwrap_err();
                assert_eq!((err.code(), err.value("row")), (Code::LoadChanged, Some("21")), "{at}: {err}");
                assert_eq!(db.rows(Table::Record), 21);
                assert_eq!(load(&db, rows(1, 60)).unwrap().resumed_behind, Some(21), "the same goes on");
            }
            false => assert_eq!(told.unwrap().resumed_behind, Some(21), "{at}"),
        }
    }
    for fewer in [3, 15] {
        let err = load(&started(), rows(1, fewer)).unwrap_err();
        assert_eq!(err.code(), Code::LoadChanged, "{fewer}: {err}");
    }
    // Anew, under another name, or into another collection of that name.
    let db = started();
    let anew = Load { anew: true, ..Load::new("docs") };
    let loaded = finish(begin(&db, &anew, changed(0)).unwrap()).unwrap();
    assert_eq!(
        (loaded.resumed_behind, loaded.counts),
        (None, Counts { created: 39, replaced: 21, skipped: 0 })
    );
    let other = Load { source: Some("other".into()), ..Load::new("docs") };
    assert_eq!(finish(begin(&started(), &other, changed(0)).unwrap()).unwrap().rows, 60);
    let db = started();
    db.write(collection::Truncate { collection: "docs".into() }).unwrap();
    assert_eq!(load(&db, changed(0)).unwrap().counts.created, 60);
}

#[test]
fn one_that_is_done_answers_the_same_and_another_begins_anew() {
    let mut db = with_collection();
    let first = load(&db, rows(1, 60)).unwrap();
    let before = db.engine().digest(db.namespace).unwrap();
    for _ in 0..2 {
        db.reopen().unwrap();
        let again = load(&db, rows(1, 60)).unwrap();
        assert_eq!(again, Loaded { resumed_behind: Some(60), ..first });
        assert_eq!(db.engine().digest(db.namespace).unwrap(), before, "nothing is written");
    }
    let err = load(&db, rows(1, 61)).unwrap_err();
    assert_eq!(err.code(), Code::LoadChanged, "more of the same is not silently another load: {err}");
    assert_eq!(load(&db, rows(1, 59)).unwrap_err().code(), Code::LoadChanged);
    let other = load(&db, rows(2, 30)).unwrap();
    assert_eq!((other.resumed_behind, other.counts.replaced), (None, 30));
    assert_eq!(load(&db, Vec::new()).unwrap().rows, 0, "no rows are another file");
    db.world.advance_us(limits::LOAD_KEPT_US.unsigned_abs() + 1);
    db.run(Task::Sweep);
    assert_eq!(db.rows(Table::Load), 0);
}

#[test]
fn the_second_of_two_at_a_time_loads_nothing_twice() {
    let db = with_collection();
    let begun = || begin(&db, &Load::new("docs"), rows(1, 30)).unwrap().segment_rows(7);
    let (mut one, mut other) = (begun(), begun());
    one.step().unwrap();
    let err = other.step().unwrap_err();
    assert_eq!(err.code(), Code::LoadMoved, "{err}");
    // The collection goes from under it.
    db.write(collection::Truncate { collection: "docs".into() }).unwrap();
    assert_eq!(one.step().unwrap_err().code(), Code::LoadMoved);
    assert_eq!(
        db.rows(Table::Record)
            + db.read(record::Count { collection: "docs".into(), filter: None }).unwrap().count as usize,
        7,
        "what was loaded is to be swept"
    );
}

#[test]
fn records_that_are_there_are_replaced_left_or_refused() {
    let existing = |existing| Load { existing, ..Load::new("docs") };
    for (how, expected) in [
        (IfExists::Replace, Some(Counts { created: 30, replaced: 10, skipped: 0 })),
        (IfExists::Skip, Some(Counts { created: 30, replaced: 0, skipped: 10 })),
        (IfExists::Refuse, None),
    ] {
        let db = with_collection();
        rows(9, 20)[10..].iter().for_each(|row| drop(db.write(put(row)).unwrap()));
        let told = finish(begin(&db, &existing(how), rows(1, 40)).unwrap().segment_rows(7));
        match expected {
            Some(counts) => assert_eq!(told.unwrap().counts, counts),
            None => {
                let err = told.unwrap_err();
                assert_eq!(
                    (err.code(), err.value("row"), err.value("loaded")),
                    (Code::RecordExists, Some("11"), Some("7"))
                );
                assert_eq!(db.rows(Table::Record), 17, "the segments before stay");
            }
        }
    }
}

/// Records with many vectors give way to rows without: more mutations than a segment of such rows has.
#[test]
fn a_segment_that_replaces_too_much_is_split() {
    let db = with_collection();
    let heavy = |n: u64| {
        let mut row = Row { record: Some(format!("{n}")), vector: Some(vec![1.0; 3]), ..Row::default() };
        row.vectors.insert("image".into(), vec![1.0; 2]);
        row
    };
    let source = |source: &str| Load { source: Some(source.into()), ..Load::new("docs") };
    finish(begin(&db, &source("heavy"), (0..6_000).map(heavy).collect()).unwrap()).unwrap();
    let light = (0..6_000).map(|n| Row { record: Some(format!("{n}")), ..Row::default() }).collect();
    let loaded = finish(begin(&db, &source("light"), light).unwrap()).unwrap();
    assert_eq!(loaded.counts, Counts { replaced: 6_000, ..Counts::default() });
    assert_eq!((db.rows(Table::Vector), db.rows(Table::Record)), (0, 6_000));
}

#[test]
fn a_row_that_is_refused_is_named_and_the_segments_before_it_stay() {
    type Spoil = fn(&mut Row);
    let wrong: [(&str, Code, Spoil); 12] = [
        ("dimension", Code::DimensionMismatch, |row| row.vector = Some(vec![1.0])),
        ("zero", Code::VectorZero, |row| row.vector = Some(vec![0.0; 3])),
        ("nan", Code::VectorNotFinite, |row| row.vector = Some(vec![f32::NAN; 3])),
        ("unknown vector", Code::VectorUnknown, |row| drop(row.vectors.insert("x".into(), vec![1.0]))),
        ("unknown sparse", Code::VectorUnknown, |row| {
            drop(row.sparse.insert("x".into(), Default::default()))
        }),
        ("empty id", Code::IdEmpty, |row| row.record = Some(String::new())),
        ("long id", Code::IdTooLong, |row| row.record = Some("x".repeat(513))),
        ("twice", Code::LoadRow, |row| row.record = Some("r00002".into())),
        ("type", Code::FieldTypeMismatch, |row| drop(row.payload.insert("kind".into(), json!(7)))),
        ("long text", Code::ValueTooLarge, |row| row.text = Some("x".repeat(limits::VALUE_BYTES + 1))),
        ("large payload", Code::ValueTooLarge, |row| {
            drop(row.payload.insert("n".into(), json!("x".repeat(limits::VALUE_BYTES))));
        }),
        ("of the file", Code::LoadRow, |row| row.line = Some(u64::MAX)),
    ];
    for (what, code, spoil) in wrong {
        let db = with_collection();
        let mut list = rows(1, 40);
        spoil(&mut list[17]);
        let err = load(&db, list).unwrap_err();
        let values = (err.code(), err.value("row"), err.value("loaded"));
        assert_eq!(values, (code, Some("18"), Some("14")), "{what}: {err}");
        assert!(err.message().contains("14 rows are loaded"), "{err}");
        assert_eq!(db.rows(Table::Record), 14, "{what}");
        assert_eq!(load(&db, rows(1, 40)).unwrap().resumed_behind, Some(14), "{what}: put right, it goes on");
    }
    let mut deep = json!(1);
    for _ in 0..limits::JSON_DEPTH {
        deep = json!([deep]);
    }
    let row = Row { record: Some("a".into()), payload: object(json!({"deep": deep})), ..Row::default() };
    assert_eq!(load(&with_collection(), vec![row]).unwrap_err().code(), Code::DepthExceeded);
}

#[test]
fn a_collection_is_created_with_what_the_first_segment_has_or_not_at_all() {
    let db = TestDb::new(3);
    assert_eq!(load(&db, rows(1, 30)).unwrap_err().code(), Code::CollectionNotFound);
    let creating = Load { create: true, metric: Some(Metric::Dot), ..Load::new("docs") };
    let mut wrong = rows(1, 30);
    wrong[3].payload.insert("kind".into(), json!(7));
    assert!(finish(begin(&db, &creating, wrong).unwrap()).is_err());
    assert_eq!(db.rows(Table::Collection), 0, "nothing of the segment");
    finish(begin(&db, &creating, rows(1, 30)).unwrap()).unwrap();
    let about = db.read(collection::Get { collection: "docs".into() }).unwrap();
    assert_eq!(
        (about.dimension.map(|d| d.get()), about.vectors["image"].dimension, about.records),
        (Some(3), 2, 30)
    );
    assert_eq!((about.metric, about.sparse.contains_key("words")), (Metric::Dot, true));
    // One that is there stays as it is.
    let more = Load { metric: Some(Metric::Cosine), source: Some("more".into()), ..creating };
    finish(begin(&db, &more, rows(1, 40)).unwrap()).unwrap();
    assert_eq!(db.read(collection::Get { collection: "docs".into() }).unwrap().metric, Metric::Dot);
}

#[test]
fn records_expire_with_the_time_to_live_of_the_load() {
    let db = with_collection();
    let ttl = Load { ttl_us: Some(1_000_000), ..Load::new("docs") };
    finish(begin(&db, &ttl, rows(1, 30)).unwrap()).unwrap();
    let count = || db.read(record::Count { collection: "docs".into(), filter: None }).unwrap().count;
    assert_eq!(count(), 30);
    db.world.advance_us(1_000_001);
    db.write(put(&rows(2, 1)[0])).unwrap();
    assert_eq!(count(), 1);
    db.run(Task::Sweep);
    assert_eq!(db.rows(Table::Record), 1);
    let zero = Load { ttl_us: Some(0), source: Some("zero".into()), ..Load::new("docs") };
    assert_eq!(finish(begin(&db, &zero, rows(1, 30)).unwrap()).unwrap_err().code(), Code::TtlOutOfRange);
}

/// How often the letters a, b and c are in a text.
struct Letters;

impl TextEncoder for Letters {
    fn id(&self) -> &str {
        "letters"
    }

    fn dimension(&self) -> usize {
        3
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let count = |text: &str, letter: char| text.chars().filter(|c| *c == letter).count() as f32;
        texts
            .iter()
            .map(|text| match *text {
                "" => Err(Error::new(Code::InvalidValue).with("field", "text").with("reason", "it is empty")),
                text => Ok(['a', 'b', 'c'].map(|letter| count(text, letter)).to_vec()),
            })
            .collect()
    }
}

#[test]
fn texts_without_vectors_are_encoded_where_the_collection_has_an_encoder() {
    let texts = |texts: &[&str]| -> Vec<Row> {
        let row = |(n, text): (usize, &&str)| Row {
            record: Some(format!("{n}")),
            text: Some((*text).to_owned()),
            ..Row::default()
        };
        texts.iter().enumerate().map(row).collect()
    };
    let db = TestDb::new(3);
    let engine: &Engine = db.engine();
    engine.set_text_encoder(Arc::new(Letters));
    db.write(collection::Create { encoder: Some("letters".into()), ..collection::Create::new("docs") })
        .unwrap();
    let mut given = texts(&["aab", "bcc", "c"]);
    given[2].vector = Some(vec![5.0, 0.0, 0.0]);
    load(&db, given).unwrap();
    let vector = |id: &str| {
        let get = record::Get { collection: "docs".into(), record: id.into(), include_vector: true };
        db.read(get).unwrap().vector.unwrap()
    };
    assert_eq!([vector("0"), vector("1"), vector("2")], [[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [5.0, 0.0, 0.0]]);
    let more = Load { source: Some("more".into()), ..Load::new("docs") };
    let err = finish(begin(&db, &more, texts(&["a", "b", "", "c"])).unwrap()).unwrap_err();
    assert_eq!((err.code(), err.value("row")), (Code::InvalidValue, Some("3")), "{err}");
    // Without the encoder they are refused as record.put refuses them.
    let mut db = db;
    db.reopen().unwrap();
    let err = finish(begin(&db, &more, texts(&["a"])).unwrap()).unwrap_err();
    assert_eq!((err.code(), err.value("row")), (Code::NoEncoder, Some("1")));
}

#[test]
fn a_load_has_no_idempotency_key_and_a_name_that_is_an_id() {
    let db = with_collection();
    let options = WriteOptions { idempotency_key: Some("k".into()), ..WriteOptions::default() };
    let rows = || Box::new(Given(Vec::new().into_iter(), 0));
    let begin = |load: &Load, options| {
        db.engine().begin_load(NamespaceId::DEFAULT, load, "x", rows(), options).err().map(|err| err.code())
    };
    assert_eq!(begin(&Load::new("docs"), options), Some(Code::InvalidValue));
    let unnamed = Load { source: Some(String::new()), ..Load::new("docs") };
    assert_eq!(begin(&unnamed, WriteOptions::default()), Some(Code::IdEmpty));
    assert_eq!(begin(&Load::new("docs"), WriteOptions::default()), None);
}

/// Begins a load into `docs` that is not gone on with.
pub(crate) fn leave_unfinished(engine: &Engine, collection: &str) {
    let row = |record: &str| Row {
        record: Some(record.into()),
        text: Some("loaded".into()),
        payload: object(json!({"loaded": true})),
        ..Row::default()
    };
    let rows = Box::new(Given(vec![row("loaded-1"), row("loaded-2")].into_iter(), 0));
    let (load, options) = (Load::new(collection), WriteOptions::default());
    let mut job =
        engine.begin_load(NamespaceId::DEFAULT, &load, "docs.csv", rows, options).unwrap().segment_rows(1);
    assert!(job.step().unwrap().is_none());
}
