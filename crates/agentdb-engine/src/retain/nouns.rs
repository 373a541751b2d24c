//! Where the things of each noun lie, how old they are, and how they go.

use agentdb_types::{Result, Timestamp};

use super::{Noun, Policy};
use crate::key::Key;
use crate::modules::{checkpoint, item, record, session, state, tool_call};
use crate::numbers;
use crate::read::Read;
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{Row, Table};

/// What was found at a key.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// How many rows may go.
    pub(crate) rows: usize,
    /// When something else may go, if nothing is written there.
    pub(crate) next_us: Option<i64>,
    /// Where to go on: nothing goes before.
    pub(crate) skip_to: Option<Key>,
}

impl Found {
    /// Of a thing that was last written at a time.
    fn by_age(policy: Policy, written: Timestamp, now: Timestamp) -> Self {
        let goes = policy.is_over(written, now);
        let next_us = policy.due(written).filter(|_| !goes);
        Found { rows: usize::from(goes), next_us, skip_to: None }
    }
}

impl Noun {
    /// The keys that a round passes over: those of the things, of an index of them, or of the names of the numbers of what they are
    /// parts of.
    pub(super) fn range(self, rows: &dyn Read) -> (Key, Option<Key>) {
        let of_table = |table| (rows.key(table), rows.key(table).after_prefix());
        let of_numbers = |kind: Remains| {
            let prefix = rows.key(Table::Name).u64(kind as u64);
            (prefix.clone(), prefix.after_prefix())
        };
        match self {
            Noun::State => of_table(Table::State),
            Noun::Item => of_table(Table::Item),
            Noun::Record => of_table(Table::Record),
            Noun::ToolCall => tool_call::settled_range(rows),
            Noun::Session | Noun::Message => of_numbers(Remains::Session),
            Noun::Thread | Noun::Checkpoint => of_numbers(Remains::Thread),
            Noun::Namespace => (Key::namespace(rows.namespace()), Some(Key::namespace(rows.namespace()))),
        }
    }

    /// The key of such a range for the part of this number.
    pub(super) fn part_key(self, rows: &dyn Read, number: u64) -> Key {
        let kind = if self == Noun::Checkpoint { Remains::Thread } else { Remains::Session };
        rows.key(Table::Name).u64(kind as u64).u64(number)
    }

    /// Looks at a key of the range, for no more than `most` rows.
    pub(super) fn look(
        self,
        rows: &dyn Read,
        policy: Policy,
        key: &Key,
        row: &Row,
        most: usize,
    ) -> Result<Found> {
        let now = rows.now();
        let by_age = |written| Ok(Found::by_age(policy, written, now));
        let of_part = |written: Option<Timestamp>| {
            Ok(written.map(|written| Found::by_age(policy, written, now)).unwrap_or_default())
        };
        match self {
            Noun::State => by_age(state::written(row)?),
            Noun::Item => by_age(item::written(row)?),
            Noun::Record => by_age(record::written(row)?),
            Noun::ToolCall => {
                let (finished, rest) = tool_call::settled(rows, key)?;
                let found = Found::by_age(policy, finished, now);
                let skip_to = rest.filter(|_| found.rows == 0);
                Ok(Found { skip_to, ..found })
            }
            Noun::Session => of_part(session::last_changed(rows, &numbers::name(&row.body)?)?),
            Noun::Thread => of_part(checkpoint::last_used(rows, policy, &numbers::name(&row.body)?)?),
            Noun::Message => session::message::excess(rows, policy, number(key)?, most),
            Noun::Checkpoint => checkpoint::excess(rows, policy, number(key)?, most),
            Noun::Namespace => Ok(Found::default()),
        }
    }

    /// Deletes what is to go at a key of the range, up to about `most` rows; returns how many it were.
    pub(super) fn remove(self, tx: &mut Tx<'_>, policy: Policy, key: &Key, most: usize) -> Result<usize> {
        let Some(row) = tx.get(key)? else { return Ok(0) };
        match self {
            Noun::Message => {
                session::message::delete_excess(tx, policy, (&numbers::name(&row.body)?, number(key)?), most)
            }
            Noun::Checkpoint => {
                checkpoint::delete_excess(tx, policy, (&numbers::name(&row.body)?, number(key)?), most)
            }
            _ if self.look(tx, policy, key, &row, 1)?.rows == 0 => Ok(0),
            Noun::Namespace => Ok(0),
            Noun::State => tx.delete(key.clone()).map(|()| 1),
            Noun::Item => item::let_go(tx, key).map(|()| 1),
            Noun::Record => record::let_go(tx, key).map(|()| 1),
            Noun::ToolCall => tool_call::let_go(tx, key).map(|()| 1),
            Noun::Session => session::let_go(tx, &numbers::name(&row.body)?).map(|()| 1),
            Noun::Thread => checkpoint::let_go(tx, &numbers::name(&row.body)?).map(|()| 1),
        }
    }
}

/// The number in a key of the names of numbers.
fn number(key: &Key) -> Result<u64> {
    let mut parts = key.components();
    parts.u64()?;
    parts.u64()
}
