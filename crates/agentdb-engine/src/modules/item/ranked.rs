//! Items by nearness to a vector.
//!
//! A path mostly holds few of the items there are: those are compared one by one. Where they are many, or everything is
//! searched, the index of all vectors is asked, and what it finds is looked at.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use agentdb_types::{Code, Error, Result};
use agentdb_vector::Hit;

use super::find;
use super::get::Entry;
use super::index::Settings;
use super::path::{items_at, start};
use super::row::{Head, Item, live_head};
use super::search::matching;
use super::vector_key;
use crate::filter::Filter;
use crate::key::Key;
use crate::read::{Page, Read};
use crate::vectors::{Query, VectorRow, Vectors};
use crate::{Row, Snapshot};

/// Rows under a path that are looked at one by one.
pub(super) const FEW: usize = 1_000;

/// A search: what is searched for, and among which items.
pub(super) struct Ranked<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) settings: &'a Settings,
    pub(super) path: &'a [String],
    pub(super) filter: Option<&'a Filter>,
    pub(super) vector: &'a [f32],
}

/// An item that was found, and how near its best vector is.
type Scored = (Key, f32);

/// The items under a path that match.
#[derive(Default)]
struct Candidates {
    /// The items that have vectors, by slot.
    by_slot: HashMap<u64, Key>,
    slots: Vec<u64>,
    unscored: Vec<Key>,
}

