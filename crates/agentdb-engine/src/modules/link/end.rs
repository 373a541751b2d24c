//! The records at the ends of links, from their names and from their nodes.

use std::collections::BTreeMap;
use std::rc::Rc;

use agentdb_types::{Id, Result};
use serde_json::Value;

use super::node::{self, Place};
use crate::filter::{Fields, Filter};
use crate::key::Key;
use crate::modules::{collection, record};
use crate::read::Read;
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{Table, numbers, row_json};

/// An end of a link by its names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) collection: &'a str,
    pub(super) record: &'a str,
    /// The field that the record's id was given in.
    field: &'static str,
}

/// A record that is there.
pub(super) struct Found<'a> {
    named: Named<'a>,
    number: u64,
    pub(super) key: Key,
}

impl<'a> Named<'a> {
    pub(super) fn from(collection: &'a str, record: &'a str) -> Self {
        Named { collection, record, field: "record" }
    }

    pub(super) fn to(collection: &'a str, record: &'a str) -> Self {
        Named { collection, record, field: "to" }
    }

    /// The number of the collection, and the key that the record has there, if it is there.
    fn locate(&self, rows: &dyn Read) -> Result<(u64, Key)> {
        Id::check(self.field, self.record)?;
        let number = collection::find(rows, self.collection)?.number;
        Ok((number, record::key(rows, number, self.record)?))
    }

    /// The record.
    ///
    /// # Errors
    /// [`Code::CollectionNotFound`](agentdb_types::Code::CollectionNotFound),
    /// [`Code::RecordNotFound`](agentdb_types::Code::RecordNotFound).
    pub(super) fn find(self, rows: &dyn Read) -> Result<Found<'a>> {
        let (number, key) = self.locate(rows)?;
        match record::find(rows, &key)? {
            Some(_) => Ok(Found { named: self, number, key }),
            None => Err(record::not_found(self.collection, self.record)),
        }
    }

    /// The record, if it and its collection are there.
    pub(super) fn find_if_there(self, rows: &dyn Read) -> Result<Option<Found<'a>>> {
        collection::key(rows, self.collection)?;
        match self.find(rows) {
            Ok(found) => Ok(Some(found)),
            Err(err) if err.kind() == agentdb_types::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Where the record and its node are, if it is there and has one.
    ///
    /// # Errors
    /// [`Code::CollectionNotFound`](agentdb_types::Code::CollectionNotFound).
    pub(super) fn linked(self, rows: &dyn Read) -> Result<Option<Place>> {
        let (_, key) = self.locate(rows)?;
        match record::find(rows, &key)? {
            Some(_) => node::of(rows, &key)?.map(|node| Place::of(&key, node)).transpose(),
            None => Ok(None),
        }
    }
}

impl Found<'_> {
    pub(super) fn place(&self, node: u64) -> Place {
        Place { collection: self.number, record: self.named.record.to_owned(), node }
    }
}

/// Tells in the log what the numbers in the key of a link stand for: the node at its start, and both collections.
pub(super) fn tell(tx: &mut Tx<'_>, from: (&str, &Place), to: (&str, &Place)) {
    for (collection, place) in [from, to] {
        numbers::tell(tx, Remains::Collection, place.collection, collection);
    }
    let Place { collection, record, node } = from.1;
    tx.name(Table::Node, &[*node, *collection], record);
}

/// The record of a node.
pub(super) struct End {
    pub(super) collection: Rc<str>,
    pub(super) payload: Value,
    known: Rc<Known>,
}

/// A collection that was met, and the filters as its fields have them.
struct Known {
    name: Rc<str>,
    filters: Vec<Option<Filter>>,
}

impl End {
    /// Whether the record matches the filter of this place in the list.
    pub(super) fn matches(&self, filter: usize) -> bool {
        let filter = self.known.filters.get(filter).and_then(Option::as_ref);
        filter.is_none_or(|filter| filter.matches(&self.payload))
    }
}

/// Finds records of nodes.
pub(super) struct Records<'a> {
    rows: &'a dyn Read,
    filters: Vec<Option<&'a Value>>,
    /// By number; none if the number is out of use.
    collections: BTreeMap<u64, Option<Rc<Known>>>,
}

impl<'a> Records<'a> {
    /// With filters, which must be well-formed whatever is met.
    pub(super) fn new(rows: &'a dyn Read, filters: &[Option<&'a Value>]) -> Result<Self> {
        for filter in filters.iter().flatten() {
            Filter::parse_typed(filter, &Fields::default())?;
        }
        Ok(Records { rows, filters: filters.to_vec(), collections: BTreeMap::new() })
    }

    /// The record of a node, if it is there and has it still.
    pub(super) fn at(&mut self, place: &Place) -> Result<Option<End>> {
        let Some(known) = self.collection(place.collection)? else { return Ok(None) };
        let key = record::key(self.rows, place.collection, &place.record)?;
        if node::of(self.rows, &key)? != Some(place.node) {
            return Ok(None);
        }
        let Some((_, found)) = record::find(self.rows, &key)? else { return Ok(None) };
        let payload = Value::Object(found.into_payload());
        Ok(Some(End { collection: known.name.clone(), payload, known }))
    }

    /// The name of a collection, if its number is in use.
    pub(super) fn name(&mut self, number: u64) -> Result<Option<Rc<str>>> {
        Ok(self.collection(number)?.map(|known| known.name.clone()))
    }

    fn collection(&mut self, number: u64) -> Result<Option<Rc<Known>>> {
        if let Some(known) = self.collections.get(&number) {
            return Ok(known.clone());
        }
        let known = self.load(number)?.map(Rc::new);
        self.collections.insert(number, known.clone());
        Ok(known)
    }

    fn load(&self, number: u64) -> Result<Option<Known>> {
        let Some(name) = numbers::name_of(self.rows, Remains::Collection, number)? else { return Ok(None) };
        let head = self.rows.get(&self.rows.key(Table::Collection).text(&name))?;
        let head: collection::Head = match head {
            Some(row) => row_json::decode(&row)?,
            None => return Err(super::corrupt("a number has the name of no collection")),
        };
        let parse = |json: &Value| Filter::parse_typed(json, &head.fields);
        let filters = self.filters.iter().map(|json| json.map(parse).transpose());
        Ok(Some(Known { name: name.into(), filters: filters.collect::<Result<_>>()? }))
    }
}
