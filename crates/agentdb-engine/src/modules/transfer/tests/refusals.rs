//! Lines that are none, and what they leave: nothing.

use agentdb_types::Code;
use serde_json::{Value, json};

use super::{by_hand, export, import, namespace, nouns};
use crate::modules::testing::TestDb;

const TIME: &str = "2026-01-31T12:00:00Z";

/// A line with other fields than it should have.
fn with(mut line: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        if value == "(absent)" {
            line.as_object_mut().unwrap().remove(name);
        } else {
            line[name] = value.clone();
        }
    }
    line
}

fn state() -> Value {
    json!({"noun": "state", "owner": "ann", "key": "k", "value": 1, "created": TIME, "updated": TIME})
}

fn session() -> Value {
    json!({"noun": "session", "session": "s", "owner": "ann", "created": TIME, "updated": TIME, "last_sequence": 2})
}

fn message() -> Value {
    json!({
        "noun": "message", "session": "s", "message": "m", "sequence": 1, "role": "user", "content": "hi",
        "created": TIME,
    })
}

fn collection() -> Value {
    json!({"noun": "collection", "collection": "c", "dimension": 2, "metric": "cosine", "created": TIME})
}

fn record() -> Value {
    json!({"noun": "record", "collection": "c", "record": "r", "vector": [1, 2], "created": TIME, "updated": TIME})
}

fn call() -> Value {
    json!({
        "noun": "tool_call", "owner": "ann", "key": "k", "tool": "pay", "arguments": 1, "state": "completed",
        "result": 1, "attempt": 1, "idempotent": false, "lease_us": 1, "resolved": false, "created": TIME, "updated": TIME,
    })
}

fn item() -> Value {
    json!({"noun": "item", "path": ["p"], "key": "k", "value": {}, "created": TIME, "updated": TIME})
}

fn thread() -> Value {
    json!({"noun": "thread", "thread": "t", "created": TIME})
}

fn write() -> Value {
    json!({
        "noun": "checkpoint_write", "thread": "t", "checkpoint": "1", "task": "k", "index": 0, "channel": "c", "value": null,
        "created": "2026-01-01T00:00:00Z",
    })
}

