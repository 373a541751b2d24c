//! Loading a collection from a file: Arrow, Parquet, JSON lines, CSV.

mod arrow;
mod arrow_value;
mod cells;
mod columns;
mod csv;
mod csv_rows;
mod jsonl;
mod loading;
mod source;
#[cfg(test)]
mod tests;

pub use loading::Loading;
pub use source::LoadSource;

use agentdb_engine::modules::load::{Load, Rows};
use agentdb_types::Result;

use self::source::Opened;

/// The rows of a source, and the name that a load of it is known by.
///
/// ```
/// use agentdb::{LoadSource, modules::load::Load, rows_of};
/// let (name, mut rows) = rows_of(&Load::new("docs"), LoadSource::stream("docs.csv", &b"id\na\n"[..]))?;
/// assert_eq!((&*name, rows.next_row()?.unwrap().record.as_deref()), ("docs.csv", Some("a")));
/// # Ok::<(), agentdb::Error>(())
/// ```
///
/// # Errors
/// [`Code::LoadSource`](agentdb_types::Code::LoadSource); [`Code::LoadRow`](agentdb_types::Code::LoadRow) for one of the first
/// rows of CSV, which are read to tell the types of its columns.
#[doc(hidden)]
pub fn rows_of<'a>(load: &Load, source: LoadSource<'a>) -> Result<(String, Box<dyn Rows + 'a>)> {
    let (name, opened) = source.open(load.format)?;
    let rows: Box<dyn Rows + 'a> = match opened {
        Opened::Parquet(region) => Box::new(arrow::ArrowRows::parquet(load, &name, region)?),
        Opened::ArrowFile(region) => Box::new(arrow::ArrowRows::file(load, &name, region)?),
        Opened::ArrowStream(input) => Box::new(arrow::ArrowRows::stream(load, &name, input)?),
        Opened::Jsonl(input) => Box::new(jsonl::JsonLines::new(load, &name, input)),
        Opened::Csv(input) => Box::new(csv_rows::CsvRows::new(load, &name, input)?),
    };
    Ok((name, rows))
}
