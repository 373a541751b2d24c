//! A transaction: the context in which the sequencer decides one batch. It reads the latest state, in-flight batches
//! and its own changes included, and collects changes; a refusal drops them all.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use agentdb_types::{Code, Error, Id, Lsn, Result, Timestamp, limits};

use crate::forks::Aside;
use crate::history::{HistoryNoun, Retention};
use crate::key::{Key, NamespaceId};
use crate::modules::checkpoint::RecentContents;
use crate::mutation::{Change, Mutation, Names, Seal};
use crate::read::{Present, Read};
use crate::rows::{Direction, Reader, Row};
use crate::{Page, Table};

/// What a transaction asks of the engine.
pub(crate) trait Host {
    /// Random bytes, for ids.
    fn random(&self, out: &mut [u8]);

    /// Contents of channels that were stored lately.
    fn recent(&self) -> &RecentContents;
}

/// The context of a decision.
pub struct Tx<'a> {
    rows: &'a Reader,
    host: &'a dyn Host,
    namespace: NamespaceId,
    lsn: Lsn,
    now: Timestamp,
    writes: BTreeMap<Vec<u8>, Write>,
    names: Names,
    /// Rows that count towards the limit of a batch.
    counted: usize,
    bytes: usize,
    wrote: bool,
    /// Whether what ends leaves no history.
    forgets: bool,
    /// The row that was looked at last: what a decision reads, it mostly writes next.
    looked_at: RefCell<Option<(Key, Option<Row>)>>,
    /// What was decoded last, unless it was written since.
    decoded: RefCell<Option<(Key, Rc<dyn Any>)>>,
}

#[derive(Clone)]
struct Write {
    /// The row before the batch, if it was looked at.
    before: Option<Option<Row>>,
    /// The row after; `None` is deleted.
    after: Option<Arc<[u8]>>,
    /// The sum of the additions, if the row changed by nothing else.
    added: Option<i64>,
    /// Whether the body may be sealed with the subject's key.
    content: bool,
}

/// What a row that is written is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What the write is about: it counts as a row of the batch, and is sealed with the subject's key.
    Content,
    /// What a retry of the batch is answered: sealed, and not counted.
    Outcome,
    /// The engine's own: neither.
    Bookkeeping,
}

/// A row after a batch: its key, and its body unless it is gone.
pub(crate) type ChangedRow = (Vec<u8>, Option<Arc<[u8]>>);

/// What a decided batch does: for the log, and for the rows.
pub(crate) struct Decided {
    pub(crate) names: Names,
    pub(crate) mutations: Vec<Mutation>,
    pub(crate) rows: Vec<ChangedRow>,
    /// What rows were that are kept, each by its place among `rows`.
    pub(crate) ended: Vec<(usize, Row)>,
    /// Whether anything was written, be it taken back by the same batch: its answers then name the batch's LSN.
    pub(crate) wrote: bool,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(
        rows: &'a Reader,
        host: &'a dyn Host,
        namespace: NamespaceId,
        lsn: Lsn,
        now: Timestamp,
    ) -> Self {
        Tx {
            rows,
            host,
            namespace,
            lsn,
            now,
            writes: BTreeMap::new(),
            names: Names::default(),
            counted: 0,
            bytes: 0,
            wrote: false,
            forgets: false,
            looked_at: RefCell::default(),
            decoded: RefCell::default(),
        }
    }

    /// The LSN that the batch gets: the version of every row that it writes.
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// A fresh id: a UUID version 7 of log time, which sorts behind those of earlier batches.
    pub fn new_id(&self) -> Id {
        let mut random = [0u8; 10];
        self.host.random(&mut random);
        Id::ordered(self.now.micros().unsigned_abs(), self.lsn.0, random)
    }

    pub(crate) fn recent(&self) -> &RecentContents {
        self.host.recent()
    }

