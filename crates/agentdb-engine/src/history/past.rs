//! Reading the rows of a namespace as they were at an earlier LSN.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::str::FromStr;

use agentdb_types::{Code, Error, Lsn, Result, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{HistoryNoun, Retention, TABLE_AT, decode, latest_at, time_of, versioned, versions_of};
use crate::key::{Key, NamespaceId};
use crate::planted::{self, Bug};
use crate::read::{Page, Read};
use crate::{Row, Table};

/// Keys that are looked up ahead of a scan.
const AHEAD: usize = 64;
/// Versions of one key that a scan walks over before it looks for the next key.
const STEPS: usize = 8;

/// A point in the past: an LSN, or a time in RFC 3339.
///
/// At a time there is everything that was committed at it or before, and a time to live is judged by it; at an LSN there is
/// that batch and all before, and a time to live is judged by the batch's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "it is an LSN, or a time in RFC 3339 with its zone, as 2026-11-28T09:30:00Z")]
pub enum Point {
    /// After the batch of this LSN; 0 is before the first.
    Lsn(Lsn),
    /// After the last batch of this time.
    Time(Timestamp),
}

impl JsonSchema for Point {
    fn schema_name() -> Cow<'static, str> {
        "Point".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({"type": ["integer", "string"], "format": "lsn-or-date-time", "minimum": 0})
    }
}

impl FromStr for Point {
    type Err = Error;

    /// Parses digits as an LSN, anything else as a time in RFC 3339.
    fn from_str(text: &str) -> Result<Self> {
        match text.parse() {
            Ok(lsn) => Ok(Point::Lsn(Lsn(lsn))),
            Err(_) => text.parse().map(Point::Time),
        }
    }
}

impl From<Lsn> for Point {
    fn from(lsn: Lsn) -> Self {
        Point::Lsn(lsn)
    }
}

impl From<Timestamp> for Point {
    fn from(time: Timestamp) -> Self {
        Point::Time(time)
    }
}

impl Point {
    /// The LSN, and the time by which a time to live is judged. `head` is the newest LSN, `now` its reader's time; `field` is where
    /// the point was given.
    pub(crate) fn resolve(
        self,
        field: &str,
        rows: &dyn Read,
        head: Lsn,
        now: Timestamp,
    ) -> Result<(Lsn, Timestamp)> {
        let ahead = |expected: &dyn std::fmt::Display| {
            let error = Error::new(Code::PointAhead).with("field", field).with("expected", expected);
            Err(error.with("head", head).with("now", now))
        };
        let trimmed = |actual: &dyn std::fmt::Display| {
            Error::new(Code::HistoryTrimmed).with("noun", "every noun").with("actual", actual)
        };
        match self {
            Point::Lsn(lsn) if lsn > head => ahead(&lsn),
            Point::Lsn(Lsn::ZERO) => Ok((Lsn::ZERO, Timestamp::default())),
            Point::Lsn(lsn) => match time_of(rows, lsn)? {
                Some(time) => Ok((lsn, time)),
                None => Err(trimmed(&lsn).with("earliest", super::moments::earliest(rows)?)),
            },
            Point::Time(time) if time > now => ahead(&time),
            Point::Time(time) => match latest_at(rows, time, head)? {
                Some(lsn) => Ok((lsn, time)),
                None => Err(trimmed(&time).with("earliest", super::moments::earliest(rows)?)),
            },
        }
    }
}

/// An LSN to read rows at, and how far the history of each noun goes back.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    at: Lsn,
    since: Vec<(HistoryNoun, Option<Lsn>)>,
}

impl Past {
    pub(crate) fn new(rows: &dyn Read, at: Lsn) -> Result<Self> {
        let since = |&noun: &HistoryNoun| Ok((noun, Retention::load(rows, noun)?.readable_from()));
        Ok(Past { at, since: HistoryNoun::ALL.iter().map(since).collect::<Result<_>>()? })
    }

    pub(crate) fn at(&self) -> Lsn {
        self.at
    }

