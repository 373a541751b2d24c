//! Records of a bulk load: as [`Put`](super::Put) stores them, with what they share decided once a segment.

use agentdb_types::{Code, Duration, Error, Id, Result, Timestamp};

use super::vector::{Given, check_named, store};
use super::{Place, Record, decode, key, replace, sparse};
use crate::modules::collection::{self, Head, schema};
use crate::modules::load::{Counts, IfExists, Row};
use crate::read::Read;
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{numbers, row_json, sweep};

/// A segment that is being decided: the collection, and what changes of it with the records.
pub(crate) struct Loading<'a> {
    collection: &'a str,
    head: Head,
    /// Whether the head is another one by now.
    changed: bool,
    existing: IfExists,
    expires: Option<Timestamp>,
    /// The last slot that a vector has.
    slot: u64,
    slots: i64,
    counts: Counts,
}

impl<'a> Loading<'a> {
    /// Begins.
    ///
    /// # Errors
    /// [`Code::CollectionNotFound`], [`Code::TtlOutOfRange`].
    pub(crate) fn new(
        tx: &mut Tx<'_>,
        collection: &'a str,
        existing: IfExists,
        ttl_us: Option<Duration>,
    ) -> Result<Self> {
        let head = collection::find(tx, collection)?;
        let expires = ttl_us.map(|ttl| tx.now().after(ttl)).transpose()?;
        let slot = collection::counted(tx, &collection::slots_counter(tx, head.number))?;
        let (changed, slots, counts) = (false, 0, Counts::default());
        Ok(Loading { collection, head, changed, existing, expires, slot, slots, counts })
    }

    /// The collection's number.
    pub(crate) fn number(&self) -> u64 {
        self.head.number
    }

    /// Stores the record of a row, or leaves the one that is there.
    ///
    /// # Errors
    /// Those of `record.put`; [`Code::RecordExists`].
    pub(crate) fn put(&mut self, tx: &mut Tx<'_>, row: &Row) -> Result<()> {
        let (id, number) = (self.id(tx, row)?, self.head.number);
        let key = key(tx, number, &id)?;
        let stored = tx.get(&key)?;
        let before = stored.as_ref().map(|row| decode(row, tx.now())).transpose()?.flatten();
        match (&before, self.existing) {
            (Some(_), IfExists::Skip) => {
                self.counts.skipped += 1;
                return Ok(());
            }
            (Some(_), IfExists::Refuse) => {
                return Err(Error::new(Code::RecordExists)
                    .with("collection", self.collection)
                    .with("record", id));
            }
            _ => {}
        }
        let encoded = row.encoded.as_ref();
        let given = Given { vector: row.vector.as_deref(), text: row.text.as_deref(), encoded };
        let vector = given.vector_for(&self.head)?;
        let named = || row.vectors.iter().map(|(name, vector)| (name, &vector[..]));
        check_named(&self.head, self.collection, named().map(|(name, vector)| (name, Some(vector))))?;
        let sparse = sparse::of(&self.head, self.collection, &row.sparse)?;
        if let Some(fields) = schema::learn(&self.head.fields, self.head.undeclared, &row.payload)? {
            (self.head.fields, self.changed) = (fields, true);
        }
        if stored.is_some() {
            replace(tx, number, key.clone())?;
        }
        let slot = match vector {
            Some(vector) => {
                let slot = self.new_slot();
                store(tx, number, slot, &id, vector)?;
                Some(slot)
            }
            None => None,
        };
        let mut places = std::collections::BTreeMap::new();
        for (name, vector) in named() {
            let Some(space) = self.head.vectors.get(name).map(|space| space.number) else { continue };
            let slot = self.new_slot();
            store(tx, space, slot, &id, (vector, String::new()))?;
            places.insert(name.clone(), Place(space, slot));
        }
        if let Some(expires) = self.expires {
            sweep::schedule(tx, expires, &key)?;
            self.changed |= !self.head.expiring;
            self.head.expiring = true;
        }
        let record = Record {
            created: before.as_ref().map_or(tx.now(), |(_, before)| before.created),
            updated: tx.now(),
            expires: self.expires,
            slot,
            named: places,
            sparse,
            text: None,
            payload: serde_json::Map::new(),
        };
        match before {
            Some(_) => self.counts.replaced += 1,
            None => self.counts.created += 1,
        }
        tx.put(key, record.encode_with(&row.content)?)
    }

    fn id(&self, tx: &Tx<'_>, row: &Row) -> Result<String> {
        match &row.record {
            Some(id) => {
                Id::check("record", id)?;
                Ok(id.clone())
            }
            None => Ok(tx.new_id().into()),
        }
    }

    fn new_slot(&mut self) -> u64 {
        self.slots += 1;
        self.slot += 1;
        self.slot
    }

    /// Ends: what the collection tells of its records.
    ///
    /// # Errors
    /// [`Code::BatchTooLarge`].
    pub(crate) fn finish(self, tx: &mut Tx<'_>) -> Result<Counts> {
        let (number, stored) = (self.head.number, self.counts.created + self.counts.replaced);
        if stored > 0 {
            numbers::tell(tx, Remains::Collection, number, self.collection);
            tx.add(collection::records_counter(tx, number), stored as i64)?;
        }
        if self.slots > 0 {
            tx.add(collection::slots_counter(tx, number), self.slots)?;
        }
        if self.changed {
            tx.put_bookkeeping(collection::key(tx, self.collection)?, row_json::encode(&self.head)?)?;
        }
        Ok(self.counts)
    }
}
