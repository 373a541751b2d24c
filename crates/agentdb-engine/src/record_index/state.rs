//! What an index holds: the newest state, and which records changed lately.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use agentdb_text::{Filling, TextIndex};
use agentdb_types::{Lsn, Result, Timestamp};
use roaring::RoaringBitmap;
use serde_json::Value;

use super::ids::Ids;
use super::kept::{self, Entry, Found, Kept, Picture};
use super::postings::Postings;
use super::slots::Slots;
use crate::Snapshot;
use crate::filter::index::PayloadIndex;
use crate::key::Key;
use crate::modules::collection::{Head, texts};
use crate::modules::record::Record;
use crate::planted::{self, Bug};
use crate::read::{Page, Read};
use crate::{Row, Table, row_json};

/// Changes that are remembered, at least: a snapshot that is older has an index made for it.
const REMEMBERED: usize = 4_096;

/// A change of a record that waits for the index.
pub(super) struct Change {
    pub(super) lsn: Lsn,
    pub(super) key: Vec<u8>,
    pub(super) before: Option<Arc<[u8]>>,
    pub(super) after: Option<Arc<[u8]>>,
}

/// The newest state of a collection's records. Each record that there ever was has an *ordinal*.
pub(super) struct State {
    /// The LSN from which on it can tell what was.
    pub(super) floor: Lsn,
    /// As of which batch the collection says how records are indexed.
    pub(super) since: Lsn,
    number: u64,
    pub(super) ids: Ids,
    ordinals: HashMap<Arc<str>, u32>,
    /// By ordinal: the LSN of the newest change.
    versions: Vec<Lsn>,
    pub(super) live: RoaringBitmap,
    /// To which record a vector belongs, or belonged.
    pub(super) slots: Slots,
    /// By number of the vectors' names, then by ordinal: the slot of the living vector.
    vectors: HashMap<u64, Vec<Option<u64>>>,
    /// Its sparse vectors.
    pub(super) sparse: Postings,
    /// What has a time to live, by its end.
    pub(super) expiring: BTreeSet<(Timestamp, u32)>,
    pub(super) payload: PayloadIndex,
    /// The texts, if somebody searched for words, each record under its ordinal; and their names.
    pub(super) text: Option<Arc<TextIndex>>,
    texts: Vec<String>,
    /// By ordinal, if there are texts: a digest of those of which the index has the words.
    digests: Vec<u64>,
    /// The latest changes, in the order of LSNs.
    pub(super) changes: VecDeque<(Lsn, u32)>,
    /// Records whose texts became words since that was kept on the disk, or since the index was made.
    pub(super) unkept: usize,
}

impl State {
    /// The state that a snapshot shows.
    pub(super) fn of(snapshot: &Snapshot, head: &Head, with_text: bool) -> Result<Self> {
        State::made(snapshot, head, with_text, None)
    }

    /// The same of the latest snapshot, with the words that were kept on the disk.
    pub(super) fn with_kept(snapshot: &Snapshot, head: &Head, kept: Found) -> Result<(Self, Kept)> {
        let (words, kept) = ((kept.text, kept.records), kept.kept);
        Ok((State::made(snapshot, head, true, Some(words))?, kept))
    }

