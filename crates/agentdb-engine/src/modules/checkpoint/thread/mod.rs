//! Threads: lines of checkpoints with a name.

mod copy;
mod delete;
mod list;
mod prune;
pub(crate) mod transfer;

pub use copy::{Copied, Copy};
pub use delete::{Delete, Deleted};
pub use list::{Entry, List, Listed};
pub use prune::{Prune, Pruned, Strategy};
pub use transfer::ThreadLine;

use agentdb_types::{Id, Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::key::Key;
use crate::operation::Operation;
use crate::read::Read;
use crate::sweep::{self, Remains};
use crate::tx::Tx;
use crate::{Row, Table, numbers, row_json};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::write::<Copy>(),
        Operation::write::<Delete>(),
        Operation::read::<List>(),
        Operation::write::<Prune>(),
    ]
}

/// A thread as its row holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Thread {
    pub(super) number: u64,
    /// The number whose contents its values are: its own, or that of the thread that it was copied from.
    pub(super) root: u64,
    pub(super) created: Timestamp,
}

fn key(rows: &dyn Read, thread: &str) -> Result<Key> {
    Id::check("thread", thread)?;
    Ok(rows.key(Table::Thread).text(thread))
}

pub(super) fn find(rows: &dyn Read, thread: &str) -> Result<Option<Thread>> {
    rows.get(&key(rows, thread)?)?.map(|row| row_json::decode(&row)).transpose()
}

/// A thread as callers see it.
pub(crate) fn shown(thread: String, row: &Row) -> Result<Entry> {
    let head: Thread = row_json::decode(row)?;
    Ok(Entry { thread, created: head.created })
}

/// The thread of this name, which is created if there is none.
pub(super) fn ensure(tx: &mut Tx<'_>, thread: &str) -> Result<Thread> {
    let Some(found) = find(tx, thread)? else { return create(tx, thread, None) };
    numbers::tell(tx, Remains::Thread, found.number, thread);
    Ok(found)
}

fn create(tx: &mut Tx<'_>, thread: &str, root: Option<u64>) -> Result<Thread> {
    let number = numbers::allot(tx, Remains::Thread, "threads", thread)?;
    let created = Thread { number, root: root.unwrap_or(number), created: tx.now() };
    store(tx, thread, &created)?;
    Ok(created)
}

fn store(tx: &mut Tx<'_>, thread: &str, head: &Thread) -> Result<()> {
    tx.put(key(tx, thread)?, row_json::encode(head)?)
}

/// Removes a thread; what hangs on its number is swept later. Returns whether there was one.
pub(super) fn remove(tx: &mut Tx<'_>, thread: &str) -> Result<bool> {
    let Some(found) = find(tx, thread)? else { return Ok(false) };
    tx.delete(key(tx, thread)?)?;
    sweep::discard(tx, Remains::Thread, found.number, thread)?;
    Ok(true)
}
