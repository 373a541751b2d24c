//! The same rows in every format are the same records.

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::types::{Float32Type, Int32Type};
use arrow_array::*;
use arrow_ipc::CompressionType;
use arrow_schema::{DataType, Field};
use half::f16;
use parquet::basic::{Compression, ZstdLevel};
use serde_json::{Value, json};

use super::*;
use crate::Page;
use crate::modules::load::Convert;

const COUNT: i32 = 3_000;

/// Rows with an id, a vector, a text and typed fields, as batches.
fn batches() -> Vec<RecordBatch> {
    [0..1_000, 1_000..COUNT]
        .map(|range| {
            let mut vectors = FixedSizeListBuilder::new(Float32Builder::new(), 3);
            let mut tags = ListBuilder::new(StringBuilder::new());
            for n in range.clone() {
                vectors.values().append_slice(&[n as f32, 0.1, -0.5]);
                vectors.append(n % 10 != 3);
                tags.append_value([Some(format!("t{}", n % 3))]);
            }
            let numbers = || range.clone();
            let of = StructArray::from(vec![(
                Arc::new(Field::new("x", DataType::Int64, true)),
                array(Int64Array::from_iter_values(numbers().map(|n| 9_007_199_254_740_993 + i64::from(n)))),
            )]);
            batch(vec![
                ("id", array(StringArray::from_iter_values(numbers().map(|n| format!("r{n:04}"))))),
                ("vector", array(vectors.finish())),
                (
                    "text",
                    array(StringArray::from_iter(
                        numbers().map(|n| (n % 4 > 0).then(|| format!("row \"{n}\"\n"))),
                    )),
                ),
                (
                    "kind",
                    array(DictionaryArray::<Int32Type>::from_iter(
                        numbers().map(|n| ["a", "b"][n as usize % 2]),
                    )),
                ),
                ("done", array(BooleanArray::from_iter(numbers().map(|n| Some(n % 2 == 0))))),
                ("price", array(Float64Array::from_iter_values(numbers().map(|n| f64::from(n) * 0.1)))),
                (
                    "at",
                    array(
                        TimestampMillisecondArray::from_iter_values(numbers().map(i64::from))
                            .with_timezone("UTC"),
                    ),
                ),
                ("tags", array(tags.finish())),
                ("of", array(of)),
            ])
        })
        .into()
}

fn expected(n: i32) -> Value {
    json!({
        "kind": (["a", "b"][n as usize % 2]), "done": n % 2 == 0, "price": f64::from(n) * 0.1,
        "at": format!("1970-01-01T00:00:0{}{}Z", n / 1_000, match n % 1_000 {
            0 => String::new(),
            ms => format!(".{}", format!("{ms:03}").trim_end_matches('0')),
        }),
        "tags": [format!("t{}", n % 3)], "of": {"x": 9_007_199_254_740_993 + i64::from(n)},
    })
}

fn vector(n: i32) -> Option<Vec<f32>> {
    (n % 10 != 3).then(|| vec![n as f32, 0.1, -0.5])
}

fn text(n: i32) -> Option<String> {
    (n % 4 > 0).then(|| format!("row \"{n}\"\n"))
}

fn jsonl() -> String {
    let line = |n: i32| {
        let mut row = expected(n);
        (row["id"], row["vector"]) = (json!(format!("r{n:04}")), json!(vector(n)));
        row["text"] = json!(text(n));
        format!("{row}\n")
    };
    (0..COUNT).map(line).collect()
}

fn csv() -> String {
    let quoted = |value: &dyn std::fmt::Display| format!("\"{}\"", value.to_string().replace('"', "\"\""));
    let line = |n: i32| {
        let row = expected(n);
        let vector = vector(n).map(|v| quoted(&json!(v))).unwrap_or_default();
        let text = text(n).map(|t| quoted(&t)).unwrap_or_default();
        let cells = ["kind", "at"].map(|name| row[name].as_str().unwrap().to_owned());
        format!(
            "r{n:04},{vector},{text},{},{},{},{},{},{}\r\n",
            cells[0],
            row["done"],
            row["price"],
            cells[1],
            quoted(&row["tags"]),
            quoted(&row["of"])
        )
    };
    "id,vector,text,kind,done,price,at,tags,of\r\n".to_owned() + &(0..COUNT).map(line).collect::<String>()
}

fn check(docs: &Collection, what: &str) {
    assert_eq!(docs.info().unwrap().unwrap().records, COUNT as u64, "{what}");
    for n in (0..COUNT).step_by(7) {
        let found = docs.get_with_vector(format!("r{n:04}")).unwrap().unwrap();
        assert_eq!(Value::Object(found.payload), expected(n), "{what}");
        assert_eq!((found.vector, found.text), (vector(n), text(n)), "{what}");
    }
    assert_eq!(docs.count(json!({"kind": "a", "price": {"$lt": 10}})).unwrap(), 50, "{what}");
}