    /// What `decode` makes of a row; `None` if there is none. Asked for once more, it is not made again, until the batch writes
    /// the row or asks for another one.
    ///
    /// # Errors
    /// Those of [`Read::get`] and of `decode`.
    pub(crate) fn decoded<T: 'static>(
        &self,
        key: &Key,
        decode: impl FnOnce(&Row) -> Result<T>,
    ) -> Result<Option<Rc<T>>> {
        if let Some((known, decoded)) = &*self.decoded.borrow()
            && known == key
            && let Ok(decoded) = decoded.clone().downcast()
        {
            return Ok(Some(decoded));
        }
        let Some(row) = self.get(key)? else { return Ok(None) };
        let decoded = Rc::new(decode(&row)?);
        self.decoded.replace(Some((key.clone(), decoded.clone())));
        Ok(Some(decoded))
    }

    /// Puts a row that holds content: sealed in the log if the write names a subject.
    ///
    /// # Errors
    /// [`Code::BatchTooLarge`].
    pub fn put(&mut self, key: Key, body: Vec<u8>) -> Result<()> {
        self.write(key, Some(body.into()), Kind::Content)
    }

    /// Puts what a retry of the batch will be answered: content, which does not count as a row of the batch.
    ///
    /// # Errors
    /// [`Code::BatchTooLarge`] for its bytes.
    pub(crate) fn put_outcome(&mut self, key: Key, body: Vec<u8>) -> Result<()> {
        self.write(key, Some(body.into()), Kind::Outcome)
    }

    /// Puts a row of the engine's own bookkeeping, which an erasure leaves in place. It does not count as a row of the batch.
    ///
    /// # Errors
    /// [`Code::BatchTooLarge`].
    pub fn put_bookkeeping(&mut self, key: Key, body: Vec<u8>) -> Result<()> {
        self.write(key, Some(body.into()), Kind::Bookkeeping)
    }

    /// Deletes a row; no error if there is none.
    ///
    /// # Errors
    /// [`Code::BatchTooLarge`].
    pub fn delete(&mut self, key: Key) -> Result<()> {
        self.write(key, None, Kind::Content)
    }

    /// Deletes a row of the engine's own bookkeeping, or one that is deleted for no caller. It does not count as a row of the
    /// batch.
    ///
    /// # Errors
    /// [`Code::BatchTooLarge`].
    pub fn delete_bookkeeping(&mut self, key: Key) -> Result<()> {
        self.write(key, None, Kind::Bookkeeping)
    }

    /// Tells in the log what numbers in the keys of a table stand for.
    pub(crate) fn name(&mut self, table: Table, numbers: &[u64], name: &str) {
        self.names.insert(table, numbers, name);
    }

    /// Puts a row with content under a key that no row ever had, because a number in it was just allotted: nobody looks for one.
    ///
    /// # Errors
    /// [`Code::BatchTooLarge`].
    pub(crate) fn put_new(&mut self, key: Key, body: Vec<u8>) -> Result<()> {
        debug_assert!(
            self.rows.get(key.as_bytes()).is_ok_and(|row| row.is_none()),
            "the number was used before"
        );
        self.looked_at.replace(Some((key.clone(), None)));
        self.put(key, body)
    }

    /// Adds to a counter, which starts at zero, and returns its value.
    ///
    /// # Errors
    /// [`Code::BatchTooLarge`]; [`Code::RowsCorrupt`] if the row is no counter.
    pub fn add(&mut self, key: Key, by: i64) -> Result<i64> {
        let value = |after: &Option<Arc<[u8]>>| {
            let bytes = after.as_deref().and_then(|after| after.try_into().ok());
            bytes.map_or(0, i64::from_le_bytes)
        };
        // Mostly it was added to before, and bytes of the batch are counted once.
        if let Some(write) = self.writes.get_mut(key.as_bytes())
            && let Some(sum) = write.added
        {
            write.after = Change::Add(by).apply(write.after.as_deref())?;
            write.added = sum.checked_add(by);
            return Ok(value(&write.after));
        }
        let written = self.writes.contains_key(key.as_bytes());
        let before = self.get(&key)?;
        let after = Change::Add(by).apply(before.as_ref().map(|row| &row.body[..]))?;
        let value = value(&after);
        self.write(key.clone(), after, Kind::Bookkeeping)?;
        if !written && let Some(write) = self.writes.get_mut(key.as_bytes()) {
            write.added = Some(by);
        }
        Ok(value)
    }

    /// Says that nothing of what the batch ends is kept: the namespace itself goes.
    pub(crate) fn forget(&mut self) {
        self.forgets = true;
    }

    fn write(&mut self, key: Key, after: Option<Arc<[u8]>>, kind: Kind) -> Result<()> {
        self.bytes += key.as_bytes().len() + after.as_ref().map_or(0, |body| body.len());
        self.wrote |= after.is_some();
        let content = kind != Kind::Bookkeeping;
        if self.decoded.get_mut().as_ref().is_some_and(|(decoded, _)| *decoded == key) {
            self.decoded.take();
        }
        match self.writes.get_mut(key.as_bytes()) {
            Some(write) => {
                write.after = after;
                write.added = None;
                write.content = content;
            }
            None => {
                let looked_at = self.looked_at.take().filter(|(looked_at, _)| *looked_at == key);
                let before = looked_at.map(|(_, row)| row);
                let write = Write { before, after, added: None, content };
                self.counted += usize::from(kind == Kind::Content);
                self.writes.insert(key.into_bytes(), write);
            }
        }
        let over = |actual: usize, unit: &str, limit: usize| {
            Err(Error::new(Code::BatchTooLarge)
                .with("actual", actual)
                .with("unit", unit)
                .with("limit", limit))
        };
        if self.counted > limits::BATCH_MUTATIONS {
            return over(self.counted, "mutations", limits::BATCH_MUTATIONS);
        }
        if self.bytes > limits::BATCH_BYTES {
            return over(self.bytes, "bytes", limits::BATCH_BYTES);
        }
        Ok(())
    }

    /// The rows without what this batch does to them: what ends with it is not history yet.
    pub(crate) fn before(&self) -> Present<'_> {
        self.before_in(self.namespace)
    }

    /// The same of another namespace.
    pub(crate) fn before_in(&self, namespace: NamespaceId) -> Present<'_> {
        Present { rows: self.rows, namespace, now: self.now }
    }

    /// Ends the decision: the changes in the order of their keys, those that change nothing left out. What forks under way
    /// have not copied yet is put aside for them.
    pub(crate) fn finish(self, subject: Option<&str>, seal: &dyn Seal, mut aside: Aside) -> Result<Decided> {
        let (names, wrote) = (self.names, self.wrote);
        let mut decided =
            Decided { names, mutations: Vec::new(), rows: Vec::new(), ended: Vec::new(), wrote };
        let mut keeping = Keeping { namespace: self.namespace, rows: self.rows, known: Vec::new() };
        if self.forgets {
            keeping.known = HistoryNoun::ALL.map(|noun| (noun, false)).to_vec();
        }
        for (key, write) in self.writes {
            let before = match write.before {
                Some(before) => before,
                None => self.rows.get(&key)?,
            };
            let change = match (&before, &write.after, write.added) {
                (None, None, _) => continue,
                (_, None, _) => Change::Delete,
                (_, Some(_), Some(by)) => Change::Add(by),
                (Some(before), Some(after), None) => Change::between(&before.body, after.clone()),
                (None, Some(after), None) => Change::Put(after.clone()),
            };
            aside.change(&key, before.as_ref(), &mut decided)?;
            let subject = subject.filter(|_| write.content);
            let mut mutation = Mutation::new(key.clone(), change, subject, seal)?;
            if let Some(before) = before
                && keeping.of(&key)?
            {
                mutation.keeps = true;
                decided.ended.push((decided.rows.len(), before));
            }
            decided.mutations.push(mutation);
            decided.rows.push((key, write.after));
        }
        aside.finish(self.rows, &mut decided)?;
        Ok(decided)
    }
}