    fn made(
        snapshot: &Snapshot,
        head: &Head,
        with_text: bool,
        words: Option<(TextIndex, Vec<Entry>)>,
    ) -> Result<Self> {
        let (text, records) = match words {
            Some((text, records)) => (Some(text), records),
            None if with_text => (texts::index(&head.texts)?, Vec::new()),
            None => (None, Vec::new()),
        };
        let mut state = State {
            floor: snapshot.lsn(),
            since: head.indexed_since,
            number: head.number,
            ids: Ids::default(),
            ordinals: HashMap::new(),
            versions: Vec::new(),
            live: RoaringBitmap::new(),
            slots: Slots::default(),
            vectors: HashMap::new(),
            sparse: Postings::default(),
            expiring: BTreeSet::new(),
            payload: PayloadIndex::new(head.fields.clone()),
            text: text.map(Arc::new),
            texts: head.texts.keys().cloned().collect(),
            digests: Vec::new(),
            changes: VecDeque::new(),
            unkept: 0,
        };
        // Records whose words of before are not known to be theirs any more.
        let mut stale = RoaringBitmap::new();
        for Entry { id, texts } in records {
            let ordinal = state.ordinal(&id);
            state.digests[ordinal as usize] = texts;
            if texts != kept::NO_TEXTS {
                stale.insert(ordinal);
            } else if let Some(text) = &state.text {
                text.delete(u64::from(ordinal), state.floor);
            }
        }
        let text = state.text.clone();
        let mut filling = text.as_ref().map(|text| text.filling());
        snapshot.scan_prefix(
            &snapshot.key(Table::Record).u64(head.number),
            Page::Forward,
            &mut |key, row| {
                let ordinal = state.ordinal(&record_id(key)?);
                state.versions[ordinal as usize] = row.lsn;
                let record: Record = row_json::decode(&row)?;
                if let Some(filling) = &mut filling {
                    let texts = state.texts_of(Some(&record));
                    let digest = kept::digest(&texts);
                    let known = std::mem::replace(&mut state.digests[ordinal as usize], digest);
                    if known == digest || planted::is(Bug::KeptWordsBelieved) && stale.contains(ordinal) {
                        stale.remove(ordinal);
                    } else {
                        if digest != kept::NO_TEXTS {
                            // Words of before end with that.
                            stale.remove(ordinal);
                            let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
                            filling.insert(u64::from(ordinal), state.floor, &texts)?;
                        }
                        state.unkept += 1;
                    }
                }
                state.add(ordinal, record);
                Ok(true)
            },
        )?;
        filling.into_iter().for_each(Filling::finish);
        for ordinal in stale {
            if let Some(text) = &state.text {
                text.delete(u64::from(ordinal), state.floor);
            }
            state.digests[ordinal as usize] = kept::NO_TEXTS;
            state.unkept += 1;
        }
        Ok(state)
    }

    /// Whether its words are to be kept on the disk: enough of them are new.
    pub(super) fn is_to_be_kept(&self, least: usize) -> bool {
        // Every list is written whole: as often as a part of it changes.
        const PART: usize = 4;
        self.text.is_some() && self.unkept >= least.max(self.live.len() as usize / PART)
    }

    /// What of its words is to be kept.
    pub(super) fn picture(&self) -> Option<Picture> {
        let text = self.text.clone()?;
        Some(Picture {
            segments: text.segment_ids(),
            ids: self.ids.clone(),
            texts: self.digests.clone(),
            changes: self.unkept,
            text,
        })
    }

    /// Notes that so many changes are kept, or are not to be.
    pub(super) fn note_kept(&mut self, changes: usize) {
        self.unkept -= changes;
    }

    /// Takes in a change. One that the rows showed when the index was filled changes nothing.
    pub(super) fn change(&mut self, change: &Change) -> Result<()> {
        let ordinal = self.ordinal(&record_id(Key::from_bytes(change.key.clone()))?);
        let version = &mut self.versions[ordinal as usize];
        if *version >= change.lsn {
            return Ok(());
        }
        *version = change.lsn;
        let record = |body: &Arc<[u8]>| row_json::decode(&Row { lsn: change.lsn, body: body.clone() });
        let before =
            change.before.as_ref().filter(|_| self.live.contains(ordinal)).map(record).transpose()?;
        let after = change.after.as_ref().map(record).transpose()?;
        self.change_text(ordinal, change.lsn, before.as_ref(), after.as_ref())?;
        if let Some(before) = before {
            self.take_away(ordinal, before);
        }
        if let Some(after) = after {
            self.add(ordinal, after);
        }
        self.remember(change.lsn, ordinal);
        self.unkept += 1;
        Ok(())
    }

    /// Whether it knows many more records than there are.
    pub(super) fn is_mostly_dead(&self, least: usize) -> bool {
        let (known, live) = (self.ids.len(), self.live.len() as usize);
        (known >= least && live * 2 < known) || (self.slots.len() >= least && self.slots.len() > 4 * known)
    }