#[test]
fn every_bad_line_is_refused_with_its_number_and_leaves_nothing_of_its_batch() {
    let deep = (0..32).fold(json!(1), |inner, _| json!([inner]));
    let cases: Vec<(Vec<Value>, Code, &str)> = vec![
        (vec![json!([1])], Code::ImportLine, "reason"),
        (vec![json!({"owner": "ann"})], Code::ImportLine, "reason"),
        (vec![json!({"noun": "stat"})], Code::ImportLine, "reason"),
        (vec![json!({"noun": "export", "format": 1})], Code::ImportLine, "reason"),
        (vec![with(state(), json!({"colour": 1}))], Code::InvalidValue, "field"),
        (vec![with(state(), json!({"owner": "(absent)"}))], Code::MissingField, "field"),
        (vec![with(state(), json!({"owner": ""}))], Code::IdEmpty, "field"),
        (vec![with(state(), json!({"key": "k".repeat(513)}))], Code::IdTooLong, "field"),
        (vec![with(state(), json!({"created": "yesterday"}))], Code::InvalidValue, "field"),
        (vec![with(state(), json!({"value": "x".repeat(1 << 20)}))], Code::ValueTooLarge, "field"),
        (vec![with(state(), json!({"value": deep}))], Code::DepthExceeded, "field"),
        (vec![message()], Code::ImportLine, "reason"),
        (vec![session(), state(), with(message(), json!({"session": "t"}))], Code::ImportLine, "reason"),
        (vec![session(), with(message(), json!({"sequence": 3}))], Code::InvalidValue, "field"),
        (vec![session(), with(message(), json!({"sequence": 0}))], Code::InvalidValue, "field"),
        (vec![session(), with(message(), json!({"role": ""}))], Code::IdEmpty, "field"),
        (vec![session(), message(), with(message(), json!({"sequence": 2}))], Code::MessageExists, "message"),
        (vec![session(), message(), with(message(), json!({"message": "n"}))], Code::InvalidValue, "field"),
        (vec![with(session(), json!({"ttl_us": 0}))], Code::TtlOutOfRange, "actual"),
        (vec![with(session(), json!({"last_sequence": u64::MAX}))], Code::InvalidValue, "field"),
        (vec![session(), session()], Code::ImportExists, "what"),
        (vec![with(collection(), json!({"collection": "a/b"}))], Code::InvalidName, "field"),
        (vec![with(collection(), json!({"dimension": 0}))], Code::DimensionOutOfRange, "actual"),
        (vec![with(collection(), json!({"dimension": null, "encoder": "e"}))], Code::InvalidValue, "field"),
        (vec![record()], Code::ImportLine, "reason"),
        (vec![collection(), with(record(), json!({"vector": [1]}))], Code::DimensionMismatch, "expected"),
        (vec![collection(), with(record(), json!({"vector": [0, 0]}))], Code::VectorZero, "import_line"),
        (vec![collection(), with(record(), json!({"vector": [1, 1e39]}))], Code::VectorNotFinite, "index"),
        (vec![collection(), record(), record()], Code::ImportExists, "what"),
        (vec![with(call(), json!({"state": "failed"}))], Code::InvalidValue, "field"),
        (vec![with(call(), json!({"result": "(absent)"}))], Code::InvalidValue, "field"),
        (vec![with(call(), json!({"state": "claimed"}))], Code::InvalidValue, "field"),
        (vec![with(call(), json!({"lease_us": 0}))], Code::TtlOutOfRange, "actual"),
        (vec![with(call(), json!({"max_attempts": 0}))], Code::InvalidValue, "field"),
        (vec![with(item(), json!({"path": []}))], Code::PathLength, "field"),
        (vec![with(item(), json!({"expires": TIME}))], Code::InvalidValue, "field"),
        (vec![with(item(), json!({"vectors": [[1, 2]]}))], Code::ItemsNotIndexed, "reason"),
        (vec![write()], Code::ImportLine, "reason"),
        (vec![thread(), with(write(), json!({"value": "(absent)"}))], Code::InvalidValue, "field"),
        (
            vec![
                thread(),
                with(write(), json!({"encoded": {"type": "json", "data": ""}, "value": "(absent)"})),
            ],
            Code::InvalidValue,
            "field",
        ),
        (
            vec![
                thread(),
                json!({"noun": "channel_value", "thread": "t", "channel": "c", "channel_version": [], "value": 1}),
            ],
            Code::InvalidValue,
            "field",
        ),
        (
            vec![thread(), json!({"noun": "checkpoint", "thread": "t", "checkpoint": "", "created": TIME})],
            Code::IdEmpty,
            "field",
        ),
        (
            vec![json!({"noun": "retention", "of": "item", "history_us": 1})],
            Code::RetentionNotApplicable,
            "field",
        ),
        (
            vec![json!({"noun": "blob_bytes", "blob": "0".repeat(64), "offset": 0, "data": ""})],
            Code::ImportLine,
            "reason",
        ),
        (
            vec![json!({"noun": "blob", "blob": "0".repeat(64), "bytes": 0, "created": TIME})],
            Code::BlobMismatch,
            "expected",
        ),
        (vec![json!({"noun": "check", "blake3": "0"})], Code::ImportDamaged, "reason"),
        (vec![json!({"noun": "end", "lines": 7})], Code::ImportDamaged, "reason"),
        (vec![json!({"noun": "end"})], Code::ImportLine, "reason"),
    ];
    for (lines, code, value) in cases {
        let db = TestDb::new(1);
        let before = db.engine().lsn();
        // Behind one that would be imported with it.
        let all = [vec![with(state(), json!({"key": "before"}))], lines].concat();
        let expected = all.len() as u64 + 1;
        let err = import(&db, "default", &by_hand(&all)).expect_err(&format!("{all:?}"));
        assert_eq!(err.code(), code, "{all:?}: {err:?}");
        assert!(err.value(value).is_some(), "{all:?}: {err:?}");
        let named = err.value("import_line").or(err.value("line")).and_then(|line| line.parse::<u64>().ok());
        let at_end = [Code::ImportDamaged, Code::ImportLine].contains(&code);
        assert!(named == Some(expected) || (at_end && named.is_some()), "{all:?}: {err:?}");
        assert!(!err.message().contains("(not given)"), "{err:?}");
        let blob = all.iter().any(|line| line["noun"] == "blob");
        if !blob {
            assert_eq!(db.engine().lsn(), before, "{all:?}");
        }
    }
}

