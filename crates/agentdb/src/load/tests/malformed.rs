//! What is wrong with files, and the error that each must give.

use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::*;
use parquet::basic::Compression;
use serde_json::json;

use super::*;
use crate::Code;
use crate::modules::load::{ColumnType, Format};

/// What is loaded, and what must come of it: the code, the row, the column, and a part of the message.
struct Case {
    what: &'static str,
    name: &'static str,
    bytes: Vec<u8>,
    set: fn(&mut Load),
    expected: (Code, Option<&'static str>, Option<&'static str>, &'static str),
}

fn case(
    what: &'static str,
    (name, bytes): (&'static str, impl AsRef<[u8]>),
    expected: (Code, Option<&'static str>, Option<&'static str>, &'static str),
) -> Case {
    Case { what, name, bytes: bytes.as_ref().to_vec(), set: |_| {}, expected }
}

fn cell(
    row: &'static str,
    column: &'static str,
    part: &'static str,
) -> (Code, Option<&'static str>, Option<&'static str>, &'static str) {
    (Code::LoadRow, Some(row), Some(column), part)
}

fn file(part: &'static str) -> (Code, Option<&'static str>, Option<&'static str>, &'static str) {
    (Code::LoadSource, None, None, part)
}

fn in_row(code: Code, row: &'static str) -> (Code, Option<&'static str>, Option<&'static str>, &'static str) {
    (code, Some(row), None, "")
}

fn ids(count: usize) -> ArrayRef {
    array(StringArray::from_iter_values((0..count).map(|n| format!("r{n}"))))
}

fn one(name: &'static str, column: ArrayRef) -> Vec<u8> {
    arrow_file(&[batch(vec![("id", ids(column.len())), (name, column)])])
}

fn cases() -> Vec<Case> {
    let whole = parquet(&[batch(vec![("id", ids(500))])], Compression::SNAPPY);
    let stream = arrow_stream(&[batch(vec![("id", ids(500))])], None);
    let arrow = arrow_file(&[batch(vec![("id", ids(500))])]);
    let floats = |vector: Vec<Option<f32>>| {
        ListArray::from_iter_primitive::<Float32Type, _, _>([Some(vec![Some(1.0); 3]), Some(vector)])
    };
    let with = |mut case: Case, set: fn(&mut Load)| {
        case.set = set;
        case
    };
    vec![
        case("an empty file of CSV", ("a.csv", b""), file("it is empty")),
        case("an empty file of lines", ("a.jsonl", b""), file("it is empty")),
        case("an empty Parquet", ("a.parquet", b""), file("it is empty")),
        case("no format", ("rows", b"id\na\n"), file("say so (`format`)")),
        with(case("Parquet that is none", ("a", b"id\na\n"), file("damaged or cut off")), |load| {
            load.format = Some(Format::Parquet)
        }),
        with(case("Arrow that is none", ("a", b"id\na\n"), file("damaged or cut off")), |load| {
            load.format = Some(Format::Arrow)
        }),
        case(
            "Parquet cut off at its end",
            ("a.parquet", &whole[..whole.len() - 3]),
            file("damaged or cut off"),
        ),
        case(
            "Parquet cut off in the middle",
            ("a.parquet", &whole[..whole.len() / 2]),
            file("damaged or cut off"),
        ),
        case(
            "Arrow cut off in the middle",
            ("a.arrow", &arrow[..arrow.len() / 2]),
            file("damaged or cut off"),
        ),
        case("a stream cut off in a batch", ("a", &stream[..stream.len() - 100]), file("cut off")),
        case(
            "a stream cut off behind a batch",
            ("a", &stream[..stream.len() - 8]),
            file("cut off: it has no end"),
        ),
        case("no column of ids", ("a.csv", b"name\nx\n"), file("no column `id`")),
        with(
            case("a column that is not there", ("a.csv", b"id\nx\n"), file("no column \"embedding\"")),
            |load| load.vector = Some("embedding".into()),
        ),
        with(
            case("a skipped column that is not there", ("a.csv", b"id\nx\n"), file("no column \"x\"")),
            |load| load.skip = ["x".into()].into(),
        ),
        with(case("a type of no column", ("a.csv", b"id\nx\n"), file("\"zip\" to have a type")), |load| {
            load.types = [("zip".into(), ColumnType::Text)].into()
        }),
        with(case("a column that is two things", ("a.csv", b"id,x\na,b\n"), file("two things")), |load| {
            (load.text, load.payload) = (Some("x".into()), Some("x".into()));
        }),
        with(
            case("a column that is nothing", ("a.jsonl", br#"{"id":"a","p":{},"x":1}"#), file("`skip` it")),
            |load| load.payload = Some("p".into()),
        ),
        with(
            case("a delimiter of two", ("a.csv", b"id\na\n"), (Code::InvalidValue, None, None, "delimiter")),
            |load| load.delimiter = Some("::".into()),
        ),
        case("two columns of one name", ("a.csv", b"id,x,x\na,1,2\n"), file("one name")),
        case("a column without a name", ("a.csv", b"id,\na,1\n"), file("has no name")),
        case("a quote in the first line", ("a.csv", b"id,x\"y\na,1\n"), file("its first line")),
        case(
            "a quote within a cell",
            ("a.csv", b"id,x\na,1\nb,2\"3\n"),
            cell("2", "x", "a quote stands within"),
        ),
        case(
            "something behind a quote",
            ("a.csv", b"id,x\na,\"1\"2\n"),
            cell("1", "x", "behind its closing quote"),
        ),
        case("quotes that are not closed", ("a.csv", b"id,x\na,1\nb,\"2\n"), cell("2", "x", "not closed")),
        case(
            "too few cells",
            ("a.csv", b"id,x\na,1\nb\n"),
            cell("2", "(the row)", "has 1 cells, the first line 2"),
        ),
        case("too many cells", ("a.csv", b"id,x\na,1,2\n"), cell("1", "(the row)", "has 3 cells")),
        case("CSV that is not UTF-8", ("a.csv", b"id,x\na,\xff\n"), cell("1", "x", "not UTF-8 at byte 0")),
        case("no id in CSV", ("a.csv", b"id,x\na,1\n,2\n"), cell("2", "id", "no id")),
        case("an id twice", ("a.csv", b"id\na\nb\na\n"), cell("3", "id", "\"a\"")),
        with(
            case(
                "a cell of another type",
                ("a.csv", b"id,n\na,1\nb,x\n"),
                cell("2", "n", "\"x\" is no integer"),
            ),
            |load| load.types = [("n".into(), ColumnType::Integer)].into(),
        ),
        with(case("no time", ("a.csv", b"id,n\na,yesterday\n"), cell("1", "n", "not a time")), |load| {
            load.types = [("n".into(), ColumnType::Time)].into()
        }),
        case(
            "a vector that is no list",
            ("a.csv", b"id,vector\na,1\n"),
            cell("1", "vector", "a list of numbers, not a number"),
        ),
        case(
            "a vector of another length",
            ("a.csv", b"id,vector\na,\"[1,2,3]\"\nb,\"[1,2]\"\n"),
            in_row(Code::DimensionMismatch, "2"),
        ),
        case(
            "a line that is no JSON",
            ("a.jsonl", b"{\"id\":\"a\"}\n{\"id\"\n"),
            in_row(Code::InvalidJson, "2"),
        ),
        case(
            "a line cut off",
            ("a.jsonl", b"{\"id\":\"a\"}\n{\"id\":\"b\",\"x\":[1"),
            in_row(Code::InvalidJson, "2"),
        ),
        case(
            "a member twice",
            ("a.jsonl", b"{\"id\":\"a\",\"x\":1,\"x\":2}"),
            in_row(Code::InvalidJson, "1"),
        ),
        case(
            "an integer beyond 64 bits",
            ("a.jsonl", b"{\"id\":\"a\",\"x\":18446744073709551616}"),
            in_row(Code::InvalidJson, "1"),
        ),
        case("lines that are not UTF-8", ("a.jsonl", b"{\"id\":\"\xff\"}"), in_row(Code::InvalidUtf8, "1")),
        case("a list of objects", ("a.json", b"[{\"id\":\"a\"}]"), cell("1", "(the line)", "not an object")),
        case("an id that is null", ("a.jsonl", b"{\"id\":null}"), cell("1", "id", "cannot be null")),
        case("an id that is a number", ("a.jsonl", b"{\"id\":7}"), cell("1", "id", "integers_as_ids")),
        case("an id that is a fraction", ("a.jsonl", b"{\"id\":7.5}"), cell("1", "id", "not a fraction")),
        case(
            "a text that is none",
            ("a.jsonl", b"{\"id\":\"a\",\"text\":[1]}"),
            cell("1", "text", "not a list"),
        ),
        case(
            "a component that is none",
            ("a.jsonl", b"{\"id\":\"a\",\"vector\":[1,\"2\",3]}"),
            cell("1", "vector", "component 1"),
        ),
        case(
            "a component beyond 32 bits",
            ("a.jsonl", b"{\"id\":\"a\",\"vector\":[1,1e300,3]}"),
            cell("1", "vector", "component 1"),
        ),
        case(
            "a field of another type than before",
            ("a.jsonl", b"{\"id\":\"a\",\"x\":1}\n{\"id\":\"b\",\"x\":\"1\"}\n"),
            in_row(Code::FieldTypeMismatch, "2"),
        ),
        case(
            "nested too deep",
            ("a.jsonl", format!("{{\"id\":\"a\",\"x\":{}{}}}", "[".repeat(40), "]".repeat(40))),
            in_row(Code::DepthExceeded, "1"),
        ),
        with(
            case(
                "a payload that is none",
                ("a.jsonl", br#"{"id":"a","p":[1]}"#),
                cell("1", "p", "an object, not a list"),
            ),
            |load| load.payload = Some("p".into()),
        ),
        with(
            case(
                "no sparse vector",
                ("a.jsonl", br#"{"id":"a","w":{"indices":[1]}}"#),
                cell("1", "w", "values"),
            ),
            |load| load.sparse = [("words".into(), "w".into())].into(),
        ),
        with(
            case(
                "a vector of an unknown name",
                ("a.jsonl", br#"{"id":"a","w":[1]}"#),
                in_row(Code::VectorUnknown, "1"),
            ),
            |load| load.vectors = [("x".into(), "w".into())].into(),
        ),
        case(
            "a component that is null",
            ("a", one("vector", array(floats(vec![Some(1.0), None, Some(2.0)])))),
            cell("2", "vector", "component 1 of the vector is null"),
        ),
        case(
            "a component that is NaN",
            ("a", one("vector", array(floats(vec![Some(f32::NAN); 3])))),
            in_row(Code::VectorNotFinite, "2"),
        ),
        case(
            "doubles that are NaN",
            (
                "a",
                one(
                    "vector",
                    array(ListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![Some(f64::NAN)])])),
                ),
            ),
            cell("1", "vector", "is NaN"),
        ),
        case("a vector of texts", ("a", one("vector", ids(1))), cell("1", "vector", "of the type Utf8")),
        case(
            "an interval",
            ("a", one("x", array(DurationSecondArray::from(vec![1])))),
            cell("1", "x", "has no form in a record"),
        ),
        case(
            "a date with a time of day",
            ("a", one("x", array(Date64Array::from(vec![1])))),
            cell("1", "x", "time of day"),
        ),
        case(
            "a time beyond the year 9999",
            ("a", one("x", array(TimestampSecondArray::from(vec![1 << 40]).with_timezone("UTC")))),
            cell("1", "x", "beyond what can be written"),
        ),
        case(
            "an id that is null in Arrow",
            ("a", arrow_file(&[batch(vec![("id", array(StringArray::from(vec![Some("a"), None])))])])),
            cell("2", "id", "cannot be null"),
        ),
    ]
}

#[test]
fn what_is_malformed_is_refused_with_the_row_and_the_column() {
    for Case { what, name, bytes, set, expected: (code, row, column, part) } in cases() {
        let (_dir, _db, docs) = docs();
        let err = load(&docs, name, &bytes, set).expect_err(what);
        assert_eq!((err.code(), err.value("row"), err.value("column")), (code, row, column), "{what}: {err}");
        assert!(err.message().contains(part), "{what}: {err}");
        assert!(!err.message().contains("(not given)"), "{what}: {err}");
        assert_eq!(docs.info().unwrap().unwrap().records, 0, "{what}");
        // The file as such is told of the same way.
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), &bytes).unwrap();
        let source = LoadSource::file(dir.path().join(name)).unwrap();
        let again = docs.load(source).request(set).wait(&mut |_| {}).expect_err(what);
        assert_eq!((again.code(), again.value("row")), (code, row), "{what}: {again}");
    }
}

#[test]
fn a_line_is_told_where_a_row_takes_several() {
    let (_dir, _db, docs) = docs();
    let csv = b"id,text,vector\na,\"one\ntwo\",\nb,,x\n";
    let err = load(&docs, "a.csv", csv, |_| {}).unwrap_err();
    assert_eq!((err.value("row"), err.value("line")), (Some("2"), Some("4")), "{err}");
    let err =
        load(&docs, "a.jsonl", b"{\"id\":\"a\"}\n\n\n{\"id\":\"b\",\"vector\":[1]}", |_| {}).unwrap_err();
    assert_eq!(
        (err.code(), err.value("row"), err.value("line")),
        (Code::DimensionMismatch, Some("2"), Some("4"))
    );
    assert!(err.message().contains("line 4 of the file"), "{err}");
}

#[test]
fn what_is_put_right_goes_on_behind_what_is_loaded() {
    let (_dir, _db, docs) = docs();
    let line = |n: usize, vector: serde_json::Value| {
        format!("{}\n", json!({"id": format!("r{n}"), "vector": vector}))
    };
    let lines = |wrong: usize| {
        let vector = |n: usize| if n == wrong { json!([1.0]) } else { json!([n, 1.0, 2.0]) };
        (0..12_000).map(|n| line(n, vector(n))).collect::<String>()
    };
    let err = load(&docs, "a.jsonl", lines(11_000).as_bytes(), |_| {}).unwrap_err();
    assert_eq!(
        (err.code(), err.value("row"), err.value("loaded")),
        (Code::DimensionMismatch, Some("11001"), Some("10000"))
    );
    assert_eq!(docs.info().unwrap().unwrap().records, 10_000);
    let loaded = load(&docs, "a.jsonl", lines(usize::MAX).as_bytes(), |_| {}).unwrap();
    assert_eq!((loaded.resumed_behind, loaded.rows, loaded.counts.created), (Some(10_000), 12_000, 12_000));
    let changed = lines(usize::MAX).replace("[5,1.0", "[6,1.0");
    assert_eq!(
        load(&docs, "a.jsonl", changed.as_bytes(), |_| {}).unwrap().counts.replaced,
        12_000,
        "it is another"
    );
}

#[test]
fn a_load_that_is_cancelled_stays_where_it_was_and_goes_on() {
    let (_dir, db, docs) = docs();
    let lines: String =
        (0..12_000).map(|n| format!("{}\n", json!({"id": format!("r{n}"), "vector": [n, 1, 2]}))).collect();
    let err = docs
        .load(LoadSource::stream("a.jsonl", lines.as_bytes()))
        .wait(&mut |progress| {
            if progress.rows == 5_000 {
                let job = db.jobs().list(crate::modules::job::List::default()).unwrap().items.pop().unwrap();
                assert_eq!(job.kind, crate::modules::job::Kind::Load);
                db.jobs().cancel(job.job).wait().unwrap();
            }
        })
        .unwrap_err();
    assert_eq!(err.code(), Code::JobCancelled);
    assert_eq!(docs.info().unwrap().unwrap().records, 5_000);
    let loaded = load(&docs, "a.jsonl", lines.as_bytes(), |_| {}).unwrap();
    assert_eq!((loaded.resumed_behind, loaded.rows), (Some(5_000), 12_000));
}
