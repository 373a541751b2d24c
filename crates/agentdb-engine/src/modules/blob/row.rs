//! The row of a blob.

use agentdb_types::{Code, Error, Result, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const ROW_VERSION: u8 = 1;

/// Bytes that one checksum covers.
pub(super) const BLOCK: usize = 256 << 10;

/// What a row tells beside the checksums.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(super) metadata: Map<String, Value>,
    pub(super) created: Timestamp,
}

/// A blob's row: the head, and the CRC-32C of each block.
pub(crate) struct BlobRow {
    pub(super) head: Head,
    pub(super) sums: Vec<u32>,
}

impl BlobRow {
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let json = serde_json::to_vec(&self.head)
            .map_err(|e| Error::new(Code::InvalidJson).with("field", "row").with("reason", e))?;
        let mut out = Vec::with_capacity(5 + json.len() + 4 * self.sums.len());
        out.push(ROW_VERSION);
        out.extend_from_slice(&(json.len() as u32).to_le_bytes());
        out.extend_from_slice(&json);
        out.extend(self.sums.iter().flat_map(|sum| sum.to_le_bytes()));
        Ok(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<BlobRow> {
        let malformed = || Error::new(Code::RowsCorrupt).with("reason", "a blob's row is malformed");
        let (&version, rest) = bytes.split_first().ok_or_else(malformed)?;
        if version != ROW_VERSION {
            return Err(Error::new(Code::FormatTooNew)
                .with("path", "a blob's row")
                .with("actual", version)
                .with("supported", ROW_VERSION));
        }
        let (len, rest) = rest.split_first_chunk().ok_or_else(malformed)?;
        let (json, sums) = rest.split_at_checked(u32::from_le_bytes(*len) as usize).ok_or_else(malformed)?;
        let head: Head =
            serde_json::from_slice(json).map_err(|e| Error::new(Code::RowsCorrupt).with("reason", e))?;
        let (sums, left) = sums.as_chunks::<4>();
        if !left.is_empty() || sums.len() as u64 != head.bytes.div_ceil(BLOCK as u64) {
            return Err(malformed());
        }
        Ok(BlobRow { head, sums: sums.iter().map(|sum| u32::from_le_bytes(*sum)).collect() })
    }
}
