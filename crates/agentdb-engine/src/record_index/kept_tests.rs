//! Words that were kept on the disk find what words made anew find, whatever happened to the records, or to the files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use agentdb_env::Env;
use agentdb_env::sim::Random;
use agentdb_text::Query;
use agentdb_types::Code;
use serde_json::json;

use super::kept::Place;
use super::state::State;
use crate::modules::collection::{self, Alter, Create, TextSettings, Truncate};
use crate::modules::record::{Delete, Patch, Put, Search};
use crate::modules::testing::{DIR, TestDb};
use crate::{Batch, Engine, NamespaceId, Options, Task, WriteOptions};

const WORDS: [&str; 6] = ["ash", "birch", "cedar", "elm", "fir", "oak"];

fn put(id: u64, text: Option<String>) -> Put {
    Put { record: Some(format!("r{id}")), text, ..Put::new("docs") }
}

fn text(dice: &mut Random) -> String {
    let words: Vec<&str> = (0..1 + dice.below(5)).map(|_| WORDS[dice.below(6) as usize]).collect();
    words.join(" ")
}

fn files(db: &TestDb) -> Vec<PathBuf> {
    let directory = Path::new(DIR).join("words");
    let names = db.world.env().files.list(&directory).unwrap_or_default();
    names.into_iter().map(|name| directory.join(name)).collect()
}

/// What a word finds, with scores.
fn found(db: &TestDb, word: &str) -> Vec<(String, f32)> {
    let words = Some(Query::from(word));
    let hits = db.read(Search { words, limit: Some(1000), ..Search::new("docs") }).unwrap().hits;
    hits.into_iter().map(|hit| (hit.record, hit.score)).collect()
}

/// What it finds in words that are made of the rows, now.
fn found_anew(db: &TestDb, word: &str) -> Vec<(String, f32)> {
    let snapshot = db.engine().snapshot(db.namespace).unwrap();
    let head = collection::find(&snapshot, "docs").unwrap();
    let state = State::of(&snapshot, &head, true).unwrap();
    let id = |ordinal: u64| state.ids.get(ordinal as u32).to_owned();
    let search = agentdb_text::Search {
        tie: &|a, b| id(a).cmp(&id(b)),
        ..agentdb_text::Search::new(state.floor, 1000)
    };
    let hits = state.text.as_ref().unwrap().search(&Query::from(word), &search).unwrap();
    hits.into_iter().map(|hit| (id(hit.slot), hit.score)).collect()
}

fn compare(db: &TestDb, case: &str) {
    for word in WORDS {
        assert_eq!(found(db, word), found_anew(db, word), "{word}, {case}");
    }
}

/// How many records' texts became words since they were kept, or the index was made.
fn unkept(db: &TestDb) -> usize {
    unkept_of(db.engine())
}

fn unkept_of(engine: &Engine) -> usize {
    let indexes = engine.core.records.indexes.lock().unwrap_or_else(PoisonError::into_inner);
    let index = indexes.values().next().expect("an index");
    let state = index.state.read().unwrap_or_else(PoisonError::into_inner);
    state.as_ref().expect("it is filled").unkept
}

fn docs(db: &TestDb, count: u64, dice: &mut Random) {
    db.write(Create::new("docs")).unwrap();
    for id in 0..count {
        db.write(put(id, Some(text(dice)))).unwrap();
    }
}

#[test]
fn what_was_kept_is_not_made_again() {
    let (mut db, mut dice) = (TestDb::new(1), Random::new(1));
    docs(&db, 1_100, &mut dice);
    compare(&db, "made of the rows");
    assert_eq!((unkept(&db), files(&db).len()), (1_100, 0));
    db.run(Task::Index);
    assert_eq!(unkept(&db), 0);
    assert!(files(&db).len() >= 2, "a list, and segments");
    for id in 0..7 {
        db.write(put(id, Some("larch".into()))).unwrap();
    }
    db.write(Delete { collection: "docs".into(), record: "r9".into(), expected_version: None }).unwrap();
    db.reopen().unwrap();
    compare(&db, "kept");
    assert_eq!((unkept(&db), found(&db, "larch").len()), (8, 7));
    // Too little is new to be kept; then there is enough.
    db.run(Task::Index);
    assert_eq!(unkept(&db), 8);
    for id in 2_000..3_100 {
        db.write(put(id, Some(text(&mut dice)))).unwrap();
    }
    compare(&db, "with new ones");
    db.run(Task::Index);
    let kept = files(&db);
    assert_eq!(unkept(&db), 0);
    db.reopen().unwrap();
    compare(&db, "kept again");
    assert_eq!((unkept(&db), files(&db)), (0, kept));
}