#[test]
fn a_field_that_is_missing_is_named_with_its_noun() {
    let db = TestDb::new(1);
    let err = import(&db, "default", &by_hand(&[with(state(), json!({"created": "(absent)"}))])).unwrap_err();
    assert_eq!((err.value("field"), err.value("import_line")), (Some("created"), Some("2")));
    assert_eq!(err.message(), "a line of the noun `state` needs the field created (line 2 of the import)");
}

#[test]
fn a_first_line_that_is_none_creates_nothing() {
    let db = TestDb::new(1);
    for (lines, code) in [
        (&b""[..], Code::ImportTruncated),
        (b"{\"noun\":\"state\"}\n", Code::MissingField),
        (b"{\"noun\":\"end\"}\n", Code::ImportLine),
        (b"{\"noun\":\"export\",\"format\":0}\n", Code::ImportLine),
        (b"{\"noun\":\"export\",\"format\":2}\n", Code::FormatTooNew),
        (b"{\"noun\":\"export\",\"format\":2,\"more\":1}\n", Code::FormatTooNew),
        (b"{\"noun\":\"export\"}\n", Code::MissingField),
        (b"\xef\xbb\xbf{\"noun\":\"export\",\"format\":1}\n{\"noun\":\"end\"}\n", Code::ImportLine),
        (b"{\"noun\":\"export\",\"format\":1,\"more\":1}\n", Code::InvalidValue),
        (b"\xff\n", Code::InvalidUtf8),
        (b"{\"noun\":\"export\",\"noun\":\"export\",\"format\":1}\n", Code::InvalidJson),
    ] {
        assert_eq!(import(&db, "new", lines).unwrap_err().code(), code);
        assert!(db.engine().namespace("new").is_err());
    }
    assert_eq!(import(&db, "a/b", &by_hand(&[])).unwrap_err().code(), Code::InvalidName);
}

#[test]
fn a_namespace_is_created_with_what_it_was_for_and_an_empty_one_is_no_mistake() {
    let mut db = TestDb::new(1);
    namespace(&mut db, "from");
    let imported = import(&db, "to", &export(&db, "from")).unwrap();
    assert_eq!((imported.lines, imported.counts.len()), (2, 0));
    assert!(nouns(&export(&db, "to")).is_empty());
    let about = crate::modules::namespace::Get { name: "to".into() };
    assert_eq!(db.read(about).unwrap().description, "for a test");
}

#[test]
fn what_has_expired_since_is_left_out_with_what_belongs_to_it() {
    let db = TestDb::new(1);
    let past = json!({"expires": "2020-01-01T00:00:00Z"});
    let lines = by_hand(&[
        with(state(), past.clone()),
        with(session(), json!({"ttl_us": 5, "updated": "2020-01-01T00:00:00Z"})),
        message(),
        collection(),
        with(record(), past.clone()),
        with(item(), json!({"expires": "2020-01-01T00:00:00Z", "ttl_us": 5})),
        with(call(), json!({"keep_us": 5, "updated": "2020-01-01T00:00:00Z"})),
    ]);
    db.world.advance_us(1);
    let counts = import(&db, "default", &lines).unwrap().counts;
    let expired = |noun: &str| (counts[noun].put, counts[noun].expired, counts[noun].skipped);
    for noun in ["state", "session", "record", "item", "tool_call"] {
        assert_eq!(expired(noun), (0, 1, 0), "{noun}");
    }
    assert_eq!((expired("message"), expired("collection")), ((0, 0, 1), (1, 0, 0)));
}