impl Ranked<'_> {
    /// The items of one page.
    pub(super) fn page(&self, offset: usize, limit: usize) -> Result<Vec<Entry>> {
        let end = offset.saturating_add(limit);
        let (scored, unscored) = match self.few()? {
            Some(candidates) => {
                let scored = self.among(&candidates)?;
                let passed = offset.saturating_sub(scored.len());
                let unscored = candidates.unscored.into_iter().skip(passed);
                let rest = end.saturating_sub(scored.len().max(offset));
                (scored, unscored.take(rest).collect())
            }
            None => {
                let scored = self.indexed(end)?;
                let rest = end.saturating_sub(scored.len().max(offset));
                let unscored = self.unscored(offset.saturating_sub(scored.len()), rest)?;
                (scored, unscored)
            }
        };
        let scored = scored.into_iter().skip(offset).take(limit).map(|(key, score)| (key, Some(score)));
        let unscored = unscored.into_iter().map(|key| (key, None));
        scored.chain(unscored).map(|(key, score)| self.entry(&key, score)).collect()
    }

    fn entry(&self, key: &Key, score: Option<f32>) -> Result<Entry> {
        let gone = || Error::new(Code::RowsCorrupt).with("reason", "an item that was found is not there");
        Entry::new(key, find(self.snapshot, key)?.ok_or_else(gone)?, score)
    }

    fn query<'a>(&'a self, limit: usize, filter: Option<&'a dyn Fn(u64) -> bool>) -> Query<'a> {
        let Settings { number, dimension, metric, .. } = *self.settings;
        let collection = (self.snapshot.namespace(), number);
        Query { collection, dimension, metric, vector: self.vector, limit, filter }
    }

    /// What matches under the path, unless everything is searched or there is much under it.
    fn few(&self) -> Result<Option<Candidates>> {
        if self.path.is_empty() {
            return Ok(None);
        }
        let (mut candidates, mut rows) = (Candidates::default(), 0);
        self.snapshot.scan_prefix(&start(self.snapshot, self.path), Page::Forward, &mut |key, row| {
            rows += 1;
            match self.matching(&key, &row)? {
                Some(head) if head.is_in(self.settings.number) => {
                    candidates.by_slot.extend(head.slots.iter().map(|slot| (*slot, key.clone())));
                    candidates.slots.extend(head.slots);
                }
                Some(_) => candidates.unscored.push(key),
                None => {}
            }
            Ok(rows <= FEW)
        })?;
        Ok((rows <= FEW).then_some(candidates))
    }

    /// The candidates that have vectors, best first.
    fn among(&self, candidates: &Candidates) -> Result<Vec<Scored>> {
        let query = self.query(candidates.slots.len(), None);
        let hits = Vectors::among(&query, candidates.slots.iter().copied(), &self.snapshot.rows)?;
        best_of_each(hits, |slot| Ok(candidates.by_slot.get(&slot).cloned()))
    }

    /// The first items of all that have vectors and match, best first.
    fn indexed(&self, most: usize) -> Result<Vec<Scored>> {
        // The search asks about a slot and takes yes or no: an error is kept until it ends. It asks anew if it is repeated.
        let failed = RefCell::new(None);
        let known = RefCell::new(HashMap::new());
        let passes = |slot: u64| {
            if let Some(&passes) = known.borrow().get(&slot) {
                return passes;
            }
            let passes = self.passes(slot).unwrap_or_else(|err| {
                failed.borrow_mut().get_or_insert(err);
                false
            });
            known.borrow_mut().insert(slot, passes);
            passes
        };
        let mut asked = most;
        loop {
            let core = &self.snapshot.core;
            let query = self.query(asked, Some(&passes));
            let hits = core.vectors.search(&query, &self.snapshot.rows, &|| core.rows.latest())?;
            if let Some(err) = failed.take() {
                return Err(err);
            }
            let all = hits.len() < asked;
            let mut scored = best_of_each(hits, |slot| self.item_at(slot))?;
            // An item with several vectors takes several hits: then more are asked for.
            if all || scored.len() >= most {
                scored.truncate(most);
                return Ok(scored);
            }
            asked = asked.saturating_mul(2);
        }
    }

    /// The item that a slot belongs to.
    fn item_at(&self, slot: u64) -> Result<Option<Key>> {
        let row = self.snapshot.get(&vector_key(self.snapshot, self.settings.number, slot))?;
        let Some(row) = row else { return Ok(None) };
        let malformed = || Error::new(Code::RowsCorrupt).with("reason", "a vector names no item");
        let record = VectorRow::decode(&row.body)?.record;
        let mut place: Vec<String> = serde_json::from_str(&record).map_err(|_| malformed())?;
        let key = place.pop().ok_or_else(malformed)?;
        Ok(Some(items_at(self.snapshot, &place).text(&key)))
    }

    fn passes(&self, slot: u64) -> Result<bool> {
        let Some(key) = self.item_at(slot)? else { return Ok(false) };
        if !key.as_bytes().starts_with(start(self.snapshot, self.path).as_bytes()) {
            return Ok(false);
        }
        match self.snapshot.get(&key)? {
            Some(row) => Ok(self.matching(&key, &row)?.is_some()),
            None => Ok(false),
        }
    }

    /// What a row holds beside the value, if the item is there and matches. Without a filter no value is read.
    fn matching(&self, key: &Key, row: &Row) -> Result<Option<Head>> {
        if self.filter.is_none() {
            return live_head(self.snapshot, key, row);
        }
        let item = Item::read(self.snapshot, key, row)?;
        Ok(item.and_then(|item| matching(self.filter, item)).map(|item| item.head))
    }

    /// Some of the items under the path that match and have no vectors, by path and key.
    fn unscored(&self, mut passed: usize, most: usize) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        if most == 0 {
            return Ok(keys);
        }
        self.snapshot.scan_prefix(&start(self.snapshot, self.path), Page::Forward, &mut |key, row| {
            if self.matching(&key, &row)?.is_some_and(|head| !head.is_in(self.settings.number)) {
                match passed {
                    0 => keys.push(key),
                    _ => passed -= 1,
                }
            }
            Ok(keys.len() < most)
        })?;
        Ok(keys)
    }
}

/// The items of hits, each at the place of its best one.
fn best_of_each(hits: Vec<Hit>, item: impl Fn(u64) -> Result<Option<Key>>) -> Result<Vec<Scored>> {
    let (mut seen, mut scored) = (HashSet::new(), Vec::new());
    for hit in hits {
        if let Some(key) = item(hit.slot)?
            && seen.insert(key.clone())
        {
            scored.push((key, hit.score));
        }
    }
    Ok(scored)
}