/// Which nouns of a namespace keep versions that end, looked up once a batch. A change of that counts from the next batch
/// on.
struct Keeping<'a> {
    namespace: NamespaceId,
    rows: &'a Reader,
    known: Vec<(HistoryNoun, bool)>,
}

impl Keeping<'_> {
    fn of(&mut self, key: &[u8]) -> Result<bool> {
        let table = Key::table_of(key).and_then(Table::from_number);
        let Some(noun) = table.and_then(HistoryNoun::of) else { return Ok(false) };
        if let Some((_, keeps)) = self.known.iter().find(|(known, _)| *known == noun) {
            return Ok(*keeps);
        }
        let row = self.rows.get(Retention::key(self.namespace, noun).as_bytes())?;
        let keeps = Retention::decode(noun, row.as_ref())?.keeps();
        self.known.push((noun, keeps));
        Ok(keeps)
    }
}

impl Read for Tx<'_> {
    fn namespace(&self) -> NamespaceId {
        self.namespace
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn get(&self, key: &Key) -> Result<Option<Row>> {
        match self.writes.get(key.as_bytes()) {
            Some(write) => Ok(write.after.clone().map(|body| Row { lsn: self.lsn, body })),
            None => {
                let row = self.rows.get(key.as_bytes())?;
                self.looked_at.replace(Some((key.clone(), row.clone())));
                Ok(row)
            }
        }
    }

    fn scan(
        &self,
        from: &Key,
        to: Option<&Key>,
        page: Page,
        visit: &mut dyn FnMut(Key, Row) -> Result<bool>,
    ) -> Result<()> {
        // The batch's own writes are merged in as the newest source.
        let to_bytes = to.map(Key::as_bytes);
        let end = to.map_or(std::ops::Bound::Unbounded, |t| std::ops::Bound::Excluded(t.as_bytes().to_vec()));
        if to.is_some_and(|t| t <= from) {
            return Ok(());
        }
        let own = self.writes.range((std::ops::Bound::Included(from.as_bytes().to_vec()), end));
        let own = own.map(|(key, write)| Ok((key.clone(), self.lsn, write.after.clone())));
        let direction = page.direction();
        let own: crate::rows::Source<'_> = match direction {
            Direction::Forward => Box::new(own),
            Direction::Backward => Box::new(own.rev()),
        };
        let rows = self.rows.scan(from.as_bytes(), to_bytes, direction);
        let rows = rows.map(|r| r.map(|(key, row)| (key, row.lsn, Some(row.body))));
        for entry in crate::rows::RowIter::new(vec![own, Box::new(rows)], direction) {
            let (key, row) = entry?;
            if !visit(Key::from_bytes(key), row)? {
                break;
            }
        }
        Ok(())
    }
}

impl Tx<'_> {
    /// The key of a counter of this namespace.
    pub fn counter(&self, name: &str) -> Key {
        Key::new(self.namespace, Table::Counter).text(name)
    }
}
