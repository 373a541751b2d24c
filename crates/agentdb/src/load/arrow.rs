//! Rows of Arrow's record batches, from its IPC and from Parquet.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use agentdb_engine::modules::load::{Convert, Load, Row, Rows};
use agentdb_types::{Error, Result};
use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, SchemaRef};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::arrow_value::{Cells, floats, value};
use super::cells::RowBuilder;
use super::columns::{Columns, Role, source};
use super::source::{Input, Positioned, Region};

/// Rows of Parquet that are decoded in one go.
const BATCH_ROWS: usize = 1_024;

/// Batches one after another, from whatever they are stored in.
enum Batches<'a> {
    Parquet(ParquetRecordBatchReader),
    File(FileReader<Positioned>),
    Stream(Box<StreamReader<Input<'a>>>),
}

pub(super) struct ArrowRows<'a> {
    file: String,
    batches: Batches<'a>,
    counter: Box<dyn Fn() -> u64 + 'a>,
    columns: Columns,
    /// Name and role of each column.
    cells: Vec<(String, Role)>,
    batch: Option<RecordBatch>,
    /// The next row of the batch.
    at: usize,
    rows: u64,
}

impl<'a> ArrowRows<'a> {
    pub(super) fn parquet(load: &Load, file: &str, region: Region) -> Result<Self> {
        let counter = Box::new(region.counter());
        let reader = guarded(file, || {
            let builder = ParquetRecordBatchReaderBuilder::try_new(region)?;
            builder.with_batch_size(BATCH_ROWS).build()
        })?;
        let schema = arrow_array::RecordBatchReader::schema(&reader);
        Self::of(load, file, Batches::Parquet(reader), counter, schema)
    }

    pub(super) fn file(load: &Load, file: &str, region: Region) -> Result<Self> {
        let counter = Box::new(region.counter());
        let reader = guarded(file, || FileReader::try_new(region.reader(0), None))?;
        let schema = reader.schema();
        Self::of(load, file, Batches::File(reader), counter, schema)
    }

    pub(super) fn stream(load: &Load, file: &str, input: Input<'a>) -> Result<Self> {
        let reader = Box::new(guarded(file, || StreamReader::try_new(input, None))?);
        let schema = reader.schema();
        Self::of(load, file, Batches::Stream(reader), Box::new(|| 0), schema)
    }

    fn of(
        load: &Load,
        file: &str,
        batches: Batches<'a>,
        counter: Box<dyn Fn() -> u64 + 'a>,
        schema: SchemaRef,
    ) -> Result<Self> {
        let names = || schema.fields().iter().map(|field| field.name().as_str());
        let columns = Columns::new(load, file, names())?;
        let cells = names().map(|name| Ok((name.to_owned(), columns.role(name)?))).collect::<Result<_>>()?;
        let file = file.to_owned();
        Ok(ArrowRows { file, batches, counter, columns, cells, batch: None, at: 0, rows: 0 })
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let (file, rows) = (&self.file, self.rows);
        let after = |err: Error| err.with("after_row", rows);
        match &mut self.batches {
            Batches::Parquet(reader) => guarded(file, || reader.next().transpose()).map_err(after),
            Batches::File(reader) => guarded(file, || reader.next().transpose()).map_err(after),
            Batches::Stream(reader) => {
                let batch = guarded(file, || reader.next().transpose()).map_err(after)?;
                if batch.is_none() && !guarded(file, || reader.get_mut().ends_as_arrow())? {
                    return Err(after(source(file, "the stream is cut off: it has no end")));
                }
                Ok(batch)
            }
        }
    }

    fn row(&self, batch: &RecordBatch) -> Result<Row> {
        let mut row = RowBuilder::new(&self.columns, self.rows, None);
        let load = self.columns.load();
        let cells =
            Cells { convert: &load.convert, doubles: super::cells::converts(load, Convert::DoublesAsFloats) };
        for ((name, role), column) in self.cells.iter().zip(batch.columns()) {
            match role {
                Role::Skipped => {}
                Role::Vector | Role::Named(_) => {
                    let vector = floats(column, self.at, &cells).map_err(|reason| row.wrong(name, reason))?;
                    if let Some(vector) = vector {
                        row.vector(role, vector);
                    }
                }
                role => {
                    let value = value(column, self.at, &cells).map_err(|reason| row.wrong(name, reason))?;
                    row.value(role, name, value)?;
                }
            }
        }
        row.finish()
    }
}

impl Rows for ArrowRows<'_> {
    fn next_row(&mut self) -> Result<Option<Row>> {
        loop {
            if let Some(batch) = &self.batch
                && self.at < batch.num_rows()
            {
                self.rows += 1;
                let row = self.row(batch)?;
                self.at += 1;
                return Ok(Some(row));
            }
            match self.next_batch()? {
                Some(batch) => (self.batch, self.at) = (Some(batch), 0),
                None => return Ok(None),
            }
        }
    }

    fn bytes_read(&self) -> u64 {
        match &self.batches {
            Batches::Stream(reader) => reader.get_ref().bytes_read(),
            _ => (self.counter)(),
        }
    }
}

/// Reads with a library that may stumble over damage: whatever it does is the file's fault.
fn guarded<T, E: Damage>(file: &str, read: impl FnOnce() -> std::result::Result<T, E>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(err)) => Err(err.of(file)),
        Err(_) => Err(source(file, "it is damaged")),
    }
}

/// An error of a reader.
trait Damage: std::fmt::Display {
    /// The error of the engine's own that it wraps.
    fn typed(&self) -> Option<&Error>;

    fn of(&self, file: &str) -> Error {
        self.typed()
            .cloned()
            .unwrap_or_else(|| source(file, format_args!("it is damaged or cut off: {self}")))
    }
}

fn inner(err: &io::Error) -> Option<&Error> {
    err.get_ref()?.downcast_ref()
}

impl Damage for io::Error {
    fn typed(&self) -> Option<&Error> {
        inner(self)
    }
}

impl Damage for ArrowError {
    fn typed(&self) -> Option<&Error> {
        match self {
            ArrowError::IoError(_, err) => inner(err),
            ArrowError::ExternalError(err) => err.downcast_ref::<Error>(),
            _ => None,
        }
    }
}

impl Damage for ParquetError {
    fn typed(&self) -> Option<&Error> {
        match self {
            ParquetError::External(err) => err.downcast_ref::<io::Error>().and_then(inner),
            _ => None,
        }
    }
}

impl Length for Region {
    fn len(&self) -> u64 {
        Region::len(self)
    }
}

impl ChunkReader for Region {
    type T = Positioned;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Positioned> {
        Ok(self.reader(start))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        Ok(self.bytes(start, length)?)
    }
}
