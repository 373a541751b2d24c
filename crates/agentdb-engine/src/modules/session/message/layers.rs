//! Layers of messages: what lets a session that was forked share messages with the one that it came from.
//!
//! A layer is the messages that lie under one number. A session writes into one layer, its own: the one of the session's
//! number, until that has to be left. A fork lies on other layers, of each up to some sequence number; a message is what
//! the uppermost layer says that has its sequence number. So a fork costs a list of layers, however many messages there are,
//! and appending to either session concerns the other one not at all.
//!
//! A message that others see is not changed where it lies. Its session leaves the layer for a new one that lies on it, and
//! writes the new version there, or that it is deleted: a row without a body, a *mask*. Layers lie on no more than
//! [`MOST`] others; a fork that would have more copies its messages.
//!
//! A layer is *left* by its session when that is cleared or deleted, or when it moves on. From then on it is there for those who
//! lie on it alone: messages that none of them sees are swept, and with the last of them the layer is.
//!
//! Rows, format version 1. MessageLayer (number): the layers that one lies on, the uppermost first, each as two little-endian
//! integers of eight bytes: its number, and up to which sequence number it is seen. MessageLayerUse (number of a layer, number of one
//! that lies on it): empty. MessageLayerUse (number, 0): the layer was left; a byte that tells whether by a session
//! that is gone, or was cleared (0), or by one that moved on (1).

use agentdb_types::{Code, Error, Lsn, Result};

use super::super::{Session, Tally};
use super::{Body, id_key, row_key, sequence_in};
use crate::history::Ahead;
use crate::key::Key;
use crate::mutation::{self, Change, Mutation};
use crate::planted::{self, Bug};
use crate::read::{Page, Read};
use crate::sweep::{self, Remains};
use crate::tx::Tx;
use crate::{Row, Table, numbers, row_json};

/// Layers that a layer may lie on.
pub(in crate::modules::session) const MOST: usize = 64;

/// In the row of a layer that was left: by a session that is gone or was cleared, or by one that moved on.
const GONE: u8 = 0;
const MOVED_ON: u8 = 1;

/// A layer that is seen up to a sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Below {
    pub(crate) number: u64,
    pub(crate) through: u64,
}

/// The layers of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layers {
    /// The layer that it writes into.
    pub(crate) own: u64,
    /// Those that this one lies on, the uppermost first; the further down, the less is seen of them.
    pub(crate) below: Vec<Below>,
}

pub(super) fn list_key(rows: &dyn Read, layer: u64) -> Key {
    rows.key(Table::MessageLayer).u64(layer)
}

pub(super) fn use_key(rows: &dyn Read, layer: u64, by: u64) -> Key {
    rows.key(Table::MessageLayerUse).u64(layer).u64(by)
}

/// The layers in a row's body.
pub(crate) fn decode(body: &[u8]) -> Result<Vec<Below>> {
    let malformed =
        || Error::new(Code::RowsCorrupt).with("reason", "a list of layers of messages is malformed");
    let (layers, rest) = body.as_chunks::<16>();
    let integer = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).map_err(|_| malformed());
    let below = layers.iter().map(|layer| {
        let (number, through) = layer.split_at(8);
        Ok(Below { number: integer(number)?, through: integer(through)? })
    });
    let below = below.collect::<Result<Vec<_>>>()?;
    let falls = below.is_sorted_by(|upper, lower| upper.through >= lower.through);
    if !rest.is_empty() || below.is_empty() || below.len() > MOST || !falls {
        return Err(malformed());
    }
    Ok(below)
}

/// The body of a row with these layers.
pub(crate) fn encode(below: &[Below]) -> Vec<u8> {
    below.iter().flat_map(|layer| [layer.number, layer.through]).flat_map(u64::to_le_bytes).collect()
}

fn load(rows: &dyn Read, layer: u64) -> Result<Vec<Below>> {
    match rows.get(&list_key(rows, layer))? {
        Some(row) => decode(&row.body),
        None => Err(Error::new(Code::RowsCorrupt).with("reason", "a layer of messages has no list")),
    }
}

/// Whether a row tells that a message is deleted which lies further down.
fn is_mask(row: &Row) -> bool {
    row.body.is_empty()
}

/// Whether a mutation tells that the session of a layer is gone, or was cleared.
pub(crate) fn is_gone(mutation: &Mutation) -> bool {
    Key::table_of(&mutation.key) == Some(Table::MessageLayerUse as u8)
        && matches!(&mutation.body, mutation::Body::Clear(Change::Put(body)) if body[..] == [GONE])
}