    /// The earliest LSN that the history of a noun goes back to.
    ///
    /// # Errors
    /// [`Code::NoHistory`] if none is kept.
    pub(crate) fn earliest(&self, noun: HistoryNoun) -> Result<Lsn> {
        let since = self.since.iter().find(|(known, _)| *known == noun).and_then(|(_, since)| *since);
        since.ok_or_else(|| Error::new(Code::NoHistory).with("noun", noun.name()))
    }

    /// Refuses rows that have no history, or whose history is not kept, or does not go back so far.
    fn check(&self, key: &Key) -> Result<()> {
        let table = Key::table_of(key.as_bytes()).and_then(Table::from_number);
        let Some(noun) = table.and_then(HistoryNoun::of) else {
            return Err(Error::new(Code::NoPast).with("operation", table.map_or("?", Table::name)));
        };
        self.reaches(noun)
    }

    /// Refuses a point to which the history of a noun does not go back.
    ///
    /// # Errors
    /// [`Code::NoHistory`], [`Code::HistoryTrimmed`].
    pub(crate) fn reaches(&self, noun: HistoryNoun) -> Result<()> {
        let earliest = self.earliest(noun)?;
        if earliest <= self.at {
            return Ok(());
        }
        Err(Error::new(Code::HistoryTrimmed)
            .with("noun", noun.name())
            .with("actual", self.at)
            .with("earliest", earliest))
    }

    /// The row as it was.
    pub(crate) fn get(&self, rows: &dyn Read, key: &Key) -> Result<Option<Row>> {
        self.check(key)?;
        match rows.get(key)? {
            Some(row) if row.lsn <= self.at => Ok(Some(row)),
            _ => self.ended(rows, key),
        }
    }

    /// The version that was there, and ended later.
    fn ended(&self, rows: &dyn Read, key: &Key) -> Result<Option<Row>> {
        let Some(versions) = versions_of(key.as_bytes()) else { return Ok(None) };
        let from = versions.clone().u64(self.at.0.saturating_add(1));
        let mut found = None;
        rows.scan(&from, versions.after_prefix().as_ref(), Page::Forward, &mut |_, row| {
            found = Some(decode(&row)?);
            Ok(false)
        })?;
        Ok(found.filter(|version| version.lsn <= self.at || planted::is(Bug::PastBeforeBirth)))
    }

    /// The rows as they were, from `from` on, below `to`.
    pub(crate) fn scan(
        &self,
        rows: &dyn Read,
        from: &Key,
        to: Option<&Key>,
        page: Page,
        visit: &mut dyn FnMut(Key, Row) -> Result<bool>,
    ) -> Result<()> {
        self.check(from)?;
        if to.is_some_and(|to| to <= from) {
            return Ok(());
        }
        let mut present = Ahead::new(rows, from.clone(), to.cloned(), page, false);
        let mut ended = Ahead::new(rows, from.clone(), to.cloned(), page, true);
        loop {
            let order = match (present.peek()?, ended.peek()?) {
                (None, None) => return Ok(()),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(a), Some(b)) if page == Page::Forward => a.cmp(b),
                (Some(a), Some(b)) => b.cmp(a),
            };
            let now = if order.is_le() { present.next() } else { None };
            let then = if order.is_ge() { ended.next() } else { None };
            let found = match (now, then) {
                (Some((key, Some(row))), _) if row.lsn <= self.at => Some((key, row)),
                (_, Some((key, _))) => self.ended(rows, &key)?.map(|row| (key, row)),
                _ => None,
            };
            if let Some((key, row)) = found
                && !visit(key, row)?
            {
                return Ok(());
            }
        }
    }
}

/// Keys of a range, read a few at a time: of rows that are there, or of rows of which versions ended.
pub(crate) struct Ahead<'a> {
    rows: &'a dyn Read,
    /// The first key that is wanted.
    first: Key,
    /// What of the rows, or of their versions, is still to be read.
    from: Key,
    to: Option<Key>,
    page: Page,
    ended: bool,
    found: VecDeque<(Key, Option<Row>)>,
    done: bool,
}

impl<'a> Ahead<'a> {
    pub(crate) fn new(rows: &'a dyn Read, from: Key, to: Option<Key>, page: Page, ended: bool) -> Self {
        let first = from.clone();
        let (from, to) = if ended { range_of_versions(&from, to.as_ref()) } else { (from, to) };
        Ahead { rows, first, from, to, page, ended, found: VecDeque::new(), done: false }
    }