/// A command opens, searches and ends: the next one has its words.
#[test]
fn what_a_short_process_made_is_kept_when_it_ends() {
    let (env, dir) = (Env::real(), tempfile::tempdir().unwrap());
    let open = || Engine::open(&env, dir.path(), Options::default()).unwrap();
    let search = |engine: &Engine| {
        let snapshot = engine.snapshot(NamespaceId::DEFAULT).unwrap();
        let words = Some(Query::from("oak"));
        engine.read(&snapshot, Search { words, ..Search::new("docs") }).unwrap().hits.len()
    };
    let engine = open();
    let mut batch = Batch::new();
    batch.push(&engine, Create::new("docs")).unwrap();
    (0..1_100).for_each(|id| batch.push(&engine, put(id, Some("an oak".into()))).unwrap());
    engine.write_batch(NamespaceId::DEFAULT, batch, WriteOptions::default()).unwrap().wait().unwrap();
    assert_eq!(search(&engine), 10);
    drop(engine);
    assert!(dir.path().join("words").join("1-1.list").exists());
    let engine = open();
    assert_eq!((search(&engine), unkept_of(&engine)), (10, 0));
}

#[test]
fn files_go_with_their_collection() {
    let (mut db, mut dice) = (TestDb::new(2), Random::new(2));
    docs(&db, 1_100, &mut dice);
    compare(&db, "made");
    db.run(Task::Index);
    assert!(!files(&db).is_empty());
    db.write(Truncate { collection: "docs".into() }).unwrap();
    db.run(Task::Index);
    assert_eq!(files(&db), [] as [PathBuf; 0]);
    for id in 0..1_100 {
        db.write(put(id, Some(text(&mut dice)))).unwrap();
    }
    compare(&db, "of the new number");
    db.run(Task::Index);
    assert!(!files(&db).is_empty());
    // The process ends before they are removed.
    db.write(collection::Delete { collection: "docs".into() }).unwrap();
    db.reopen().unwrap();
    assert!(!files(&db).is_empty());
    db.run(Task::Index);
    assert_eq!(files(&db), [] as [PathBuf; 0]);
}

/// Words by another analyzer are other words.
#[test]
fn an_altered_collection_makes_its_words_anew() {
    let (mut db, mut dice) = (TestDb::new(3), Random::new(3));
    docs(&db, 1_100, &mut dice);
    db.write(put(7, Some("The oaks".into()))).unwrap();
    compare(&db, "made");
    db.run(Task::Index);
    assert!(!found(&db, "oaks").is_empty());
    let settings: TextSettings = serde_json::from_value(json!({"analyzer": "english"})).unwrap();
    let texts = Some([("text".to_owned(), settings)].into());
    db.write(Alter { texts, ..Alter::new("docs") }).unwrap();
    db.reopen().unwrap();
    compare(&db, "altered");
    assert!(unkept(&db) >= 1_100 && found(&db, "oaks").len() > 100);
}

/// Whatever becomes of the files, words are found as if there were none.
#[test]
fn damaged_and_missing_files_are_passed_over() {
    let mut dice = Random::new(4);
    let mut db = TestDb::new(4);
    docs(&db, 1_100, &mut dice);
    compare(&db, "made");
    db.run(Task::Index);
    let kept: BTreeMap<PathBuf, Vec<u8>> =
        files(&db).into_iter().map(|path| (path.clone(), db.world.read_file(&path).unwrap())).collect();
    for (path, bytes) in &kept {
        for round in 0..12 {
            let mut damaged = bytes.clone();
            match round {
                0 => damaged.clear(),
                1 => damaged.truncate(bytes.len() - 1),
                2 => damaged.push(0),
                _ => damaged[dice.below(bytes.len() as u64) as usize] ^= 1 << dice.below(8),
            }
            db.world.env().files.remove(path).unwrap();
            if round < 11 {
                db.world.write_file(path, &damaged).unwrap();
            }
            db.reopen().unwrap();
            assert_eq!(found(&db, "oak"), found_anew(&db, "oak"), "{}, round {round}", path.display());
            assert_eq!(unkept(&db), 1_100, "{}, round {round}", path.display());
            if round == 11 {
                db.world.write_file(path, bytes).unwrap();
            } else {
                db.world.env().files.remove(path).unwrap();
                db.world.write_file(path, bytes).unwrap();
            }
        }
    }
    db.reopen().unwrap();
    compare(&db, "as they were");
    assert_eq!(unkept(&db), 0);
}

