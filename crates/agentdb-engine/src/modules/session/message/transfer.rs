//! A message as a line of an export.

use agentdb_types::{Code, Error, Id, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::{check_metadata, find};
use super::rows::put_body;
use super::{Body, Entry};
use crate::modules::encode_value;
use crate::modules::transfer::{Fate, unfit};
use crate::tx::Tx;
use crate::{Row, row_json};

/// A message of the session that precedes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageLine {
    /// The session.
    pub session: String,
    /// The message's id.
    pub message: String,
    /// Its place in the session.
    pub sequence: u64,
    /// Who speaks.
    pub role: String,
    /// The speaker's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is said.
    pub content: Value,
    /// What is kept with it.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// When it was appended.
    pub created: Timestamp,
    /// Its version in the database that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Lsn>,
}

/// The line of a message of this session.
pub(crate) fn export(session: &str, sequence: u64, row: &Row) -> Result<MessageLine> {
    let entry = Entry::new(sequence, row)?;
    let Entry { message, sequence, role, name, content, metadata, created, version } = entry;
    let (session, version) = (session.to_owned(), Some(version));
    Ok(MessageLine { session, message, sequence, role, name, content, metadata, created, version })
}

/// Stores the message of a line in the session that was imported under this number.
pub(crate) fn import(tx: &mut Tx<'_>, line: &MessageLine, number: Option<u64>) -> Result<Fate> {
    check(line)?;
    // It may have expired since, or been deleted or replaced.
    let session = find(tx, &line.session)?.filter(|found| Some(found.head.number) == number);
    let Some(mut session) = session else { return Ok(Fate::Skipped) };
    let layers = session.layers(tx)?;
    if !(1..=session.tally.sequence).contains(&line.sequence) {
        return Err(unfit("sequence", "it lies outside 1 to the session's `last_sequence`"));
    }
    if layers.get(tx, line.sequence)?.is_some() {
        return Err(unfit("sequence", "another message of the session has it already"));
    }
    if layers.sequence_of(tx, &line.message)?.is_some() {
        return Err(Error::new(Code::MessageExists)
            .with("session", &line.session)
            .with("message", &line.message));
    }
    let MessageLine { message, role, name, content, metadata, created, .. } = line.clone();
    let body = row_json::encode(&Body { message, role, name, content, metadata, created })?;
    put_body(tx, (&line.session, &mut session), line.sequence, (&line.message, body))?;
    session.tally.messages += 1;
    session.tally.store(tx, session.head.number)?;
    Ok(Fate::Put)
}

fn check(line: &MessageLine) -> Result<()> {
    Id::check("session", &line.session)?;
    Id::check("message", &line.message)?;
    Id::check("role", &line.role)?;
    if let Some(name) = &line.name {
        Id::check("name", name)?;
    }
    encode_value("content", &line.content)?;
    check_metadata(&line.metadata)
}