    pub(crate) fn peek(&mut self) -> Result<Option<&Key>> {
        while self.found.is_empty() && !self.done {
            if self.ended { self.fill_ended()? } else { self.fill_present()? }
        }
        Ok(self.found.front().map(|(key, _)| key))
    }

    pub(crate) fn next(&mut self) -> Option<(Key, Option<Row>)> {
        self.found.pop_front()
    }

    fn fill_present(&mut self) -> Result<()> {
        let found = &mut self.found;
        self.rows.scan(&self.from, self.to.as_ref(), self.page, &mut |key, row| {
            found.push_back((key, Some(row)));
            Ok(found.len() < AHEAD)
        })?;
        let last = self.found.back().map(|(key, _)| key.clone()).filter(|_| self.found.len() == AHEAD);
        match last {
            // The first key after the last one: keys are self-delimiting, so nothing lies between.
            Some(last) if self.page == Page::Forward => self.from = last.raw(&[0]),
            Some(last) => self.to = Some(last),
            None => self.done = true,
        }
        Ok(())
    }

    /// Each key once: what lies between two versions of one key is passed over, however much it is.
    fn fill_ended(&mut self) -> Result<()> {
        let (found, first) = (&mut self.found, &self.first);
        let (mut last, mut steps, mut more) = (None, 0, false);
        self.rows.scan(&self.from, self.to.as_ref(), self.page, &mut |version, _| {
            let (key, _) = versioned(&version)?;
            if last.as_ref() == Some(&key) {
                steps += 1;
                more = steps == STEPS;
            } else if found.len() == AHEAD {
                more = true;
            } else {
                // A range that starts behind a key has the versions of that key before it.
                if key >= *first {
                    found.push_back((key.clone(), None));
                }
                (last, steps) = (Some(key), 0);
            }
            Ok(!more)
        })?;
        match last.filter(|_| more).and_then(|key| versions_of(key.as_bytes())) {
            Some(last) if self.page == Page::Backward => self.to = Some(last),
            Some(last) => match last.after_prefix() {
                Some(next) => self.from = next,
                None => self.done = true,
            },
            None => self.done = true,
        }
        // A range may have become empty.
        self.done |= self.to.as_ref().is_some_and(|to| *to <= self.from);
        Ok(())
    }
}

/// Where the versions of the rows of a range lie.
fn range_of_versions(from: &Key, to: Option<&Key>) -> (Key, Option<Key>) {
    let namespace = Key::namespace_of(from.as_bytes()).unwrap_or(NamespaceId::SYSTEM);
    let all = Key::new(namespace, Table::History);
    let within = |bound: &Key| Some(bound.as_bytes().get(TABLE_AT..)?).map(|rest| all.clone().raw(rest));
    let to = to.filter(|to| Key::namespace_of(to.as_bytes()) == Some(namespace)).and_then(within);
    (within(from).unwrap_or_else(|| all.clone()), to.or_else(|| all.after_prefix()))
}

/// The rows of a namespace as they were, for a decision.
pub(crate) struct Then<'a> {
    rows: &'a dyn Read,
    past: Past,
    now: Timestamp,
}

impl<'a> Then<'a> {
    /// `head` is the newest LSN that may be asked for.
    pub(crate) fn new(rows: &'a dyn Read, field: &str, point: Point, head: Lsn) -> Result<Self> {
        let (at, now) = point.resolve(field, rows, head, rows.now())?;
        Ok(Then { rows, past: Past::new(rows, at)?, now })
    }

    /// The LSN of the point.
    pub(crate) fn at(&self) -> Lsn {
        self.past.at()
    }
}

impl Read for Then<'_> {
    fn namespace(&self) -> NamespaceId {
        self.rows.namespace()
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn get(&self, key: &Key) -> Result<Option<Row>> {
        self.past.get(self.rows, key)
    }

    fn scan(
        &self,
        from: &Key,
        to: Option<&Key>,
        page: Page,
        visit: &mut dyn FnMut(Key, Row) -> Result<bool>,
    ) -> Result<()> {
        self.past.scan(self.rows, from, to, page, visit)
    }
}
