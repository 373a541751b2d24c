//! `state.diff`.

use agentdb_types::{Code, Id, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, decode};
use crate::history::{Point, Side, join};
use crate::modules::check_page;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Row, Snapshot, Table, cursor};

/// Tells what differs between two points in an owner's values.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Diff {
    /// Whose state.
    pub owner: String,
    /// Only keys that start so.
    #[serde(default)]
    pub prefix: String,
    /// The point to compare with: an LSN or a time.
    pub from: Point,
    /// The point that is compared: an LSN or a time; now if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Point>,
    /// How many at most; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A value that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The key.
    pub key: String,
    /// What it was at `from`; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Entry>,
    /// What it was at `to`; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Entry>,
}

/// The answer to [`Diff`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Changes {
    /// What differs, in the order of the keys.
    pub items: Vec<Change>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Diff {
    /// What changed since a point.
    pub fn since(owner: impl Into<String>, from: impl Into<Point>) -> Self {
        let (owner, from) = (owner.into(), from.into());
        Diff { owner, prefix: String::new(), from, to: None, limit: None, cursor: None }
    }
}

impl Request for Diff {
    type Response = Changes;
    const ABOUT: About = About {
        name: "state.diff",
        doc: "Tells which of an owner’s values differ between two points, with what they were at each: put, changed, deleted or expired. All values of the owner (below the prefix) are looked at.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "state.read",
        resource: &["owner"],
        sensitive: &["items"],
        errors: &[
            Code::PageTooLarge,
            Code::InvalidCursor,
            Code::HistoryTrimmed,
            Code::NoHistory,
            Code::PointAhead,
        ],
    };
}

impl ReadRequest for Diff {
    fn read(&self, snapshot: &Snapshot) -> Result<Changes> {
        Id::check("owner", &self.owner)?;
        let limit = self.limit.unwrap_or(limits::PAGE_DEFAULT);
        check_page(limit)?;
        let before = snapshot.as_of_field("from", self.from)?;
        let after = self.to.map_or_else(|| Ok(snapshot.clone()), |to| snapshot.as_of_field("to", to))?;
        let prefix = snapshot.key(Table::State).text(&self.owner).text_prefix(&self.prefix);
        let last = self.cursor.as_ref().map(|text| cursor::decode(&prefix, text)).transpose()?;
        let from =
            last.map_or_else(Vec::new, |last| [&last.as_bytes()[prefix.as_bytes().len()..], &[0]].concat());
        let side = |rows| Side { rows, prefix: &prefix, from: &from };
        let mut changes = Changes { items: Vec::new(), cursor: None };
        let mut last = None;
        join(&side(&before), &side(&after), &mut |rest, then, now| {
            let (then, now) = (live(then, &before)?, live(now, &after)?);
            if then.as_ref().map(|row| row.lsn) == now.as_ref().map(|row| row.lsn) {
                return Ok(true);
            }
            if changes.items.len() == limit {
                changes.cursor = last.take().map(|last| cursor::encode(&prefix, &last));
                return Ok(false);
            }
            let row = prefix.clone().raw(rest);
            let mut parts = row.components();
            parts.text()?;
            let key = parts.text()?;
            let entry = |row: Option<Row>, at: &Snapshot| -> Result<Option<Entry>> {
                let state = row.map(|row| decode(&row, at.now())).transpose()?.flatten();
                Ok(state.map(|state| Entry::new(key.clone(), state)))
            };
            let change =
                Change { before: entry(then, &before)?, after: entry(now, &after)?, key: key.clone() };
            changes.items.push(change);
            last = Some(row);
            Ok(true)
        })?;
        Ok(changes)
    }
}

/// The row, unless its time to live has passed.
fn live(row: Option<Row>, at: &Snapshot) -> Result<Option<Row>> {
    match row {
        Some(row) if !super::has_expired(&row, at.now())? => Ok(Some(row)),
        _ => Ok(None),
    }
}