impl Layers {
    /// The layers of the session of this number.
    pub(crate) fn of(rows: &dyn Read, number: u64, tally: &Tally) -> Result<Self> {
        match tally.layer {
            0 => Ok(Layers { own: number, below: Vec::new() }),
            own => Ok(Layers { own, below: load(rows, own)? }),
        }
    }

    /// The row of a message.
    pub(crate) fn get(&self, rows: &dyn Read, sequence: u64) -> Result<Option<Row>> {
        let row = match rows.get(&row_key(rows, self.own, sequence))? {
            Some(row) => Some(row),
            None => self.get_below(rows, sequence)?,
        };
        Ok(row.filter(|row| !is_mask(row)))
    }

    /// What those further down say of a place.
    fn get_below(&self, rows: &dyn Read, sequence: u64) -> Result<Option<Row>> {
        for layer in self.below.iter().take_while(|layer| sequence <= layer.through) {
            if let Some(row) = rows.get(&row_key(rows, layer.number, sequence))? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Whether a message would be seen at a place if its own layer had nothing there.
    fn lies_below(&self, rows: &dyn Read, sequence: u64) -> Result<bool> {
        Ok(self.get_below(rows, sequence)?.is_some_and(|row| !is_mask(&row)))
    }

    /// The layers below the own one, if the message at a place was written there by the batch that is being decided, before the
    /// session moved on. Nobody else sees it, since what a batch has written is not shared by it: it may be changed where it lies,
    /// so that the batch has one change of it.
    fn left_now(&self, tx: &Tx<'_>, sequence: u64) -> Result<Option<Self>> {
        let Some((left, below)) = self.below.split_first() else { return Ok(None) };
        let is_new = |key: &Key| Ok(tx.get(key)?.is_some_and(|row| row.lsn == tx.lsn()));
        let was_left_now = is_new(&use_key(tx, left.number, 0))?
            && is_new(&row_key(tx, left.number, sequence))?
            && tx.get(&row_key(tx, self.own, sequence))?.is_none();
        Ok(was_left_now.then(|| Layers { own: left.number, below: below.to_vec() }))
    }

    /// The sequence number of the message of this id.
    pub(crate) fn sequence_of(&self, rows: &dyn Read, message: &str) -> Result<Option<u64>> {
        let own = Below { number: self.own, through: u64::MAX };
        for layer in std::iter::once(&own).chain(&self.below) {
            let Some(row) = rows.get(&id_key(rows, layer.number, message)?)? else { continue };
            let sequence = sequence_in(&row.body)?;
            if sequence <= layer.through && self.has(rows, sequence, message)? {
                return Ok(Some(sequence));
            }
        }
        Ok(None)
    }

    /// Whether a place that a layer has for a message is that message's: what lies further up may have deleted it, or have another
    /// one there, of an earlier session of that id which was restored.
    fn has(&self, rows: &dyn Read, sequence: u64, message: &str) -> Result<bool> {
        if self.below.is_empty() || planted::is(Bug::SharedIdBelieved) {
            return Ok(true);
        }
        let row = self.get(rows, sequence)?;
        Ok(row
            .map(|row| row_json::decode::<Body>(&row))
            .transpose()?
            .is_some_and(|body| body.message == message))
    }

    /// Calls `visit` with the messages from one sequence number to another, both included, until it returns false.
    pub(crate) fn scan(
        &self,
        rows: &dyn Read,
        (first, last): (u64, u64),
        page: Page,
        visit: &mut dyn FnMut(u64, Row) -> Result<bool>,
    ) -> Result<()> {
        if self.below.is_empty() {
            let (from, to) = range(rows, self.own, first, last);
            return rows.scan(&from, to.as_ref(), page, &mut |key, row| visit(place_of(&key)?, row));
        }
        let mut messages = self.ahead(rows, (first, last), page);
        while let Some((sequence, row)) = messages.next()? {
            if !visit(sequence, row)? {
                break;
            }
        }
        Ok(())
    }

    /// The same, one by one.
    pub(super) fn ahead<'a>(
        &self,
        rows: &'a dyn Read,
        (first, last): (u64, u64),
        page: Page,
    ) -> MessagesAhead<'a> {
        let own = Below { number: self.own, through: u64::MAX };
        let seen = std::iter::once(&own).chain(&self.below).filter(|layer| first <= layer.through);
        let layers = seen.map(|layer| {
            let (from, to) = range(rows, layer.number, first, last.min(layer.through));
            Ahead::new(rows, from, to, page, false)
        });
        MessagesAhead { layers: layers.collect(), page }
    }

