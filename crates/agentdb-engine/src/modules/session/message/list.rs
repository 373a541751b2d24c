//! `message.list`.

use agentdb_types::{Code, Error, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, require};
use crate::key::Key;
use crate::modules::check_page;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::{Page, Read};
use crate::{Snapshot, Table, cursor};

/// Lists the messages of a session, oldest or newest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The session's id.
    pub session: String,
    /// How many at most; 100 if not given. With `reverse` and no cursor these are the last ones of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// From the newest to the oldest.
    #[serde(default)]
    pub reverse: bool,
    /// Only messages with a greater sequence number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_sequence: Option<u64>,
    /// Only messages with a smaller sequence number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_sequence: Option<u64>,
}

/// The answer to [`List`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The messages, in the order that was asked for.
    pub items: Vec<Entry>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl List {
    /// Asks for the first messages of this session, oldest first.
    pub fn new(session: impl Into<String>) -> Self {
        List { session: session.into(), ..Self::default() }
    }

    /// Asks for the last `limit` messages of this session, newest first.
    pub fn last(session: impl Into<String>, limit: usize) -> Self {
        List { session: session.into(), limit: Some(limit), reverse: true, ..Self::default() }
    }
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "message.list",
        doc: "Lists the messages of a session page by page, oldest first or (`reverse`) newest first, all or between two sequence numbers.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "message.read",
        resource: &["session"],
        sensitive: &["items"],
        errors: &[Code::SessionNotFound, Code::PageTooLarge, Code::InvalidCursor],
    };
}

impl ReadRequest for List {
    fn read(&self, snapshot: &Snapshot) -> Result<Listed> {
        let limit = self.limit.unwrap_or(limits::PAGE_DEFAULT);
        check_page(limit)?;
        let found = require(snapshot, &self.session)?;
        // Where a page ended means nothing once the session was cleared, or is another one.
        let list = snapshot.key(Table::Message).u64(found.head.number);
        let mut listed = Listed { items: Vec::new(), cursor: None };
        let Some(between) = self.bounds(&list)? else { return Ok(listed) };
        let direction = if self.reverse { Page::Backward } else { Page::Forward };
        found.layers(snapshot)?.scan(snapshot, between, direction, &mut |sequence, row| {
            if listed.items.len() == limit {
                let last = listed.items.last().map(|last| last.sequence);
                listed.cursor = last.map(|last| cursor::encode(&list, &list.clone().u64(last)));
                return Ok(false);
            }
            listed.items.push(Entry::new(sequence, &row)?);
            Ok(true)
        })?;
        Ok(listed)
    }
}

impl List {
    /// The first and the last sequence number that are asked for; `None` if there can be none.
    fn bounds(&self, list: &Key) -> Result<Option<(u64, u64)>> {
        let (mut after, mut before) = (self.after_sequence, self.before_sequence);
        if let Some(text) = &self.cursor {
            let last = cursor::decode(list, text)?;
            let mut parts = last.components();
            let sequence = parts.u64().and_then(|_| parts.u64());
            let last = sequence.ok().filter(|_| parts.rest().is_empty()).ok_or_else(|| {
                Error::new(Code::InvalidCursor).with("reason", "it is not a place in a list of messages")
            })?;
            if self.reverse {
                before = Some(before.map_or(last, |b| b.min(last)));
            } else {
                after = Some(after.map_or(last, |a| a.max(last)));
            }
        }
        let first = after.unwrap_or_default().checked_add(1);
        let last = before.map_or(Some(u64::MAX), |before| before.checked_sub(1));
        Ok(first.zip(last).filter(|(first, last)| first <= last))
    }
}
