//! Text and payload of a record as its row holds them: its last members, which are made JSON once, without a copy of either.

use agentdb_types::{Code, Error, Result};
use serde_json::{Map, Value};

use super::Record;
use crate::modules::{check_inline, encode_fields};
use crate::row_json;

/// Text and payload: two members of a JSON object, without its braces.
///
/// # Errors
/// [`Code::ValueTooLarge`], [`Code::DepthExceeded`].
pub(crate) fn content(text: Option<&str>, payload: &Map<String, Value>) -> Result<Vec<u8>> {
    let text = text.map(|text| check_inline("text", text.len()).map(|()| text)).transpose()?;
    let payload = encode_fields("payload", payload)?;
    let mut content =
        Vec::with_capacity(32 + text.map_or(0, |text| text.len() + text.len() / 8) + payload.len());
    if let Some(text) = text {
        content.extend_from_slice(b"\"text\":");
        serde_json::to_writer(&mut content, text)
            .map_err(|e| Error::new(Code::InvalidJson).with("field", "text").with("reason", e))?;
        content.push(b',');
    }
    content.extend_from_slice(b"\"payload\":");
    content.extend_from_slice(&payload);
    Ok(content)
}

impl Record {
    /// The row of the record with this text and payload instead of its own, which it has none of.
    ///
    /// # Errors
    /// [`Code::InvalidJson`].
    pub(super) fn encode_with(&self, content: &[u8]) -> Result<Vec<u8>> {
        const EMPTY: &[u8] = b"\"payload\":{}}";
        let mut row = row_json::encode(self)?;
        debug_assert!(self.text.is_none() && row.ends_with(EMPTY), "the payload is the last member");
        row.truncate(row.len() - EMPTY.len());
        row.reserve_exact(content.len() + 1);
        row.extend_from_slice(content);
        row.push(b'}');
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use agentdb_types::Timestamp;
    use serde_json::json;

    use super::super::Place;
    use super::*;

    #[test]
    fn content_that_was_made_before_makes_the_row_that_the_record_makes() {
        let texts = [None, Some("a \"quoted\" text\n\u{1}é".to_owned()), Some(String::new())];
        for (text, payload) in texts
            .into_iter()
            .flat_map(|text| [json!({}), json!({"n": 1.5, "of": [{"a": null}]})].map(|p| (text.clone(), p)))
        {
            let Value::Object(payload) = payload else { panic!("no object") };
            let content = content(text.as_deref(), &payload).unwrap();
            let (created, expires) = (Timestamp::default(), Some(Timestamp::default()));
            let empty = Record {
                created,
                updated: created,
                expires,
                slot: Some(7),
                named: [("image".to_owned(), Place(2, 8))].into(),
                sparse: Default::default(),
                text: None,
                payload: Default::default(),
            };
            let whole = Record { text, payload, ..empty.clone() };
            assert_eq!(empty.encode_with(&content).unwrap(), row_json::encode(&whole).unwrap());
        }
    }
}
