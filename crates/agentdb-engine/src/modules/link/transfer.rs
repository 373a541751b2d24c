//! A link as a line of an export.

use agentdb_types::{Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::end::{Named, Records, tell};
use super::{Ends, LinkRow, Place, back_key, check_type, key, node};
use crate::key::Key;
use crate::modules::encode_fields;
use crate::modules::transfer::{Existing, Fate};
use crate::read::{Page, Read};
use crate::tx::Tx;
use crate::{Row, Table, row_json};

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

/// The record of a row of [`Table::Node`] in this collection, and the starts of the keys of its links, in the order of types and
/// of the names of the collections that they lead to: within each, keys are in the order of records.
pub(crate) fn groups(rows: &dyn Read, key: &Key, row: &Row) -> Result<(String, Vec<Key>)> {
    let place = Place::of(key, node::number(row)?)?;
    let mut collections = Records::new(rows, &[])?;
    let mut found = Vec::new();
    if collections.at(&place)?.is_none() {
        return Ok((place.record, Vec::new()));
    }
    let all = rows.key(Table::Link).u64(place.node);
    let (mut next, end) = (Some(all.clone()), all.after_prefix());
    while let Some(from) = next.take() {
        let mut first = None;
        rows.scan(&from, end.as_ref(), Page::Forward, &mut |key, _| {
            first = Some(key);
            Ok(false)
        })?;
        let Some(first) = first else { break };
        let Ends { link_type, other, .. } = Ends::of(&first)?;
        let group = all.clone().text(&link_type).u64(other.collection);
        next = group.after_prefix();
        if let Some(name) = collections.name(other.collection)? {
            found.push((link_type, name, group));
        }
    }
    found.sort_by(|(a, b, _), (c, d, _)| (a, b).cmp(&(c, d)));
    Ok((place.record, found.into_iter().map(|(_, _, group)| group).collect()))
}

/// The line of a link from this record of this collection, unless it leads to one that is gone.
pub(crate) fn export(
    rows: &dyn Read,
    (collection, record): (&str, &str),
    key: &Key,
    row: &Row,
) -> Result<Option<LinkLine>> {
    let Ends { link_type, other, .. } = Ends::of(key)?;
    let Some(to) = Records::new(rows, &[])?.at(&other)? else { return Ok(None) };
    let LinkRow { created, payload } = row_json::decode(row)?;
    Ok(Some(LinkLine {
        collection: collection.to_owned(),
        record: record.to_owned(),
        link_type,
        to_collection: to.collection.to_string(),
        to: other.record,
        payload,
        created,
        version: Some(row.lsn),
    }))
}

/// Stores the link of a line, if its records are there.
pub(crate) fn import(tx: &mut Tx<'_>, line: &LinkLine, existing: Existing) -> Result<Fate> {
    check_type(&line.link_type)?;
    encode_fields("payload", &line.payload)?;
    let from = Named::from(&line.collection, &line.record).find_if_there(tx)?;
    let to = Named::to(&line.to_collection, &line.to).find_if_there(tx)?;
    let (Some(from), Some(to)) = (from, to) else { return Ok(Fate::Skipped) };
    let there = match (node::of(tx, &from.key)?, node::of(tx, &to.key)?) {
        (Some(node), Some(other)) => tx.get(&key(tx, node, &line.link_type, &to.place(other)))?.is_some(),
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
    let (from, to) = (from.place(node::allot(tx, &from.key)?), to.place(node::allot(tx, &to.key)?));
    tell(tx, (&line.collection, &from), (&line.to_collection, &to));
    tx.put_bookkeeping(back_key(tx, &from, &line.link_type, to.node), Vec::new())?;
    let row = LinkRow { created: line.created, payload: line.payload.clone() };
    tx.put(key(tx, from.node, &line.link_type, &to), row_json::encode(&row)?)?;
    Ok(fate)
}