    /// How many messages there are up to a sequence number.
    pub(super) fn count(&self, rows: &dyn Read, (first, last): (u64, u64)) -> Result<u64> {
        let mut count = 0;
        self.scan(rows, (first, last), Page::Forward, &mut |_, _| {
            count += 1;
            Ok(true)
        })?;
        Ok(count)
    }
}

/// The keys of the messages of a layer from one sequence number to another.
fn range(rows: &dyn Read, layer: u64, first: u64, last: u64) -> (Key, Option<Key>) {
    let to = match last.checked_add(1) {
        Some(end) => Some(row_key(rows, layer, end)),
        None => rows.key(Table::Message).u64(layer).after_prefix(),
    };
    (row_key(rows, layer, first), to)
}

/// The sequence number in the key of a message.
pub(crate) fn place_of(key: &Key) -> Result<u64> {
    let mut parts = key.components();
    parts.u64()?;
    parts.u64()
}

/// Messages of several layers, one by one.
pub(super) struct MessagesAhead<'a> {
    /// The uppermost first.
    layers: Vec<Ahead<'a>>,
    page: Page,
}

impl MessagesAhead<'_> {
    pub(super) fn next(&mut self) -> Result<Option<(u64, Row)>> {
        loop {
            let mut next = None;
            for layer in &mut self.layers {
                let Some(sequence) = layer.peek()?.map(place_of).transpose()? else { continue };
                next = Some(match (next, self.page) {
                    (None, _) => sequence,
                    (Some(next), Page::Forward) => sequence.min(next),
                    (Some(next), Page::Backward) => sequence.max(next),
                });
            }
            let Some(sequence) = next else { return Ok(None) };
            let mut uppermost = None;
            for layer in &mut self.layers {
                if layer.peek()?.map(place_of).transpose()? == Some(sequence) {
                    let row = layer.next().and_then(|(_, row)| row);
                    uppermost = uppermost.or(row);
                }
            }
            if let Some(row) = uppermost.filter(|row| !is_mask(row)) {
                return Ok(Some((sequence, row)));
            }
        }
    }
}

/// The layers of a session, of which the message at a place is about to change: never those that somebody else sees.
pub(super) fn to_edit(tx: &mut Tx<'_>, found: &mut Session, sequence: u64) -> Result<Layers> {
    let layers = found.layers(tx)?;
    found.tally.edited = tx.lsn();
    if let Some(left) = layers.left_now(tx, sequence)? {
        return Ok(left);
    }
    if sequence > found.tally.shared || planted::is(Bug::SharedMessageChanged) {
        return Ok(layers);
    }
    found.tally.shared = 0;
    if !is_used(tx, layers.own)? {
        return Ok(layers);
    }
    let own = tx.add(tx.counter("sessions"), 1)?.unsigned_abs();
    let mut below = vec![Below { number: layers.own, through: found.tally.sequence }];
    below.extend(&layers.below);
    lie_on(tx, own, &below)?;
    leave(tx, layers.own, MOVED_ON)?;
    found.tally.layer = own;
    Ok(Layers { own, below })
}

/// Writes the list of a layer.
fn lie_on(tx: &mut Tx<'_>, layer: u64, below: &[Below]) -> Result<()> {
    tx.put_bookkeeping(list_key(tx, layer), encode(below))?;
    below.iter().try_for_each(|lower| tx.put_bookkeeping(use_key(tx, lower.number, layer), Vec::new()))
}

/// Whether another layer lies on this one.
fn is_used(rows: &dyn Read, layer: u64) -> Result<bool> {
    let first = use_key(rows, layer, 1);
    let mut used = false;
    rows.scan(
        &first,
        rows.key(Table::MessageLayerUse).u64(layer).after_prefix().as_ref(),
        Page::Forward,
        &mut |_, _| {
            used = true;
            Ok(false)
        },
    )?;
    Ok(used)
}

/// Whether the session of a layer has left it.
fn was_left(rows: &dyn Read, layer: u64) -> Result<bool> {
    rows.get(&use_key(rows, layer, 0)).map(|row| row.is_some())
}

