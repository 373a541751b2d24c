//! Bytes of files that are other ones: all of it is loaded, or a typed error comes; never a panic.

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder};
use arrow_array::types::Int32Type;
use arrow_array::*;
use parquet::basic::Compression;

use super::*;
use crate::load::rows_of;

fn sample() -> Vec<RecordBatch> {
    let mut vectors = FixedSizeListBuilder::new(Float32Builder::new(), 3);
    for n in 0..40 {
        vectors.values().append_slice(&[n as f32, 1.0, 2.0]);
        vectors.append(true);
    }
    vec![batch(vec![
        ("id", array(StringArray::from_iter_values((0..40).map(|n| format!("r{n}"))))),
        ("vector", array(vectors.finish())),
        ("kind", array(DictionaryArray::<Int32Type>::from_iter((0..40).map(|n| ["a", "b"][n % 2])))),
        ("x", array(Int64Array::from_iter((0..40).map(|n| (n % 3 > 0).then_some(n))))),
    ])]
}

/// Reads all rows; whether they are whole.
fn read(name: &str, bytes: &[u8]) -> bool {
    let load = Load::new("docs");
    let Ok((_, mut rows)) = rows_of(&load, LoadSource::stream(name, bytes)) else { return false };
    loop {
        match rows.next_row() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

#[test]
fn damage_of_any_byte_is_no_panic() {
    let files = [
        ("a.parquet", parquet(&sample(), Compression::SNAPPY)),
        ("a.parquet", parquet(&sample(), Compression::UNCOMPRESSED)),
        ("a.arrow", arrow_file(&sample())),
        ("a.arrows", arrow_stream(&sample(), None)),
        ("a.jsonl", b"{\"id\":\"a\",\"vector\":[1,2,3],\"x\":{\"y\":null}}\n{\"id\":\"b\"}\n".to_vec()),
        ("a.csv", b"id,vector,x\na,\"[1,2,3]\",1\nb,,2\n".to_vec()),
    ];
    // What the libraries say of it is caught, and need not be shown.
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let theirs = |file: &str| file.contains("/arrow-") || file.contains("/parquet-");
        if !info.location().is_some_and(|location| theirs(location.file())) {
            shown(info);
        }
    }));
    for (name, bytes) in &files {
        assert!(read(name, bytes), "{name}");
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                read(name, &damaged);
            }
            assert!(!name.starts_with("a.p") || !read(name, &bytes[..at]), "{name} cut off at {at}");
        }
    }
}
