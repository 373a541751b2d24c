//! The index: one writer publishes states, readers take the latest one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use agentdb_types::{Code, Error, Lsn, Result};

use crate::merge;
use crate::part::{Part, Totals};
use crate::policy;
use crate::{Analyzer, Field};

/// The number by which the caller knows an entry.
pub type Slot = u64;

/// Fields of an index, at most.
pub const FIELDS: usize = 64;

/// The full-text index of one collection: texts under slots, with the LSNs at which each was born and died.
///
/// A search at LSN *S* sees an entry if `born <= S < died`, and its scores come from the statistics of exactly the
/// entries that it sees. The caller makes *S* known to readers only after every change up to *S* has been applied here;
/// changes beyond *S* may run at the same time and stay unseen. Writers exclude each other; a search takes a lock for
/// as long as it takes to clone an `Arc`.
///
/// An entry lies in a small segment of its own at first; small segments are merged as they come, larger ones by
/// [`TextIndex::step`], which the caller runs in the background until it returns false.
pub struct TextIndex {
    pub(crate) fields: Arc<[Field]>,
    state: RwLock<Arc<State>>,
    writer: Mutex<Writer>,
    /// Held by whoever does a step, so that two never work at the same segments.
    stepping: Mutex<()>,
}

/// What readers see: the segments from the oldest to the newest.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) parts: Vec<Part>,
    /// Searches below this LSN are refused.
    pub(crate) watermark: Lsn,
}

/// Where the living entry of each slot is: the id of the part, and the number in it.
#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) places: HashMap<Slot, (u64, u32)>,
    next_id: u64,
}

impl TextIndex {
    /// An empty index of some fields.
    ///
    /// # Errors
    /// [`Code::InvalidValue`] if there is no field, more than [`FIELDS`], two of one name, or a weight that is not a
    /// positive number of at most [`crate::WEIGHT_MAX`].
    pub fn new(fields: Vec<Field>) -> Result<TextIndex> {
        Field::check(&fields)?;
        Ok(TextIndex {
            fields: fields.into(),
            state: RwLock::default(),
            writer: Mutex::default(),
            stepping: Mutex::default(),
        })
    }

    /// The fields, in the order in which texts are given.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Stores the texts of an entry, one for each field, as born at `lsn`. A living entry of the same slot dies at
    /// `lsn`: the slot is replaced. An entry without any text is an entry all the same.
    ///
    /// The LSNs of one slot must not go backwards; those of different slots may come in any order.
    ///
    /// # Errors
    /// [`Code::InvalidValue`] if there is not one text for each field, or the texts have 4 GiB or more together.
    pub fn insert(&self, slot: Slot, lsn: Lsn, texts: &[Option<&str>]) -> Result<()> {
        self.check_texts(texts)?;
        let texts: Vec<(Analyzer, Option<&str>)> =
            self.fields.iter().map(|f| f.analyzer).zip(texts.iter().copied()).collect();
        let segment = merge::single(slot, lsn, &texts);
        let mut writer = self.writer();
        let state = self.state();
        let mut parts = state.parts.clone();
        let id = writer.new_id();
        parts.push(Part::new(id, Arc::new(segment)));
        if let Some(place) = writer.places.insert(slot, (id, 0)) {
            kill(&mut parts, place, lsn);
        }
        while let Some(from) = policy::merge_now(&parts) {
            let merged = merge_parts(&parts[from..], state.watermark, writer.new_id());
            merged.move_places(&parts[from..], &mut writer.places);
            parts.truncate(from);
            parts.extend(merged.part);
        }
        self.publish(State { parts, watermark: state.watermark });
        Ok(())
    }

    /// Refuses texts that no entry can have; returns how many bytes they are.
    pub(crate) fn check_texts(&self, texts: &[Option<&str>]) -> Result<usize> {
        let invalid =
            |reason: String| Error::new(Code::InvalidValue).with("field", "texts").with("reason", reason);
        if texts.len() != self.fields.len() {
            let reason = format!("{} texts for {} fields", texts.len(), self.fields.len());
            return Err(invalid(reason));
        }
        let bytes: usize = texts.iter().flatten().map(|t| t.len()).sum();
        if bytes > policy::ENTRY_BYTES {
            return Err(invalid(format!("{bytes} bytes, the limit is {}", policy::ENTRY_BYTES)));
        }
        Ok(bytes)
    }

    /// Marks the entry of a slot as dead from `lsn` on. Returns whether there was a living one; there being none is no
    /// error, so that changes can be applied again.
    pub fn delete(&self, slot: Slot, lsn: Lsn) -> bool {
        let mut writer = self.writer();
        let Some(place) = writer.places.remove(&slot) else { return false };
        let state = self.state();
        let mut parts = state.parts.clone();
        kill(&mut parts, place, lsn);
        self.publish(State { parts, watermark: state.watermark });
        true
    }

    /// Does one piece of what is to be done in the background: merging segments, or letting dead entries go that the
    /// watermark allows to. Returns whether there was anything to do, so that there may be more.
    ///
    /// A piece is as large as the segments that it merges, 2^20 entries or 512 MiB of them at most. Searches go on
    /// meanwhile; writers wait only while the result is put in place.
    pub fn step(&self) -> bool {
        let _stepping = self.stepping();
        let state = self.state();
        match policy::merge_later(&state.parts, state.watermark) {
            Some(range) => {
                self.replace(&state.parts[range], state.watermark);
                true
            }
            None => false,
        }
    }