/// Lets a layer go that its session writes into no more.
fn leave(tx: &mut Tx<'_>, layer: u64, why: u8) -> Result<()> {
    let below = tx.get(&list_key(tx, layer))?.map_or_else(|| Ok(Vec::new()), |row| decode(&row.body))?;
    if !below.is_empty() {
        tx.delete_bookkeeping(list_key(tx, layer))?;
    }
    for lower in &below {
        tx.delete_bookkeeping(use_key(tx, lower.number, layer))?;
    }
    tx.put_bookkeeping(use_key(tx, layer, 0), vec![why])?;
    if why == MOVED_ON {
        // The session still sees everything.
        return Ok(());
    }
    for lower in &below {
        // What the same batch wrote there before the session moved on is gone with it, for all that a feed can tell.
        let left = tx.get(&use_key(tx, lower.number, 0))?;
        if left.is_some_and(|left| left.lsn == tx.lsn()) {
            tx.put_bookkeeping(use_key(tx, lower.number, 0), vec![GONE])?;
        }
        tidy(tx, lower.number)?;
    }
    tidy(tx, layer)
}

/// Has the sweeper look at a layer that was left: for what nobody sees any more.
fn tidy(tx: &mut Tx<'_>, layer: u64) -> Result<()> {
    if !was_left(tx, layer)? {
        return Ok(());
    }
    if is_used(tx, layer)? && !planted::is(Bug::UsedLayerSwept) {
        return sweep::discard_unnamed(tx, Remains::Unseen, layer);
    }
    // A feed learns from this row that what the batch wrote there is gone; it goes with the layer.
    sweep::discard_unnamed(tx, Remains::Messages, layer)
}

impl Session {
    /// Its layers.
    pub(in crate::modules::session) fn layers(&self, rows: &dyn Read) -> Result<Layers> {
        Layers::of(rows, self.head.number, &self.tally)
    }

    /// The layer that it writes into.
    pub(super) fn own_layer(&self) -> u64 {
        if self.tally.layer == 0 { self.head.number } else { self.tally.layer }
    }

    /// Whether it shares messages with another session, or may do so.
    fn shares(&self) -> bool {
        self.tally.layer != 0 || self.tally.shared != 0
    }

    /// Takes the number of a session out of use, with all its messages.
    pub(in crate::modules::session) fn discard(&self, tx: &mut Tx<'_>, session: &str) -> Result<()> {
        let number = self.head.number;
        if !self.shares() {
            return sweep::discard(tx, Remains::Session, number, session);
        }
        numbers::release(tx, Remains::Session, number, session)?;
        Tally::remove(tx, number)?;
        leave(tx, self.own_layer(), GONE)
    }

    /// Has a new session start with the messages of this one up to a sequence number, without a copy; tells how many they are. `None` if
    /// they must be copied: something of them was written by the same batch, or changed since `at`, or lies on too many layers.
    pub(in crate::modules::session) fn share(
        &mut self,
        tx: &mut Tx<'_>,
        new: &mut Session,
        through: u64,
        at: Lsn,
    ) -> Result<Option<u64>> {
        let through = through.min(self.tally.sequence);
        if self.tally.edited > at || self.tally.edited == tx.lsn() {
            return Ok(None);
        }
        let layers = self.layers(tx)?;
        let mut last = None;
        let (from, to) = range(tx, layers.own, 0, through);
        tx.scan(&from, to.as_ref(), Page::Backward, &mut |_, row| {
            last = Some(row.lsn);
            Ok(false)
        })?;
        if last == Some(tx.lsn()) {
            return Ok(None);
        }
        let own = last.map(|_| Below { number: layers.own, through });
        let lower = layers.below.iter().map(|layer| Below { through: layer.through.min(through), ..*layer });
        let below: Vec<_> = own.into_iter().chain(lower).collect();
        if below.len() > MOST {
            return Ok(None);
        }
        let count = self.count(tx, &layers, through)?;
        if count == 0 {
            return Ok(Some(0));
        }
        lie_on(tx, new.head.number, &below)?;
        new.tally.layer = new.head.number;
        if last.is_some() && through > self.tally.shared {
            self.tally.shared = through;
            self.tally.store(tx, self.head.number)?;
        }
        Ok(Some(count))
    }

    /// How many messages there are up to a sequence number. They are counted on the shorter side, unless none was ever deleted.
    fn count(&self, tx: &Tx<'_>, layers: &Layers, through: u64) -> Result<u64> {
        let Tally { sequence, messages, .. } = self.tally;
        if through >= sequence || messages == sequence {
            return Ok(messages.min(through));
        }
        if through <= sequence / 2 {
            return layers.count(tx, (0, through));
        }
        let behind = layers.count(tx, (through + 1, u64::MAX))?;
        messages.checked_sub(behind).ok_or_else(|| {
            Error::new(Code::RowsCorrupt).with("reason", "a session has more messages than it counts")
        })
    }
}

