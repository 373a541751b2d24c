//! `message.diff`.

use agentdb_types::{Code, Error, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{find, not_found};
use super::Entry;
use super::layers::MessagesAhead;
use crate::history::Point;
use crate::key::Key;
use crate::modules::check_page;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::{Page, Read};
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
        let layers = |at: &Snapshot| find(at, &self.session)?.map(|found| found.layers(at)).transpose();
        let (then, now) = (layers(&before)?, layers(&after)?);
        if then.is_none() && now.is_none() {
            return Err(not_found(&self.session));
        }
        let list = snapshot.key(Table::Message).text(&self.session);
        let Some(first) = self.first(&list)? else {
            return Ok(Changes { items: Vec::new(), cursor: None });
        };
        let all = (first, u64::MAX);
        let mut then = Side::new(then.map(|layers| layers.ahead(&before, all, Page::Forward)))?;
        let mut now = Side::new(now.map(|layers| layers.ahead(&after, all, Page::Forward)))?;
        let mut changes = Changes { items: Vec::new(), cursor: None };
        while let Some(sequence) = [then.place(), now.place()].into_iter().flatten().min() {
            let (was, is) = (then.take(sequence)?, now.take(sequence)?);
            if was.as_ref().map(|row| row.lsn) == is.as_ref().map(|row| row.lsn) {
                continue;
            }
            if changes.items.len() == limit {
                let last = changes.items.last().map_or(0, |last| last.sequence);
                changes.cursor = Some(cursor::encode(&list, &list.clone().u64(last)));
                break;
            }
            let entry = |row: Option<Row>| row.map(|row| Entry::new(sequence, &row)).transpose();
            changes.items.push(Change { sequence, before: entry(was)?, after: entry(is)? });
        }
        Ok(changes)
    }
}

/// The messages at one point, those of no session among them, and the next of them.
struct Side<'a> {
    messages: Option<MessagesAhead<'a>>,
    next: Option<(u64, Row)>,
}

impl<'a> Side<'a> {
    fn new(mut messages: Option<MessagesAhead<'a>>) -> Result<Self> {
        let next = messages.as_mut().map(MessagesAhead::next).transpose()?.flatten();
        Ok(Side { messages, next })
    }

    /// The sequence number of the next one.
    fn place(&self) -> Option<u64> {
        self.next.as_ref().map(|(sequence, _)| *sequence)
    }

    /// The message of this place, which is the next one or none.
    fn take(&mut self, sequence: u64) -> Result<Option<Row>> {
        let Some((_, row)) = self.next.take_if(|(next, _)| *next == sequence) else { return Ok(None) };
        self.next = self.messages.as_mut().map(MessagesAhead::next).transpose()?.flatten();
        Ok(Some(row))
    }
}

impl Diff {
    /// The first sequence number that is looked at; `None` if there can be none.
    fn first(&self, list: &Key) -> Result<Option<u64>> {
        let Some(text) = &self.cursor else { return Ok(Some(0)) };
        let last = cursor::decode(list, text)?;
        let mut parts = last.components();
        let last = parts.text().and_then(|_| parts.u64()).map_err(|_| {
            Error::new(Code::InvalidCursor).with("reason", "it is not a place in a list of messages")
        })?;
        Ok(last.checked_add(1))
    }
}
