//! Draining: a memory table that takes no more writes becomes a run of level 0, step by step.

use std::sync::{Arc, PoisonError};

use agentdb_types::{Code, Error, Lsn, Result};

use super::Memtable;
use super::base::{Base, BaseSnapshot, Placed, Position, hash_key};
use super::memtable::Version;
use super::run_writer::RunWriter;
use crate::digest::SetHash;
use crate::key::{Key, NamespaceId};
use crate::planted::{self, Bug};

/// A memory table on its way.
pub(super) struct Drain {
    table: Arc<Memtable>,
    writer: Option<RunWriter>,
    /// The last key that was written.
    after: Option<Vec<u8>>,
    /// The namespace whose rows are being written, and its set hash as it will be.
    hash: Option<(NamespaceId, SetHash)>,
}

impl Base {
    /// Does a piece of draining `table`, which leads to `end`; returns whether it is done. One thread drains.
    pub(crate) fn drain(&self, table: &Arc<Memtable>, end: Position) -> Result<bool> {
        let mut slot = self.drain.lock().unwrap_or_else(PoisonError::into_inner);
        let mut drain = slot
            .take()
            .filter(|drain| Arc::ptr_eq(&drain.table, table))
            .unwrap_or_else(|| Drain { table: table.clone(), writer: None, after: None, hash: None });
        if drain.step(self, end.lsn)? {
            drain.finish(self, end)?;
            return Ok(true);
        }
        *slot = Some(drain);
        Ok(false)
    }
}

impl Drain {
    /// Writes the next rows; returns whether there are no more.
    fn step(&mut self, base: &Base, end: Lsn) -> Result<bool> {
        if self.table.place_ended() {
            return Ok(false);
        }
        let rows = base.snapshot();
        // The first key after the last one: keys are self-delimiting, so nothing lies between.
        let from = self.after.as_ref().map(|key| [key, &[0][..]].concat()).unwrap_or_default();
        let table = self.table.clone();
        let mut bytes = 0;
        for (key, lsn, body) in table.scan(&from, None, Lsn(u64::MAX)) {
            if bytes >= base.options.step_bytes {
                return Ok(false);
            }
            bytes += key.len() + body.as_ref().map_or(0, |b| b.len());
            let after = self.after.get_or_insert_default();
            after.clear();
            after.extend_from_slice(&key);
            self.row(base, &rows, end, (key, lsn, body))?;
        }
        Ok(true)
    }

    /// Writes a row, and brings the set hash of its namespace up to date.
    fn row(&mut self, base: &Base, rows: &BaseSnapshot, end: Lsn, row: Version) -> Result<()> {
        let (key, lsn, body) = &row;
        if body.is_none() && planted::is(Bug::DeleteForgotten) {
            return Ok(());
        }
        let namespace = Key::namespace_of(key)
            .ok_or_else(|| Error::new(Code::RowsCorrupt).with("reason", "a key has no namespace"))?;
        if self.hash.as_ref().is_none_or(|(n, _)| *n != namespace) {
            self.end_namespace(base, end)?;
            self.hash = Some((namespace, rows.hash(namespace)?));
        }
        let Some((_, hash)) = &mut self.hash else { return Ok(()) };
        let before = rows.get(key)?;
        if let Some(before) = &before {
            hash.remove(key, before.lsn, &before.body);
        }
        match body {
            Some(body) => hash.add(key, *lsn, body),
            // The base never had it.
            None if before.is_none() => return Ok(()),
            None => {}
        }
        self.writer(base)?.push(row)
    }

    fn writer(&mut self, base: &Base) -> Result<&mut RunWriter> {
        match &mut self.writer {
            Some(writer) => Ok(writer),
            none => Ok(none.insert(base.begin_run()?)),
        }
    }

    /// Writes the set hash of the namespace whose rows are written: its key comes after theirs.
    fn end_namespace(&mut self, base: &Base, end: Lsn) -> Result<()> {
        let Some((namespace, hash)) = self.hash.take() else { return Ok(()) };
        let body = (hash != SetHash::default()).then(|| hash.to_bytes().into());
        self.writer(base)?.push((hash_key(namespace), end, body))
    }

    /// Ends the run and gives it its place.
    fn finish(mut self, base: &Base, end: Position) -> Result<()> {
        self.end_namespace(base, end.lsn)?;
        let run = self.writer.map(|writer| writer.finish(&base.env, &base.dir)).transpose()?;
        base.install(|next, generation| {
            next.position = end;
            if let Some(run) = run {
                if next.levels.is_empty() {
                    next.levels.push(Vec::new());
                }
                next.levels[0].insert(0, Placed { run: Arc::new(run), generation });
            }
        })
    }
}