    /// Lets no search start below `watermark` any more. Entries that died at or before it are of no use from now on:
    /// segments that hold nothing else go at once, the others when [`TextIndex::step`] comes to merge them, which it
    /// does when an eighth of a segment can go, or with [`TextIndex::purge`]. Returns the number of entries freed now.
    /// A watermark below an earlier one changes nothing.
    pub fn compact(&self, watermark: Lsn) -> usize {
        let _writer = self.writer();
        let state = self.state();
        let watermark = watermark.max(state.watermark);
        let gone = |p: &&Part| p.dead() == p.segment.len() && p.dead_by(watermark) == p.segment.len();
        let freed = state.parts.iter().filter(gone).map(|p| p.segment.len()).sum();
        let parts = state.parts.iter().filter(|p| !gone(p)).cloned().collect();
        self.publish(State { parts, watermark });
        freed
    }

    /// Frees every entry that died at or before the watermark, and returns how many there were: what an erasure waits
    /// for. It writes each segment anew that holds one; searches go on meanwhile.
    pub fn purge(&self) -> usize {
        let _stepping = self.stepping();
        let mut freed = 0;
        loop {
            let state = self.state();
            let Some(part) = state.parts.iter().find(|p| p.dead_by(state.watermark) > 0) else {
                return freed;
            };
            freed += self.replace(std::slice::from_ref(part), state.watermark);
        }
    }

    /// The number of living entries, by the latest change.
    pub fn len(&self) -> usize {
        self.writer().places.len()
    }

    /// Whether there is no living entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of entries stored, the dead that await their end included.
    pub fn entries(&self) -> usize {
        self.state().parts.iter().map(|p| p.segment.len()).sum()
    }

    /// The number of segments.
    pub fn segments(&self) -> usize {
        self.state().parts.len()
    }

    /// The memory that the index holds, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let places = self.writer().places.capacity() * (size_of::<(Slot, (u64, u32))>() + 1);
        size_of::<Self>() + places + self.state().parts.iter().map(Part::bytes).sum::<usize>()
    }

    /// The latest state, if a search may start at an LSN.
    pub(crate) fn state_at(&self, at: Lsn) -> Result<Arc<State>> {
        let state = self.state();
        if at < state.watermark {
            return Err(Error::new(Code::TextCompacted).with("actual", at).with("earliest", state.watermark));
        }
        Ok(state)
    }

    /// Merges parts, without hindering anybody, and puts the result in their place unless a writer has merged one of
    /// them meanwhile. Returns how many entries went.
    pub(crate) fn replace(&self, sources: &[Part], watermark: Lsn) -> usize {
        let id = self.writer().new_id();
        let mut merged = merge_parts(sources, watermark, id);
        let mut writer = self.writer();
        let state = self.state();
        let Some(first) = state.parts.iter().position(|p| p.id == sources[0].id) else { return 0 };
        let current = state.parts.get(first..first + sources.len()).unwrap_or(&[]);
        if current.len() != sources.len() || current.iter().zip(sources).any(|(a, b)| a.id != b.id) {
            return 0;
        }
        merged.repeat_deaths(current);
        merged.move_places(current, &mut writer.places);
        let freed = sources.iter().map(|p| p.segment.len()).sum::<usize>() - merged.kept.len();
        let mut parts = state.parts.clone();
        parts.splice(first..first + sources.len(), merged.part);
        self.publish(State { parts, watermark: state.watermark });
        freed
    }

    // A panic under one of these locks leaves the states whole, so that poison is passed over.

    pub(crate) fn stepping(&self) -> MutexGuard<'_, ()> {
        self.stepping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn publish(&self, state: State) {
        let old = std::mem::replace(
            &mut *self.state.write().unwrap_or_else(PoisonError::into_inner),
            Arc::new(state),
        );
        // Segments are freed after the lock is.
        drop(old);
    }
}

impl State {
    /// The statistics of what is visible at a snapshot.
    pub(crate) fn totals(&self, at: Lsn, fields: usize) -> Totals {
        let mut totals = Totals { entries: 0, lengths: vec![0; fields] };
        self.parts.iter().for_each(|part| part.add_totals(at, &mut totals));
        totals
    }
}

impl Writer {
    pub(crate) fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

/// The part that takes the place of others; none if nothing of them is left.
struct Merged {
    part: Option<Part>,
    kept: Vec<(u32, u32)>,
}

fn merge_parts(sources: &[Part], watermark: Lsn, id: u64) -> Merged {
    let segments: Vec<_> = sources.iter().map(|p| &*p.segment).collect();
    let (segment, kept) = merge::merge(&segments, watermark);
    Merged { part: (segment.len() > 0).then(|| Part::new(id, Arc::new(segment))), kept }
}

impl Merged {
    /// Kills what died in the sources while they were merged.
    fn repeat_deaths(&mut self, sources: &[Part]) {
        let Some(part) = &mut self.part else { return };
        for (new, (source, doc)) in (0..).zip(&self.kept) {
            let died = sources[*source as usize].segment.died(*doc);
            if died != part.segment.died(new) {
                *part = part.kill(new, Lsn(died));
            }
        }
    }

    /// Lets the living entries of the sources be found in the new part.
    fn move_places(&self, sources: &[Part], places: &mut HashMap<Slot, (u64, u32)>) {
        let Some(part) = &self.part else { return };
        for (new, (source, doc)) in (0..).zip(&self.kept) {
            let old = (sources[*source as usize].id, *doc);
            if let Some(place) = places.get_mut(&part.segment.slots[new as usize]).filter(|p| **p == old) {
                *place = (part.id, new);
            }
        }
    }
}

pub(crate) fn kill(parts: &mut [Part], (id, doc): (u64, u32), lsn: Lsn) {
    if let Some(part) = parts.iter_mut().find(|p| p.id == id) {
        *part = part.kill(doc, lsn);
    }
}

impl fmt::Debug for TextIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextIndex").field("fields", &self.fields).field("len", &self.len()).finish()
    }
}