/// Deletes the message of a place from these layers.
pub(super) fn delete(tx: &mut Tx<'_>, layers: &Layers, sequence: u64, message: &str) -> Result<()> {
    let key = row_key(tx, layers.own, sequence);
    let id = id_key(tx, layers.own, message)?;
    if tx.get(&id)?.map(|row| sequence_in(&row.body)).transpose()? == Some(sequence) {
        tx.delete_bookkeeping(id)?;
    }
    if !layers.lies_below(tx, sequence)? || planted::is(Bug::SharedMessageComesBack) {
        return tx.delete(key);
    }
    tx.put_bookkeeping(key, Vec::new())?;
    hidden(tx, layers, sequence)
}

/// Has the sweeper look whether anybody still sees what lies further down at a place.
pub(super) fn hidden(tx: &mut Tx<'_>, layers: &Layers, sequence: u64) -> Result<()> {
    for layer in layers.below.iter().filter(|layer| sequence <= layer.through) {
        if tx.get(&row_key(tx, layer.number, sequence))?.is_some() && was_left(tx, layer.number)? {
            let note = tx.key(Table::Garbage).u64(Remains::Unseen as u64).u64(layer.number).u64(sequence);
            tx.put_bookkeeping(note, Vec::new())?;
        }
    }
    Ok(())
}

/// Who lies on a layer, each with the layers between the two, the uppermost first, and how far it sees.
struct Viewers {
    layer: u64,
    /// Whether the layer's own session is there, which sees everything.
    owned: bool,
    others: Vec<(Vec<u64>, u64)>,
}

impl Viewers {
    fn load(rows: &dyn Read, layer: u64) -> Result<Self> {
        let mut viewers = Viewers { layer, owned: !was_left(rows, layer)?, others: Vec::new() };
        if viewers.owned {
            return Ok(viewers);
        }
        let mut users = Vec::new();
        rows.scan_prefix(&rows.key(Table::MessageLayerUse).u64(layer), Page::Forward, &mut |key, _| {
            users.push(place_of(&key)?);
            Ok(true)
        })?;
        for user in users.into_iter().filter(|user| *user != 0) {
            let below = load(rows, user)?;
            let place = below.iter().position(|lower| lower.number == layer).ok_or_else(|| {
                Error::new(Code::RowsCorrupt).with("reason", "the use of a layer of messages is in no list")
            })?;
            let above = below[..place].iter().map(|upper| upper.number);
            viewers.others.push((std::iter::once(user).chain(above).collect(), below[place].through));
        }
        // Who sees most is asked first.
        viewers.others.sort_by_key(|(above, through)| (std::cmp::Reverse(*through), above.len()));
        Ok(viewers)
    }

    /// Whether any of them sees what the layer has at a place.
    fn see(&self, rows: &dyn Read, sequence: u64) -> Result<bool> {
        if self.owned {
            return Ok(true);
        }
        'viewers: for (above, through) in &self.others {
            if sequence > *through {
                break;
            }
            for upper in above {
                if rows.get(&row_key(rows, *upper, sequence))?.is_some() {
                    continue 'viewers;
                }
            }
            return Ok(true);
        }
        Ok(false)
    }
}

/// Keys of rows of a layer that nobody sees, from one place to another, up to about `room` in all; where to go on if there may be
/// more.
pub(crate) fn unseen(
    rows: &dyn Read,
    layer: u64,
    (first, last): (u64, u64),
    room: usize,
    keys: &mut Vec<Vec<u8>>,
) -> Result<Option<u64>> {
    let viewers = Viewers::load(rows, layer)?;
    let mut next = None;
    if viewers.owned {
        return Ok(next);
    }
    let (from, to) = range(rows, viewers.layer, first, last);
    rows.scan(&from, to.as_ref(), Page::Forward, &mut |key, row| {
        let sequence = place_of(&key)?;
        if keys.len() >= room {
            next = Some(sequence);
            return Ok(false);
        }
        if viewers.see(rows, sequence)? {
            return Ok(true);
        }
        if !is_mask(&row) {
            let id = id_key(rows, layer, &row_json::decode::<Body>(&row)?.message)?;
            if rows.get(&id)?.map(|row| sequence_in(&row.body)).transpose()? == Some(sequence) {
                keys.push(id.into_bytes());
            }
        }
        keys.push(key.into_bytes());
        Ok(true)
    })?;
    Ok(next)
}
