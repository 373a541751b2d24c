//! A link as a line of an export.

use agentdb_types::{Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::end::{Ends, Named};
use super::{LinkRow, back_key, check_type, ends, key, node};
use crate::key::Key;
use crate::modules::encode_value;
use crate::modules::transfer::{Existing, Fate};
use crate::read::Read;
use crate::tx::Tx;
use crate::{Row, row_json};

/// A link. It stands behind the records that it links.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkLine {
    /// The collection of the record that the link goes from.
    pub collection: String,
    /// That record.
    pub record: String,
    /// The type.
    #[serde(rename = "type")]
    pub link_type: String,
    /// The collection of the record that it goes to.
    pub to_collection: String,
    /// That record.
    pub to: String,
    /// What is known of the link.
    #[serde(default)]
    pub payload: Map<String, Value>,
    /// When the link was first put.
    pub created: Timestamp,
    /// Its version in the database that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Lsn>,
}

/// The line of a row, unless one of the records is gone.
pub(crate) fn export(rows: &dyn Read, key: &Key, row: &Row) -> Result<Option<LinkLine>> {
    let (from, link_type, to) = ends(key)?;
    let mut ends = Ends::new(rows, &[])?;
    let (Some(from), Some(to)) = (ends.at(from)?, ends.at(to)?) else { return Ok(None) };
    let LinkRow { created, payload } = row_json::decode(row)?;
    Ok(Some(LinkLine {
        collection: from.collection.to_string(),
        record: from.record,
        link_type,
        to_collection: to.collection.to_string(),
        to: to.record,
        payload,
        created,
        version: Some(row.lsn),
    }))
}

/// Stores the link of a line, if its records are there.
pub(crate) fn import(tx: &mut Tx<'_>, line: &LinkLine, existing: Existing) -> Result<Fate> {
    check_type(&line.link_type)?;
    encode_value("payload", &Value::Object(line.payload.clone()))?;
    let from = Named::from(&line.collection, &line.record).find_if_there(tx)?;
    let to = Named::to(&line.to_collection, &line.to).find_if_there(tx)?;
    let (Some(from), Some(to)) = (from, to) else { return Ok(Fate::Skipped) };
    let nodes = (node::of(tx, &from.key)?, node::of(tx, &to.key)?);
    let there = match nodes {
        (Some(from), Some(to)) => tx.get(&key(tx, from, &line.link_type, to))?.is_some(),
        _ => false,
    };
    let fate = existing.fate(there, || {
        let LinkLine { collection, record, link_type, to_collection, to, .. } = line;
        format!(
            "the link of type {link_type:?} from record {record:?} of collection {collection:?} to record {to:?} of collection {to_collection:?}"
        )
    })?;
    if !fate.stores() {
        return Ok(fate);
    }
    let nodes = (node::allot(tx, &from.key)?, node::allot(tx, &to.key)?);
    from.tell(tx, nodes.0)?;
    to.tell(tx, nodes.1)?;
    tx.put_bookkeeping(back_key(tx, nodes.0, &line.link_type, nodes.1), Vec::new())?;
    let row = LinkRow { created: line.created, payload: line.payload.clone() };
    tx.put(key(tx, nodes.0, &line.link_type, nodes.1), row_json::encode(&row)?)?;
    Ok(fate)
}
