//! Which checkpoints of a thread are kept no longer, and when a thread was last used.
//!
//! The latest checkpoint of each part stays, however old it is: it is what the thread is. What stays keeps all that its delta
//! channels add up from, however many and however old that is.

use agentdb_types::{Result, Timestamp};

use super::history;
use super::rows::{self, Heads, Place};
use super::thread;
use crate::planted::{self, Bug};
use crate::read::{Page, Read};
use crate::retain::{Found, Policy};
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{Table, numbers};

/// Checkpoints of a part that stay for themselves, and when the first of them may go.
fn roots(policy: Policy, all: &Heads, now: Timestamp) -> (Vec<&String>, Option<i64>) {
    let most = policy.keep_latest.map_or(u64::MAX, |kept| kept.get());
    let mut newest = all.iter().rev().take(usize::try_from(most).unwrap_or(usize::MAX));
    let mut roots: Vec<_> = newest.next().into_iter().map(|(latest, _)| latest).collect();
    let mut next_us = None;
    for (checkpoint, head) in newest.filter(|(_, head)| !policy.is_over(head.created, now)) {
        next_us = next_us.into_iter().chain(policy.due(head.created)).min();
        roots.push(checkpoint);
    }
    (roots, next_us)
}

/// Checkpoints of a part that go, oldest first, and when others may.
fn going<'a>(
    rows: &dyn Read,
    policy: Policy,
    place: Place<'_>,
    all: &'a Heads,
) -> Result<(Vec<&'a String>, Option<i64>)> {
    let (roots, next_us) = roots(policy, all, rows.now());
    let mut needed = history::needed(rows, place, all, roots.iter().copied())?;
    if planted::is(Bug::ChainNotRetained) {
        needed.retain(|checkpoint| roots.contains(checkpoint));
    }
    Ok((all.keys().filter(|checkpoint| !needed.contains(checkpoint)).collect(), next_us))
}

/// What may go of the thread that has this number.
pub(crate) fn excess(rows: &dyn Read, policy: Policy, number: u64, most: usize) -> Result<Found> {
    let mut found = Found::default();
    for (namespace, all) in &rows::of_thread(rows, number)? {
        let (going, next_us) = going(rows, policy, Place { number, namespace, checkpoint: "" }, all)?;
        found.rows = (found.rows + going.len()).min(most);
        found.next_us = found.next_us.into_iter().chain(next_us).min();
    }
    Ok(found)
}

/// Deletes it, about `most` rows; returns how many it were.
pub(crate) fn delete_excess(
    tx: &mut Tx<'_>,
    policy: Policy,
    (thread, number): (&str, u64),
    most: usize,
) -> Result<usize> {
    let mut deleted = 0;
    for (namespace, all) in &rows::of_thread(tx, number)? {
        let place = Place { number, namespace, checkpoint: "" };
        let (going, _) = going(tx, policy, place, all)?;
        if deleted < most && !going.is_empty() {
            numbers::tell(tx, Remains::Thread, number, thread);
            deleted += rows::delete_all(tx, place, all, going, most - deleted)?;
        }
    }
    Ok(deleted)
}

/// When a thread got its last checkpoint or write, if there is such a thread; of one that is not too old by the policy, some
/// later use than that would allow.
pub(crate) fn last_used(rows: &dyn Read, policy: Policy, thread: &str) -> Result<Option<Timestamp>> {
    let Some(found) = thread::find(rows, thread)? else { return Ok(None) };
    let mut last = found.created;
    for table in [Table::Checkpoint, Table::CheckpointWrite] {
        if !policy.is_over(last, rows.now()) {
            break;
        }
        rows.scan_prefix(&rows.key(table).u64(found.number), Page::Backward, &mut |_, row| {
            let at =
                if table == Table::Checkpoint { rows::created_at(&row)? } else { rows::stored_at(&row)? };
            last = last.max(at);
            Ok(policy.is_over(last, rows.now()))
        })?;
    }
    Ok(Some(last))
}

/// Deletes a thread that is kept no longer.
pub(crate) fn let_go(tx: &mut Tx<'_>, thread: &str) -> Result<()> {
    thread::remove(tx, thread).map(drop)
}
