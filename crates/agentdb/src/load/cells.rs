//! From cells to a row.

use agentdb_engine::SparseVector;
use agentdb_engine::modules::load::{Convert, Load, Row};
use agentdb_types::{Code, Error, Result};
use serde_json::{Map, Value};

use super::columns::{Columns, Role};

/// A row that is being put together.
pub(super) struct RowBuilder<'a> {
    columns: &'a Columns,
    number: u64,
    row: Row,
}

impl<'a> RowBuilder<'a> {
    pub(super) fn new(columns: &'a Columns, number: u64, line: Option<u64>) -> Self {
        let mut row = Row::default();
        row.line = line;
        RowBuilder { columns, number, row }
    }

    /// An error of a cell of this row.
    pub(super) fn wrong(&self, column: &str, reason: impl std::fmt::Display) -> Error {
        wrong(self.number, self.row.line, column, reason)
    }

    /// Takes a cell. What is null, and no field, is not there.
    pub(super) fn value(&mut self, role: &Role, column: &str, value: Value) -> Result<()> {
        match (role, value) {
            (Role::Id, Value::Null) => return Err(self.wrong(column, "an id cannot be null")),
            (Role::Field, value) => return self.field(column, value),
            (Role::Skipped, _) | (_, Value::Null) => {}
            (Role::Id, Value::String(id)) => self.row.record = Some(id),
            (Role::Id, Value::Number(id)) if id.is_i64() || id.is_u64() => {
                if !self.converts(Convert::IntegersAsIds) {
                    let reason = "an id is text, and this is an integer: `integers_as_ids` makes text of it";
                    return Err(self.wrong(column, reason));
                }
                self.row.record = Some(id.to_string());
            }
            (Role::Id, other) => {
                return Err(self.wrong(column, format_args!("an id is text, not {}", kind(&other))));
            }
            (Role::Text, Value::String(text)) => self.row.text = Some(text),
            (Role::Text, other) => {
                return Err(self.wrong(column, format_args!("the text is text, not {}", kind(&other))));
            }
            (Role::Payload, Value::Object(payload)) => self.payload(column, payload)?,
            (Role::Payload, other) => {
                return Err(self.wrong(column, format_args!("a payload is an object, not {}", kind(&other))));
            }
            (Role::Vector | Role::Named(_), value) => {
                let vector = self.floats(column, value)?;
                self.vector(role, vector);
            }
            (Role::Sparse(name), value) => {
                let vector: SparseVector = serde_json::from_value(value).map_err(|err| {
                    self.wrong(
                        column,
                        format_args!("a sparse vector is an object of `indices` and `values`: {err}"),
                    )
                })?;
                self.row.sparse.insert(name.clone(), vector);
            }
        }
        Ok(())
    }

    /// Takes a vector.
    pub(super) fn vector(&mut self, role: &Role, vector: Vec<f32>) {
        match role {
            Role::Named(name) => drop(self.row.vectors.insert(name.clone(), vector)),
            _ => self.row.vector = Some(vector),
        }
    }

    fn field(&mut self, column: &str, value: Value) -> Result<()> {
        if !(value.is_null() && self.converts(Convert::NullsAsAbsent)) {
            self.row.payload.insert(column.to_owned(), value);
        }
        Ok(())
    }

    fn payload(&mut self, _column: &str, payload: Map<String, Value>) -> Result<()> {
        payload.into_iter().try_for_each(|(name, value)| self.field(&name, value))
    }

    /// A vector in JSON.
    fn floats(&self, column: &str, value: Value) -> Result<Vec<f32>> {
        let Value::Array(items) = value else {
            return Err(
                self.wrong(column, format_args!("a vector is a list of numbers, not {}", kind(&value)))
            );
        };
        let component = |(at, item): (usize, &Value)| {
            let component = item.as_f64().map(|x| x as f32).filter(|x| x.is_finite());
            component.ok_or_else(|| {
                self.wrong(
                    column,
                    format_args!("component {at} of the vector is no number of 32 bits: {item}"),
                )
            })
        };
        items.iter().enumerate().map(component).collect()
    }

    pub(super) fn converts(&self, convert: Convert) -> bool {
        converts(self.columns.load(), convert)
    }

    /// The row, which has an id unless new ones are made.
    pub(super) fn finish(self) -> Result<Row> {
        if self.row.record.is_none() && !self.columns.load().generate_ids {
            return Err(
                self.wrong(self.columns.id(), "there is no id, and none is to be made (`generate_ids`)")
            );
        }
        Ok(self.row)
    }
}

pub(super) fn converts(load: &Load, convert: Convert) -> bool {
    load.convert.contains(&convert)
}

/// An error of a cell.
pub(super) fn wrong(row: u64, line: Option<u64>, column: &str, reason: impl std::fmt::Display) -> Error {
    let err = Error::new(Code::LoadRow).with("row", row).with("column", column).with("reason", reason);
    err.on_line(line)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
