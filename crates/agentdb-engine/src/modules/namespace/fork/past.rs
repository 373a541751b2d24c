//! Copying a piece of the source as it was at an earlier point.
//!
//! What histories say of a point does not change as long as they go back to it. So the rows are read outside the sequencer,
//! and the batch that puts them checks only that: the trimmer leaves alone what a fork under way needs, but somebody may have
//! said that no history is to be kept.

use std::sync::Arc;

use agentdb_types::{Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Row, key, of_source, translate};
use crate::engine::Core;
use crate::history::{HistoryNoun, Past, Point};
use crate::key::{Key, NamespaceId};
use crate::modules::job;
use crate::operation::{About, Request, WriteRequest};
use crate::planted::{self, Bug};
use crate::read::{Page, Read};
use crate::sweep::internal;
use crate::tx::Tx;
use crate::{Table, row_json, rows};

/// Rows of one batch.
const ROWS: usize = 500;

/// The LSN of a point to which every history of the source goes back.
pub(super) fn at(tx: &Tx<'_>, source: NamespaceId, point: Point) -> Result<Lsn> {
    let rows = tx.before_in(source);
    let (at, _) = point.resolve("at", &rows, Lsn(tx.lsn().0 - 1), tx.now())?;
    reaching(&rows, at).map(|_| at)
}

/// The rows at an LSN to which every history goes back.
fn reaching(rows: &dyn Read, at: Lsn) -> Result<Past> {
    let past = Past::new(rows, at)?;
    HistoryNoun::ALL.into_iter().try_for_each(|noun| past.reaches(noun))?;
    Ok(past)
}

/// Copies the next rows, and moves the cursor.
pub(super) fn step(core: &Arc<Core>, source: NamespaceId, fork: &Row) -> Result<()> {
    let Some(cursor) = fork.cursor(source)? else { return Ok(()) };
    let snapshot = core.snapshot(NamespaceId::SYSTEM)?.in_namespace(source);
    let at = if planted::is(Bug::ForkOfThePresent) { snapshot.lsn() } else { fork.lsn };
    let past = reaching(&snapshot, at)?;
    let (found, next) = piece(&snapshot, &past, &cursor, core.options.rows.step_bytes)?;
    let rows = found.into_iter().map(|(key, row)| (key.into_bytes(), row.body.to_vec())).collect();
    let (from, next) = (cursor.into_bytes(), next.map(Key::into_bytes));
    core.decide_internal(NamespaceId::SYSTEM, CopyPast { source: source.number(), from, next, rows })
}

/// Rows with their keys, and the first key behind them.
type Piece = (Vec<(Key, rows::Row)>, Option<Key>);

/// The rows from `cursor` on, as they were, and the first key behind them.
fn piece(present: &dyn Read, past: &Past, cursor: &Key, most: usize) -> Result<Piece> {
    let (mut found, mut bytes, mut next) = (Vec::new(), 0, None);
    for &table in Table::ALL {
        let prefix = present.key(table);
        let (from, end) = (cursor.max(&prefix), prefix.after_prefix());
        if end.as_ref().is_some_and(|end| end <= from) {
            continue;
        }
        let visit = &mut |key: Key, row: rows::Row| {
            if found.len() == ROWS || bytes >= most {
                next = Some(key);
                return Ok(false);
            }
            bytes += row.body.len();
            found.push((key, row));
            Ok(true)
        };
        match HistoryNoun::of(table) {
            Some(_) => past.scan(present, from, end.as_ref(), Page::Forward, visit)?,
            // How long histories are kept is taken over as it is now.
            None if table == Table::Retention => present.scan(from, end.as_ref(), Page::Forward, visit)?,
            None => {}
        }
        if next.is_some() {
            break;
        }
    }
    Ok((found, next))
}

/// Puts rows as they were.
#[derive(Serialize, Deserialize, JsonSchema)]
struct CopyPast {
    source: u64,
    /// Where the cursor stands if nobody else copied them.
    from: Vec<u8>,
    /// Where it stands then; nowhere if all are copied.
    next: Option<Vec<u8>>,
    rows: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Request for CopyPast {
    type Response = ();
    const ABOUT: About = internal("internal.copy_past");
}

impl WriteRequest for CopyPast {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<()> {
        let source = NamespaceId(self.source);
        let Some(mut fork) = of_source(tx, source)? else { return Ok(()) };
        let stands = fork.cursor(source)?.is_some_and(|cursor| cursor.as_bytes() == self.from);
        if !stands || !job::is_wanted(tx, fork.job)? {
            return Ok(());
        }
        reaching(&tx.before_in(source), fork.lsn)?;
        for (key, body) in &self.rows {
            if let Some(copy) = translate(key, NamespaceId(fork.number))? {
                tx.put_bookkeeping(copy, body.clone())?;
                fork.rows += 1;
            }
        }
        fork.set_cursor(source, self.next.clone().map(Key::from_bytes).as_ref());
        tx.put_bookkeeping(key(source), row_json::encode(&fork)?)
    }

    fn weight(&self) -> usize {
        self.rows.iter().map(|(key, body)| 32 + key.len() + body.len()).sum()
    }
}