#[test]
fn every_format_gives_the_same_records() {
    let batches = batches();
    let json_columns = |load: &mut Load| {
        load.types =
            ["tags", "of"].map(|name| (name.to_owned(), crate::modules::load::ColumnType::Json)).into();
    };
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("rows.parquet", parquet(&batches, Compression::UNCOMPRESSED)),
        ("snappy", parquet(&batches, Compression::SNAPPY)),
        ("zstd", parquet(&batches, Compression::ZSTD(ZstdLevel::default()))),
        ("lz4", parquet(&batches, Compression::LZ4_RAW)),
        ("gzip", parquet(&batches, Compression::GZIP(Default::default()))),
        ("rows.arrow", arrow_file(&batches)),
        ("stream", arrow_stream(&batches, None)),
        ("stream of lz4", arrow_stream(&batches, Some(CompressionType::LZ4_FRAME))),
        ("stream of zstd", arrow_stream(&batches, Some(CompressionType::ZSTD))),
        ("rows.jsonl", jsonl().into_bytes()),
        ("with a mark.jsonl", [b"\xef\xbb\xbf", jsonl().as_bytes()].concat()),
        ("without an ending", jsonl().into_bytes()),
        ("rows.csv", csv().into_bytes()),
    ];
    for (name, bytes) in &files {
        let is_csv = name.ends_with(".csv");
        let (_dir, _db, from_stream) = docs();
        load(&from_stream, name, bytes, |load| {
            if is_csv {
                json_columns(load)
            }
        })
        .unwrap_or_else(|err| panic!("{name}: {err}"));
        check(&from_stream, name);
        let (dir, _db, from_file) = docs();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let source = LoadSource::file(&path).unwrap();
        assert_eq!(source.total(), Some(bytes.len() as u64));
        let mut last = None;
        let loading = from_file.load(source).request(|load| {
            if is_csv {
                json_columns(load)
            }
        });
        loading.wait(&mut |progress| last = Some(progress)).unwrap();
        check(&from_file, name);
        let last = last.unwrap();
        assert_eq!(last.rows, COUNT as u64, "{name}");
        assert!(last.bytes > 0 && last.bytes <= bytes.len() as u64, "{name}: {last:?}");
    }
}

#[test]
fn types_of_arrow_are_kept_or_converted_where_asked() {
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("key");
    map.values().append_value("value");
    map.append(true).unwrap();
    let columns = || {
        vec![
            ("id", array(Int64Array::from(vec![7]))),
            (
                "doubles",
                array(ListArray::from_iter_primitive::<types::Float64Type, _, _>([Some(vec![
                    Some(0.1),
                    Some(2.0),
                    Some(3.0),
                ])])),
            ),
            (
                "halves",
                array(FixedSizeListArray::from_iter_primitive::<types::Float16Type, _, _>(
                    [Some(vec![Some(f16::from_f32(0.5)), Some(f16::ONE)])],
                    2,
                )),
            ),
            ("u64", array(UInt64Array::from(vec![u64::MAX]))),
            ("i8", array(Int8Array::from(vec![-3]))),
            ("f32", array(Float32Array::from(vec![0.5]))),
            ("nan", array(Float64Array::from(vec![f64::NAN]))),
            ("null", array(StringArray::from(vec![None::<&str>]))),
            ("bytes", array(BinaryArray::from_vec(vec![b"\xff\x00"]))),
            ("decimal", array(Decimal128Array::from(vec![12_340]).with_precision_and_scale(10, 3).unwrap())),
            ("date", array(Date32Array::from(vec![-1]))),
            ("naive", array(TimestampNanosecondArray::from(vec![1_500]))),
            ("time", array(Time64MicrosecondArray::from(vec![3_600_000_001]))),
            ("large", array(LargeStringArray::from(vec!["large"]))),
            ("view", array(StringViewArray::from(vec!["view"]))),
            ("map", array(map.finish_cloned())),
        ]
    };
    let all = [
        Convert::IntegersAsIds,
        Convert::DoublesAsFloats,
        Convert::NanAsNull,
        Convert::NullsAsAbsent,
        Convert::BinaryAsBase64,
        Convert::DecimalsAsText,
        Convert::NaiveTimesAsUtc,
        Convert::NanosecondsTruncated,
    ];
    let map_columns = |load: &mut Load| {
        (load.vector, load.vectors) = (Some("doubles".into()), [("image".into(), "halves".into())].into());
    };
    let bytes = arrow_file(&[batch(columns())]);
    let (_dir, _db, converted) = docs();
    load(&converted, "a", &bytes, |load| {
        map_columns(load);
        load.convert = all.into();
    })
    .unwrap();
    let found = converted.get_with_vector("7").unwrap().unwrap();
    assert_eq!((found.vector, &found.vectors["image"][..]), (Some(vec![0.1, 2.0, 3.0]), &[0.5, 1.0][..]));
    assert_eq!(
        Value::Object(found.payload),
        json!({
            "u64": u64::MAX, "i8": -3, "f32": 0.5, "bytes": "/wA=", "decimal": "12.340", "date": "1969-12-31",
            "naive": "1970-01-01T00:00:00.000001Z", "time": "01:00:00.000001", "large": "large", "view": "view",
            "map": {"key": "value"},
        })
    );
    // Each of them is refused if it is not asked for; a null field is kept.
    for (left_out, column) in [
        (Convert::IntegersAsIds, "id"),
        (Convert::DoublesAsFloats, "doubles"),
        (Convert::NanAsNull, "nan"),
        (Convert::BinaryAsBase64, "bytes"),
        (Convert::DecimalsAsText, "decimal"),
        (Convert::NaiveTimesAsUtc, "naive"),
        (Convert::NanosecondsTruncated, "naive"),
    ] {
        let (_dir, _db, docs) = docs();
        let err = load(&docs, "a", &bytes, |load| {
            map_columns(load);
            load.convert = all.into_iter().filter(|convert| *convert != left_out).collect();
        })
        .unwrap_err();
        let told = (err.code(), err.value("row"), err.value("column"));
        assert_eq!(told, (crate::Code::LoadRow, Some("1"), Some(column)), "{left_out:?}: {err}");
        assert_eq!(docs.info().unwrap().unwrap().records, 0);
    }
    let (_dir, _db, with_null) = docs();
    load(&with_null, "a", &bytes, |load| {
        map_columns(load);
        load.convert = all.into_iter().filter(|convert| *convert != Convert::NullsAsAbsent).collect();
    })
    .unwrap();
    assert_eq!(with_null.get("7").unwrap().unwrap().payload["null"], Value::Null);
    assert_eq!(with_null.list(None, Page::default()).unwrap().items.len(), 1);
}