/// Two histories of one directory give the same LSNs to different batches, as when a directory is put back from a copy and its
/// words are not.
#[test]
fn words_of_another_history_are_passed_over() {
    let histories = ["oak", "elm"].map(|word| {
        let db = TestDb::new(7);
        db.write(Create::new("docs")).unwrap();
        for id in 0..1_100 {
            db.write(put(id, Some(word.to_owned()))).unwrap();
        }
        assert_eq!(found(&db, word).len(), 1_000);
        db.run(Task::Index);
        db
    });
    let [other, mut db] = histories;
    for path in files(&db) {
        db.world.env().files.remove(&path).unwrap();
    }
    for path in files(&other) {
        db.world.write_file(&path, &other.world.read_file(&path).unwrap()).unwrap();
    }
    db.reopen().unwrap();
    assert_eq!((found(&db, "oak").len(), found(&db, "elm").len()), (0, 1_000));
    db.run(Task::Index);
    db.reopen().unwrap();
    assert_eq!((found(&db, "oak").len(), found(&db, "elm").len(), unkept(&db)), (0, 1_000, 0));
}

/// Each file is whole, and stands for another one.
#[test]
fn segments_that_changed_places_are_passed_over() {
    let mut db = TestDb::new(8);
    for (collection, word) in [("docs", "oak"), ("other", "elm")] {
        db.write(Create::new(collection)).unwrap();
        for id in 0..1_100 {
            db.write(Put { collection: collection.into(), ..put(id, Some(word.to_owned())) }).unwrap();
        }
        let words = Some(Query::from(word));
        assert_eq!(db.read(Search { words, ..Search::new(collection) }).unwrap().hits.len(), 10);
    }
    db.run(Task::Index);
    let segment = |number: u64| Path::new(DIR).join(format!("words/1-{number}-0.segment"));
    let swap = [1, 2].map(|number| db.world.read_file(&segment(number)).unwrap());
    for (number, bytes) in [2, 1].into_iter().zip(swap) {
        db.world.env().files.remove(&segment(number)).unwrap();
        db.world.write_file(&segment(number), &bytes).unwrap();
    }
    db.reopen().unwrap();
    assert_eq!((found(&db, "oak").len(), found(&db, "elm").len()), (1_000, 0));
}

/// A list that ends a segment early must not lend its words to other records.
#[test]
fn a_list_of_fewer_records_than_its_segments_have_is_passed_over() {
    let (mut db, mut dice) = (TestDb::new(5), Random::new(5));
    docs(&db, 1_100, &mut dice);
    compare(&db, "made");
    db.run(Task::Index);
    let list = files(&db).into_iter().find(|path| path.extension().is_some_and(|e| e == "list")).unwrap();
    let shorter = super::kept::List::decode(&db.world.read_file(&list).unwrap()).unwrap().without_the_last();
    db.world.env().files.remove(&list).unwrap();
    db.world.write_file(&list, &shorter.encode()).unwrap();
    let snapshot = db.engine().snapshot(db.namespace).unwrap();
    let head = collection::find(&snapshot, "docs").unwrap();
    let env = db.world.env();
    let place = Place::of(&env, Path::new(DIR), (db.namespace, head.number));
    assert!(place.find(&head, snapshot.lsn()).is_none());
    db.reopen().unwrap();
    compare(&db, "of a shorter list");
}

/// Records with and without texts come, change and go; the process ends now and then, and machines lose power.
#[test]
fn histories_with_kept_words_and_without_are_the_same() {
    let mut uses = 0;
    for seed in 0..12 {
        let (mut db, mut dice) = (TestDb::new(seed), Random::new(seed));
        docs(&db, 1_100, &mut dice);
        for step in 0..60 {
            let id = dice.below(1_200);
            let record = format!("r{id}");
            match dice.below(12) {
                0..=3 => {
                    for id in id..id + dice.below(400) {
                        db.write(put(id, dice.chance(4, 5).then(|| text(&mut dice)))).unwrap();
                    }
                }
                4 | 5 => {
                    let text = Some(dice.chance(1, 2).then(|| text(&mut dice)));
                    if let Err(err) = db.write(Patch { text, ..Patch::new("docs", record) }) {
                        assert_eq!(err.code(), Code::RecordNotFound);
                    }
                }
                6 => {
                    for id in id..id + dice.below(100) {
                        let record = format!("r{id}");
                        let _ =
                            db.write(Delete { collection: "docs".into(), record, expected_version: None });
                    }
                }
                7 | 8 => db.run(Task::Index),
                9 => db.drain(),
                10 => drop(found(&db, "elm")),
                _ => {
                    if dice.chance(1, 2) {
                        let mut power = Random::new(dice.next_u64());
                        db.world.crash(&mut power);
                    }
                    db.reopen().unwrap();
                    compare(&db, &format!("seed {seed}, step {step}"));
                    uses += usize::from(unkept(&db) < 500);
                }
            }
        }
        compare(&db, &format!("seed {seed}, the end"));
    }
    assert!(uses > 5, "kept words were of use {uses} times");
}
