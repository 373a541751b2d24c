//! `message.diff`.

use agentdb_types::{Code, Error, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{find, not_found};
use super::Entry;
use crate::history::{Point, Side, join};
use crate::key::Key;
use crate::modules::check_page;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Row, Snapshot, Table, cursor};

/// Tells what differs between two points in the messages of a session.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Diff {
    /// The session's id.
    pub session: String,
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

/// A message that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Its place in the session.
    pub sequence: u64,
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
    /// What differs, in the order of the sequence numbers.
    pub items: Vec<Change>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Diff {
    /// What changed since a point.
    pub fn since(session: impl Into<String>, from: impl Into<Point>) -> Self {
        Diff { session: session.into(), from: from.into(), to: None, limit: None, cursor: None }
    }
}

impl Request for Diff {
    type Response = Changes;
    const ABOUT: About = About {
        name: "message.diff",
        doc: "Tells which messages of a session differ between two points, with what they were at each: appended, changed or deleted. A session that was not there at one of them had no messages; one that is there at neither is an error.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "message.read",
        resource: &["session"],
        sensitive: &["items"],
        errors: &[
            Code::SessionNotFound,
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
        let limit = self.limit.unwrap_or(limits::PAGE_DEFAULT);
        check_page(limit)?;
        let before = snapshot.as_of_field("from", self.from)?;
        let after = self.to.map_or_else(|| Ok(snapshot.clone()), |to| snapshot.as_of_field("to", to))?;
        let number = |at: &Snapshot| Ok(find(at, &self.session)?.map(|found| found.head.number));
        let numbers = (number(&before)?, number(&after)?);
        if numbers == (None, None) {
            return Err(not_found(&self.session));
        }
        let list = snapshot.key(Table::Message).text(&self.session);
        let from = self.start(&list)?;
        // Numbers start at 1: that of no session has no messages.
        let messages = |number: Option<u64>| snapshot.key(Table::Message).u64(number.unwrap_or_default());
        let (then, now) = (messages(numbers.0), messages(numbers.1));
        let mut changes = Changes { items: Vec::new(), cursor: None };
        join(
            &Side { rows: &before, prefix: &then, from: &from },
            &Side { rows: &after, prefix: &now, from: &from },
            &mut |sequence, then, now| {
                if then.as_ref().map(|row| row.lsn) == now.as_ref().map(|row| row.lsn) {
                    return Ok(true);
                }
                let sequence = sequence_in(sequence)?;
                if changes.items.len() == limit {
                    let last = changes.items.last().map_or(0, |last| last.sequence);
                    changes.cursor = Some(cursor::encode(&list, &list.clone().u64(last)));
                    return Ok(false);
                }
                let entry = |row: Option<Row>| row.map(|row| Entry::new(sequence, &row)).transpose();
                changes.items.push(Change { sequence, before: entry(then)?, after: entry(now)? });
                Ok(true)
            },
        )?;
        Ok(changes)
    }
}

fn sequence_in(rest: &[u8]) -> Result<u64> {
    let bytes = rest.try_into().map_err(|_| {
        Error::new(Code::RowsCorrupt).with("reason", "the key of a message's row is malformed")
    })?;
    Ok(u64::from_be_bytes(bytes))
}

impl Diff {
    /// What follows the session's number in the first key that is looked at.
    fn start(&self, list: &Key) -> Result<Vec<u8>> {
        let Some(text) = &self.cursor else { return Ok(Vec::new()) };
        let last = cursor::decode(list, text)?;
        Ok([&last.as_bytes()[list.as_bytes().len()..], &[0]].concat())
    }
}
