//! The record view: for each collection that was filtered or searched since opening, what its records' payloads hold, and to
//! which record a vector belongs, in memory.
//!
//! The sequencer hands over what it applies and waits for nothing; who reads takes that in first, and so does a thread in
//! the background. An index shows its newest state. A reader of an earlier LSN asks which records changed since, and looks
//! at those in the rows: mostly none. Below the index's *floor* too many changes are forgotten, and an index is made
//! of the rows for the one read.
//!
//! What takes longest to make, the words of texts, is [`kept`] on the disk for the next opening.

mod at;
mod ids;
mod kept;
#[cfg(test)]
mod kept_tests;
mod postings;
mod slots;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard, TryLockError};

use agentdb_text::TextIndex;
use agentdb_types::{Lsn, Result};
use roaring::RoaringBitmap;

pub(crate) use at::{At, BySparse, Found, How};
#[cfg(any(test, feature = "decoders"))]
pub(crate) use kept::List as KeptList;
use kept::{Kept, Place};
use state::{Change, State};

use crate::engine::Core;
use crate::filter::Filter;
use crate::filter::index::PayloadIndex;
use crate::key::Key;
use crate::modules::collection::Head;
use crate::read::Read;
use crate::sweep::Remains;
use crate::vectors::CollectionId;
use crate::{NamespaceId, Snapshot, Table, numbers};

/// Changes that may wait for an index: who hands over one more takes some of them in.
const WAITING: usize = 16_384;
/// Changes that are taken in while readers wait.
const PIECE: usize = 256;

/// The record indexes of a database.
#[derive(Default)]
pub(crate) struct RecordIndexes {
    /// In an order of its own, so that the one that is worked on first does not depend on chance.
    indexes: Mutex<BTreeMap<CollectionId, Arc<RecordIndex>>>,
    count: AtomicUsize,
    /// Whether words may be kept of collections that are no more.
    tidied: AtomicBool,
}

/// The index of one collection.
pub(crate) struct RecordIndex {
    /// As of which batch the collection says how records are indexed.
    since: Lsn,
    with_text: bool,
    waiting: Mutex<Vec<Change>>,
    /// Which files hold its words; locked by whoever fills the index, and in the background.
    kept: Mutex<Kept>,
    /// `None` until it is filled, which is done by whoever registered it, holding the lock.
    state: RwLock<Option<State>>,
}

/// The collection that the row of this key is a record of.
fn collection_of(key: &[u8]) -> Option<CollectionId> {
    if Key::table_of(key)? != Table::Record as u8 {
        return None;
    }
    let namespace = Key::namespace_of(key)?;
    Some((namespace, Key::from_bytes(key.to_vec()).components().u64().ok()?))
}

