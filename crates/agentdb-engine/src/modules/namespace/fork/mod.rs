//! `namespace.fork`: a namespace that is another one as it stands, or as it was, and goes its own way from then on.
//!
//! A fork of the present is the source as of the LSN at which it was begun. A job copies the rows in the order of their keys, in
//! small batches; who writes in the source meanwhile puts aside what is not copied yet ([`forks`](crate::forks)). A fork of an
//! earlier point copies what the histories of all nouns have, which are not trimmed beyond it meanwhile: nobody has to put
//! anything aside. Until the job is done nobody knows the fork's name, and its rows lie under a number that no list has. The
//! last batch lists it and ends the job. A job that fails or is cancelled leaves a number whose rows are swept like those of a
//! deleted namespace.
//!
//! Rows of blobs are put aside under a table of their own until the fork shares the file, so that a row of a blob always finds
//! its file. The collector leaves the source's files alone until then, and a source that is deleted meanwhile is swept when the
//! fork is done.
//!
//! Row of table `Fork`, format version 1: version byte and JSON ([`Row`]).

mod begin;
mod copy;
mod finish;
mod keys;
mod past;
mod share;
#[cfg(test)]
mod tests;
mod work;

pub(crate) use begin::BeginFork;
pub(crate) use keys::translate;
pub(crate) use work::Forking;

use agentdb_types::{Code, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::history::Point;
use crate::key::{Key, NamespaceId};
use crate::operation::{About, Effect, Request, Scope};
use crate::read::{Page, Read};
use crate::sweep::{self, Remains};
use crate::tx::Tx;
use crate::{Table, cursor, row_json};

/// Forks a namespace, as it stands or as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fork {
    /// The namespace to fork.
    pub name: String,
    /// The name of the fork: letters, digits, `_`, `-` and `.`.
    pub to: String,
    /// The point at which the namespace is looked at, an LSN or a time; now if not given. It takes a history of everything:
    /// of states, of sessions, and of the namespace (`retention.set`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Point>,
}

impl Fork {
    /// A fork of a namespace as it stands.
    pub fn new(name: impl Into<String>, to: impl Into<String>) -> Self {
        Fork { name: name.into(), to: to.into(), at: None }
    }
}

/// A fork that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Forked {
    /// The number under which its rows are kept.
    pub number: u64,
    /// It is the source as of this LSN.
    pub lsn: Lsn,
    /// How many rows were copied.
    pub rows: u64,
}

impl Request for Fork {
    type Response = Forked;
    const ABOUT: About = About {
        name: "namespace.fork",
        doc: "Makes a new namespace that has everything of another one as it stands at the LSN at which the fork is begun, or stood at an earlier point that its histories go back to, and goes its own way from then on. The source is written on meanwhile; the bytes of blobs are shared. It is a job: it goes on after a restart, can be paused and cancelled, and the new namespace is there, whole, when it is done.",
        effect: Effect::Write,
        scope: Scope::Database,
        permission: "namespace.manage",
        resource: &["name", "to"],
        sensitive: &[],
        errors: &[
            Code::NamespaceNotFound,
            Code::NamespaceExists,
            Code::ForkRunning,
            Code::InvalidName,
            Code::HistoryTrimmed,
            Code::NoHistory,
            Code::PointAhead,
        ],
    };
}

/// A fork as it is stored: in the system namespace while it is under way, in the fork itself from then on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The job that makes it.
    pub(crate) job: u64,
    /// Its number.
    pub(crate) number: u64,
    /// The name that it gets.
    pub(crate) name: String,
    /// The LSN as of which it is the source.
    pub(crate) lsn: Lsn,
    /// Whether that LSN is earlier than the one at which it was begun: it is copied from histories.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) past: bool,
    /// Rows copied so far; what was put aside is counted apart.
    pub(crate) rows: u64,
    /// The first key that is not copied, within the source; absent if all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl Row {
    /// The first key that is not copied; `None` if all are.
    pub(crate) fn cursor(&self, source: NamespaceId) -> Result<Option<Key>> {
        let prefix = Key::namespace(source);
        self.cursor.as_ref().map(|text| cursor::decode(&prefix, text)).transpose()
    }

    fn set_cursor(&mut self, source: NamespaceId, key: Option<&Key>) {
        let prefix = Key::namespace(source);
        self.cursor = key.map(|key| cursor::encode(&prefix, key));
    }
}

fn key(source: NamespaceId) -> Key {
    Key::new(NamespaceId::SYSTEM, Table::Fork).u64(source.number())
}

/// The counter of the rows that were put aside for a fork.
pub(crate) fn rows_aside(target: NamespaceId) -> Key {
    Key::new(NamespaceId::SYSTEM, Table::Counter).text(&format!("fork {}", target.number()))
}

/// The fork of this namespace that is under way.
fn of_source(rows: &dyn Read, source: NamespaceId) -> Result<Option<Row>> {
    rows.get(&key(source))?.map(|row| row_json::decode(&row)).transpose()
}

/// The LSN as of which a fork of this namespace is made, if one is under way.
pub(crate) fn at(rows: &dyn Read, source: NamespaceId) -> Result<Option<Lsn>> {
    Ok(of_source(rows, source)?.map(|fork| fork.lsn))
}

/// The fork that a job makes, and its source.
fn of_job(rows: &dyn Read, job: u64) -> Result<Option<(NamespaceId, Row)>> {
    let mut found = None;
    rows.scan_prefix(&Key::new(NamespaceId::SYSTEM, Table::Fork), Page::Forward, &mut |key, row| {
        let fork: Row = row_json::decode(&row)?;
        if fork.job == job {
            found = Some((NamespaceId(key.components().u64()?), fork));
        }
        Ok(found.is_none())
    })?;
    Ok(found)
}

/// Forgets a fork under way, whatever comes of it; nobody puts anything aside for it any more.
fn forget(tx: &mut Tx<'_>, source: NamespaceId, target: NamespaceId) -> Result<()> {
    tx.delete_bookkeeping(key(source))?;
    tx.delete_bookkeeping(rows_aside(target))
}

/// Gives the fork of a job up: its rows are swept.
pub(crate) fn abandon(tx: &mut Tx<'_>, job: u64) -> Result<()> {
    let Some((source, fork)) = of_job(tx, job)? else { return Ok(()) };
    forget(tx, source, NamespaceId(fork.number))?;
    sweep::discard_unnamed(tx, Remains::Namespace, fork.number)
}

/// The LSN of the batch that completed a fork; `None` if the namespace is none. What its rows were made by lies before.
pub(crate) fn completed(rows: &dyn Read) -> Result<Option<Lsn>> {
    let mut found = None;
    rows.scan_prefix(&rows.key(Table::Fork), Page::Forward, &mut |_, row| {
        found = Some(row.lsn);
        Ok(false)
    })?;
    Ok(found)
}
