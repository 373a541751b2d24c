//! A row on its way into a collection.

use std::collections::BTreeMap;

use agentdb_types::{Result, limits};
use serde_json::{Map, Value};

use crate::SparseVector;
use crate::codec::{put_bytes, put_varint};
use crate::encoder::Encoded;
use crate::modules::record;

/// What a file holds, row by row, in its order.
pub trait Rows {
    /// The next row; `None` behind the last one.
    ///
    /// # Errors
    /// Whatever is wrong with the file, or with the row: that one tells which it is ([`Error::at_row`]).
    fn next_row(&mut self) -> Result<Option<Row>>;

    /// Bytes of the file that are read, about.
    fn bytes_read(&self) -> u64;
}

/// Rows that lie in memory, or come from elsewhere.
impl<I: Iterator<Item = Result<Row>>> Rows for I {
    fn next_row(&mut self) -> Result<Option<Row>> {
        self.next().transpose()
    }

    fn bytes_read(&self) -> u64 {
        0
    }
}

/// A row: a record that is not stored yet.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The line on which it begins, in files that have lines.
    pub line: Option<u64>,
    /// The id; a new one if none is given.
    pub record: Option<String>,
    /// The vector.
    pub vector: Option<Vec<f32>>,
    /// Further vectors, by name.
    pub vectors: BTreeMap<String, Vec<f32>>,
    /// Sparse vectors, by name.
    pub sparse: BTreeMap<String, SparseVector>,
    /// The text.
    pub text: Option<String>,
    /// The payload.
    pub payload: Map<String, Value>,
    /// The vector of the text, made on the way to the engine.
    pub(crate) encoded: Option<Encoded>,
    /// Text and payload as the row of the record holds them, made on the way to the engine.
    pub(crate) content: Vec<u8>,
}

impl Row {
    /// Makes text and payload what the record's row holds of them.
    ///
    /// # Errors
    /// [`Code::ValueTooLarge`](agentdb_types::Code::ValueTooLarge), [`Code::DepthExceeded`](agentdb_types::Code::DepthExceeded).
    pub(crate) fn seal(&mut self) -> Result<()> {
        self.content = record::content(self.text.as_deref(), &self.payload)?;
        Ok(())
    }

    /// How many vectors it brings, one that is to be made of its text included.
    pub(super) fn vectors(&self) -> usize {
        usize::from(self.vector.is_some() || self.text.is_some()) + self.vectors.len()
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        const OF_A_ROW: usize = 128;
        let named: usize = self.vectors.iter().map(|(name, vector)| 64 + name.len() + 4 * vector.len()).sum();
        let sparse: usize = self.sparse.iter().map(|(name, v)| 64 + name.len() + 16 * v.indices.len()).sum();
        OF_A_ROW
            + self.record.as_ref().map_or(limits::ID_BYTES / 8, String::len)
            + 4 * self.vector.as_ref().map_or(0, Vec::len)
            + named
            + sparse
            + self.content.len()
    }

    /// Appends all that the row is, to be hashed.
    pub(super) fn put_canonical(&self, out: &mut Vec<u8>) {
        let vector = |out: &mut Vec<u8>, vector: &[f32]| {
            put_varint(out, vector.len() as u64);
            vector.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
        };
        match &self.record {
            Some(record) => put_bytes(out, record.as_bytes()),
            None => put_varint(out, 0),
        }
        out.push(u8::from(self.vector.is_some()));
        vector(out, self.vector.as_deref().unwrap_or_default());
        put_varint(out, self.vectors.len() as u64);
        for (name, components) in &self.vectors {
            put_bytes(out, name.as_bytes());
            vector(out, components);
        }
        put_varint(out, self.sparse.len() as u64);
        for (name, SparseVector { indices, values }) in &self.sparse {
            put_bytes(out, name.as_bytes());
            put_varint(out, indices.len() as u64);
            indices.iter().for_each(|index| out.extend_from_slice(&index.to_le_bytes()));
            vector(out, values);
        }
        put_bytes(out, &self.content);
    }
}