impl RecordIndexes {
    /// Takes over a change that the sequencer has applied to the rows; in the order of LSNs, before it is published.
    pub(crate) fn apply(&self, core: &Core, key: &[u8], lsn: Lsn, body: Option<&Arc<[u8]>>) -> Result<()> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        let Some(collection) = collection_of(key) else { return Ok(()) };
        let Some(index) = self.known(collection) else { return Ok(()) };
        let before = core.rows.latest().at_most(Lsn(lsn.0 - 1)).get(key)?.map(|row| row.body);
        let mut waiting = index.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(Change { lsn, key: key.to_vec(), before, after: body.cloned() });
        let (first, full) = (waiting.len() == 1, waiting.len() >= WAITING);
        drop(waiting);
        if first {
            core.indexer.set();
        }
        if full { index.take_in_if_free(PIECE, lsn) } else { Ok(()) }
    }

    /// Answers from the index of a collection, which is made if there is none; of a snapshot of the past, from one made of its
    /// rows.
    pub(crate) fn read<R>(
        &self,
        snapshot: &Snapshot,
        head: &Head,
        with_text: bool,
        answer: &mut dyn FnMut(&At<'_>) -> Result<R>,
    ) -> Result<R> {
        if let Some(answered) = self.read_if_it_reaches_back(snapshot, head, with_text, answer)? {
            return Ok(answered);
        }
        let state = State::of(snapshot, head, with_text)?;
        answer(&At::made(&state, snapshot, head.number))
    }

    /// The same; nothing if an index would have to be made of the rows of a snapshot of the past.
    pub(crate) fn read_if_it_reaches_back<R>(
        &self,
        snapshot: &Snapshot,
        head: &Head,
        with_text: bool,
        answer: &mut dyn FnMut(&At<'_>) -> Result<R>,
    ) -> Result<Option<R>> {
        if snapshot.shows_past() {
            return Ok(None);
        }
        let index = self.index(snapshot, head, with_text)?;
        index.take_in(usize::MAX, snapshot.lsn())?;
        let state = index.state.read().unwrap_or_else(PoisonError::into_inner);
        let fits = |state: &&State| state.floor <= snapshot.lsn() && state.since == head.indexed_since;
        state.as_ref().filter(fits).map(|state| answer(&At::new(state, snapshot, head.number))).transpose()
    }

    /// Answers from the payloads as the snapshot shows them, and the records that match.
    pub(crate) fn read_payloads<R>(
        &self,
        snapshot: &Snapshot,
        head: &Head,
        filter: Option<&Filter>,
        answer: &mut dyn FnMut(&PayloadIndex, &RoaringBitmap) -> Result<R>,
    ) -> Result<R> {
        let mut answered = None;
        self.read(snapshot, head, false, &mut |at| {
            if at.is_current() {
                answered = Some(answer(at.payloads(), &at.matching(filter)?)?);
            }
            Ok(())
        })?;
        if let Some(answered) = answered {
            return Ok(answered);
        }
        // Records were changed since: what the index tells of them is not what was.
        let state = State::of(snapshot, head, false)?;
        let at = At::new(&state, snapshot, head.number);
        answer(at.payloads(), &at.matching(filter)?)
    }

    fn known(&self, collection: CollectionId) -> Option<Arc<RecordIndex>> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner).get(&collection).cloned()
    }

    /// The index of a collection: the first caller fills it, others wait.
    fn index(&self, snapshot: &Snapshot, head: &Head, with_text: bool) -> Result<Arc<RecordIndex>> {
        let collection = (snapshot.namespace(), head.number);
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) =
            indexes.get(&collection).filter(|i| i.since >= head.indexed_since && (i.with_text || !with_text))
        {
            return Ok(index.clone());
        }
        let index = Arc::new(RecordIndex {
            since: head.indexed_since,
            with_text,
            waiting: Mutex::default(),
            kept: Mutex::default(),
            state: RwLock::new(None),
        });
        let mut state = index.state.write().unwrap_or_else(PoisonError::into_inner);
        indexes.insert(collection, index.clone());
        self.count.store(indexes.len(), Ordering::Release);
        drop(indexes);
        // What is applied from here on waits for the index, whether or not the rows show it already.
        match index.fill(&snapshot.latest(), head, collection) {
            Ok(filled) => *state = Some(filled),
            Err(err) => {
                drop(state);
                self.forget(collection);
                return Err(err);
            }
        }
        drop(state);
        // Words that were made of many texts are to be kept.
        snapshot.core.indexer.set();
        Ok(index)
    }

    /// Drops what has no collection any more: the number that was discarded, or all of a namespace.
    pub(crate) fn discard(&self, (namespace, number): (NamespaceId, Option<u64>)) {
        self.tidied.store(false, Ordering::Release);
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        indexes.retain(|(of, n), _| *of != namespace || number.is_some_and(|number| number != *n));
        self.count.store(indexes.len(), Ordering::Release);
    }

    /// Drops the index of a collection.
    pub(crate) fn forget(&self, collection: CollectionId) {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        indexes.remove(&collection);
        self.count.store(indexes.len(), Ordering::Release);
    }

    /// Bytes that payloads take, about.
    pub(crate) fn bytes(&self) -> usize {
        let indexes: Vec<Arc<RecordIndex>> = {
            let indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
            indexes.values().cloned().collect()
        };
        let bytes = |index: &Arc<RecordIndex>| {
            let state = index.state.read().unwrap_or_else(PoisonError::into_inner);
            let text = |state: &State| state.text.as_ref().map_or(0, |text| text.memory_bytes());
            state.as_ref().map_or(0, |state| state.payload.bytes() + state.sparse.bytes() + text(state))
        };
        indexes.iter().map(bytes).sum()
    }

    /// Takes in a piece of what waits, or keeps words on the disk; returns whether there was anything to do. Drops one index that is mostly of records that
    /// are gone: the next reader makes it anew.
    pub(crate) fn step(&self, core: &Core) -> Result<bool> {
        let (visible, least) = (core.rows.visible(), core.options.compact_entries);
        self.tidy(core)?;
        let indexes: Vec<(CollectionId, Arc<RecordIndex>)> = {
            let indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
            indexes.iter().map(|(id, index)| (*id, index.clone())).collect()
        };
        for (collection, index) in indexes {
            if index.take_in(PIECE, visible)? {
                return Ok(true);
            }
            if index.text().is_some_and(|text| text.step()) {
                return Ok(true);
            }
            if index.is_mostly_dead(least) {
                // What is kept is mostly dead, too.
                index.clear_kept(core, collection);
                self.forget(collection);
                return Ok(true);
            }
            if index.keep(core, collection) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl RecordIndexes {
    /// Keeps the words of every collection of which enough are new: what a short process made is of use to the next one.
    pub(crate) fn keep(&self, core: &Core) {
        let indexes: Vec<(CollectionId, Arc<RecordIndex>)> = {
            let indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
            indexes.iter().map(|(id, index)| (*id, index.clone())).collect()
        };
        for (collection, index) in indexes {
            index.keep(core, collection);
        }
    }

    /// Removes the words of collections that are no more, once after opening and after one was discarded.
    fn tidy(&self, core: &Core) -> Result<()> {
        if core.check_lock().is_err() || self.tidied.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        // Files that cannot be listed or removed are nothing but in the way.
        for (namespace, number) in kept::collections(&core.env, &core.dir).unwrap_or_default() {
            let namespace = NamespaceId(namespace);
            let deleted = core.check_alive(namespace, core.rows.visible()).is_err();
            if deleted || !numbers::is_used(&core.rows.latest(), namespace, Remains::Collection, number)? {
                let _ = Place::of(&core.env, &core.dir, (namespace, number)).clear();
            }
        }
        Ok(())
    }
}

impl RecordIndex {
    /// The state of a collection, with the words that are kept of it.
    fn fill(&self, latest: &Snapshot, head: &Head, collection: CollectionId) -> Result<State> {
        let core = &latest.core;
        let place = Place::of(&core.env, &core.dir, collection);
        let Some(found) = self.with_text.then(|| place.find(head, latest.lsn())).flatten() else {
            return State::of(latest, head, self.with_text);
        };
        let (state, kept) = State::with_kept(latest, head, found)?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(state)
    }

    /// Keeps its words on the disk, if enough of them are new; returns whether it did. Nobody waits for it but who keeps them,
    /// and what cannot be written now is written with the changes that follow.
    fn keep(&self, core: &Core, collection: CollectionId) -> bool {
        if core.check_lock().is_err() {
            return false;
        }
        let least = core.options.compact_entries;
        let state = || self.state.read().unwrap_or_else(PoisonError::into_inner);
        let is_due = |state: &Option<State>| state.as_ref().is_some_and(|s| s.is_to_be_kept(least));
        if !is_due(&state()) {
            return false;
        }
        // Few segments are to be kept.
        if let Some(text) = self.text() {
            text.seal();
        }
        // All of one moment, which may be a later one than the first look.
        let picture = Some(state()).filter(|state| is_due(state)).and_then(|state| state.as_ref()?.picture());
        let Some(picture) = picture else { return false };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match Place::of(&core.env, &core.dir, collection).keep(&picture, &kept) {
            // One of the segments was merged meanwhile.
            Ok(None) => return false,
            Ok(Some(now)) => {
                *kept = now;
                true
            }
            Err(_) => {
                // Which of the files are whole is not known.
                *kept = Kept::default();
                false
            }
        };
        if let Some(state) = &mut *self.state.write().unwrap_or_else(PoisonError::into_inner) {
            state.note_kept(picture.changes);
        }
        written
    }

    fn clear_kept(&self, core: &Core, collection: CollectionId) {
        if core.check_lock().is_err() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Kept::default();
        // A list that stays is read once more, and is as good as before.
        let _ = Place::of(&core.env, &core.dir, collection).clear();
    }

    /// The same, unless somebody reads or fills the index: the sequencer waits for nobody.
    fn take_in_if_free(&self, most: usize, up_to: Lsn) -> Result<()> {
        match self.state.try_write() {
            Ok(state) => self.take_in_with(state, most, up_to).map(drop),
            Err(TryLockError::Poisoned(state)) => {
                self.take_in_with(state.into_inner(), most, up_to).map(drop)
            }
            Err(TryLockError::WouldBlock) => Ok(()),
        }
    }

    /// Takes in up to so many of the changes that wait, up to an LSN; returns whether there were any.
    fn take_in(&self, most: usize, up_to: Lsn) -> Result<bool> {
        let first = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).first().map(|c| c.lsn);
        if first.is_none_or(|lsn| lsn > up_to) {
            return Ok(false);
        }
        self.take_in_with(self.state.write().unwrap_or_else(PoisonError::into_inner), most, up_to)
    }

    fn take_in_with(
        &self,
        mut state: RwLockWriteGuard<'_, Option<State>>,
        most: usize,
        up_to: Lsn,
    ) -> Result<bool> {
        // Taken under the lock of the state: whoever comes next finds them taken in.
        let changes: Vec<Change> = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let count = waiting.iter().take(most).take_while(|c| c.lsn <= up_to).count();
            waiting.drain(..count).collect()
        };
        let Some(state) = state.as_mut() else { return Ok(!changes.is_empty()) };
        for change in &changes {
            state.change(change)?;
        }
        Ok(!changes.is_empty())
    }

    fn text(&self) -> Option<Arc<TextIndex>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).as_ref()?.text.clone()
    }

    fn is_mostly_dead(&self, least: usize) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.as_ref().is_some_and(|state| state.is_mostly_dead(least))
    }
}
