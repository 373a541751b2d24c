//! Files of every format, whole, malformed, damaged and cut off.
#![allow(clippy::disallowed_methods)] // Tests make files of their own.

mod damaged;
mod formats;
mod malformed;

use std::sync::Arc;

use agentdb_engine::modules::load::{Load, Loaded};
use agentdb_types::Result;
use arrow_array::{ArrayRef, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use super::LoadSource;
use crate::{Collection, Database};

/// A collection of three dimensions and a named vector of two, in a database of its own.
fn docs() -> (TempDir, Database, Collection) {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path()).unwrap();
    let docs = db.namespace("default").unwrap().collection("docs");
    let create =
        docs.create().dimension(3).named_vector("image", 2, crate::Metric::Dot).sparse_vector("words");
    create.wait().unwrap();
    (dir, db, docs)
}

/// Loads bytes as a stream of this name.
fn load(docs: &Collection, name: &str, bytes: &[u8], set: impl FnOnce(&mut Load)) -> Result<Loaded> {
    docs.load(LoadSource::stream(name, bytes)).request(set).wait(&mut |_| {})
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .unwrap()
}

fn parquet(batches: &[RecordBatch], compression: Compression) -> Vec<u8> {
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batches[0].schema(), Some(properties)).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
    out
}

fn arrow_file(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn arrow_stream(batches: &[RecordBatch], compression: Option<arrow_ipc::CompressionType>) -> Vec<u8> {
    let options = arrow_ipc::writer::IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let schema = batches[0].schema();
    let mut writer =
        arrow_ipc::writer::StreamWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn array<T: arrow_array::Array + 'static>(array: T) -> ArrayRef {
    Arc::new(array)
}