    /// The slot of a record's vector among those of this number.
    pub(super) fn slot(&self, number: u64, ordinal: u32) -> Option<u64> {
        *self.vectors.get(&number)?.get(ordinal as usize)?
    }

    /// The LSN of a record's newest change.
    pub(super) fn version(&self, ordinal: u32) -> Lsn {
        self.versions[ordinal as usize]
    }

    /// The ordinal of a record.
    pub(super) fn ordinal_of(&self, record: &str) -> Option<u32> {
        self.ordinals.get(record).copied()
    }

    /// The records that were changed after an LSN.
    pub(super) fn changed_after(&self, lsn: Lsn) -> RoaringBitmap {
        let later = self.changes.iter().rev().take_while(|(at, _)| *at > lsn);
        later.map(|(_, ordinal)| *ordinal).collect()
    }

    fn remember(&mut self, lsn: Lsn, ordinal: u32) {
        self.changes.push_back((lsn, ordinal));
        if self.changes.len() > 2 * REMEMBERED {
            for (lsn, _) in self.changes.drain(..REMEMBERED) {
                self.floor = lsn;
            }
            if let Some(text) = &self.text {
                text.compact(self.floor);
            }
        }
    }

    fn ordinal(&mut self, id: &str) -> u32 {
        if let Some(ordinal) = self.ordinals.get(id) {
            return *ordinal;
        }
        let id = Arc::<str>::from(id);
        let ordinal = self.ids.push(id.clone());
        self.versions.push(Lsn::ZERO);
        if self.text.is_some() {
            self.digests.push(kept::NO_TEXTS);
        }
        self.ordinals.insert(id, ordinal);
        ordinal
    }

    /// What of a record is searched by words.
    fn texts_of(&self, record: Option<&Record>) -> Vec<Option<String>> {
        self.texts.iter().map(|name| record.and_then(|record| record.text_of(name))).collect()
    }

    /// Gives a record other texts, unless they are the same.
    fn change_text(
        &mut self,
        ordinal: u32,
        lsn: Lsn,
        before: Option<&Record>,
        after: Option<&Record>,
    ) -> Result<()> {
        let Some(index) = &self.text else { return Ok(()) };
        let (before, after) = (self.texts_of(before), self.texts_of(after));
        if before == after {
            return Ok(());
        }
        self.digests[ordinal as usize] = kept::digest(&after);
        if after.iter().all(Option::is_none) {
            index.delete(u64::from(ordinal), lsn);
            return Ok(());
        }
        let after: Vec<Option<&str>> = after.iter().map(Option::as_deref).collect();
        index.insert(u64::from(ordinal), lsn, &after)
    }

    fn add(&mut self, ordinal: u32, record: Record) {
        self.live.insert(ordinal);
        for (number, slot) in record.slots() {
            self.slots.insert(slot, ordinal);
            let slots = self.vectors.entry(number.unwrap_or(self.number)).or_default();
            if slots.len() <= ordinal as usize {
                slots.resize(ordinal as usize + 1, None);
            }
            slots[ordinal as usize] = Some(slot);
        }
        for (number, vector) in record.sparse() {
            self.sparse.insert(*number, ordinal, vector);
        }
        self.expiring.extend(record.expires().map(|at| (at, ordinal)));
        let inserted = self.payload.insert(ordinal, &Value::Object(record.into_payload()));
        debug_assert!(inserted, "a record that is there was not taken away first");
    }

    fn take_away(&mut self, ordinal: u32, record: Record) {
        self.live.remove(ordinal);
        if let Some(at) = record.expires() {
            self.expiring.remove(&(at, ordinal));
        }
        for (number, _) in record.slots() {
            if let Some(slots) = self.vectors.get_mut(&number.unwrap_or(self.number)) {
                slots[ordinal as usize] = None;
            }
        }
        for (number, vector) in record.sparse() {
            self.sparse.remove(*number, ordinal, vector);
        }
        self.payload.remove(ordinal, &Value::Object(record.into_payload()));
    }
}

/// The id of a record's key.
fn record_id(key: Key) -> Result<String> {
    let mut parts = key.components();
    parts.u64()?;
    parts.text()
}