#[test]
fn a_payload_a_sparse_vector_and_lists_of_floats_are_taken_from_columns() {
    let (_dir, _db, docs) = docs();
    let line = json!({
        "key": "a", "payload": {"n": 1}, "weights": {"indices": [3], "values": [0.5]}, "image": [1, 2], "drop": 1,
    });
    load(&docs, "a.jsonl", line.to_string().as_bytes(), |load| {
        (load.id, load.payload) = (Some("key".into()), Some("payload".into()));
        load.sparse = [("words".into(), "weights".into())].into();
        load.vectors = [("image".into(), "image".into())].into();
        load.skip = ["drop".into()].into();
    })
    .unwrap();
    let found = docs.get_with_vector("a").unwrap().unwrap();
    assert_eq!(
        (Value::Object(found.payload), &found.vectors["image"][..]),
        (json!({"n": 1}), &[1.0, 2.0][..])
    );
    assert_eq!(found.sparse["words"].indices, [3]);
    let lists = ListArray::from_iter_primitive::<Float32Type, _, _>([Some([1.0, 2.0, 3.0].map(Some)), None]);
    let rows = batch(vec![("id", array(StringArray::from(vec!["b", "c"]))), ("vector", array(lists))]);
    load(&docs, "lists", &arrow_stream(&[rows], None), |_| {}).unwrap();
    assert_eq!(docs.get_with_vector("b").unwrap().unwrap().vector, Some(vec![1.0, 2.0, 3.0]));
    assert_eq!(docs.get_with_vector("c").unwrap().unwrap().vector, None);
}

#[test]
fn csv_keeps_what_cells_say() {
    let (_dir, _db, docs) = docs();
    let csv = "id;zip;n;big;empty;quoted;flag;text\na;007;1;18446744073709551615;;\"\";true;\"\"\nb;010;2.5;1;;x;false;\n";
    load(&docs, "a.csv", csv.as_bytes(), |load| load.delimiter = Some(";".into())).unwrap();
    let of = |id: &str| docs.get(id).unwrap().unwrap();
    assert_eq!(
        Value::Object(of("a").payload),
        json!({"zip": "007", "n": 1, "big": u64::MAX, "quoted": "", "flag": true})
    );
    assert_eq!(
        Value::Object(of("b").payload),
        json!({"zip": "010", "n": 2.5, "big": 1, "quoted": "x", "flag": false})
    );
    assert_eq!((of("a").text, of("b").text), (Some(String::new()), None));
}

#[test]
fn a_stream_that_gives_a_byte_at_a_time_is_read_like_a_file() {
    struct Slow<'a>(&'a [u8]);
    impl std::io::Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let given = out.len().min(self.0.len()).min(1);
            out[..given].copy_from_slice(&self.0[..given]);
            self.0 = &self.0[given..];
            Ok(given)
        }
    }
    let rows = batch(vec![("id", array(StringArray::from(vec!["b", "c"])))]);
    for bytes in [
        b"{\"id\":\"b\"}\n{\"id\":\"c\"}".to_vec(),
        arrow_stream(std::slice::from_ref(&rows), None),
        parquet(std::slice::from_ref(&rows), Compression::SNAPPY),
    ] {
        let (_dir, _db, docs) = docs();
        let loaded = docs.load(LoadSource::stream("slow", Slow(&bytes))).wait(&mut |_| {}).unwrap();
        assert_eq!(loaded.rows, 2);
    }
}
