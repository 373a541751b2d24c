//! What the log holds: an entry for each committed batch, made of resolved mutations. Format version 1.
//!
//! An entry is a sequence of fields, each `varint (number << 1 | critical)` and length-prefixed bytes, numbers ascending;
//! only field 8 repeats. A reader that does not know a critical field refuses, others it keeps and writes back.
//!
//! | field | critical | content |
//! | --- | --- | --- |
//! | 1 | no | operation: the names of the operations that were decided, joined by `,` |
//! | 2 | no | principal: who asked |
//! | 3 | yes | subject: whose key seals the bodies |
//! | 4 | no | names: what numbers in the keys stand for. Length-prefixed number (table, then integers of eight bytes) and length-prefixed name, ascending numbers |
//! | 8 | yes | a mutation: length-prefixed key (namespace, table, components), kind byte, body |
//!
//! The kind byte is 1 put, 2 delete, 3 add, 4 splice (an append is a splice at the end); its bit 7 tells that the body is sealed,
//! bit 6 that the version which ends is kept as history. Mutations are in the order of their keys, each key once. The version
//! that a mutation gives its row is the LSN of its entry.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentdb_types::{Code, Error, Lsn, Result};

use crate::Table;
use crate::codec::{Reader, bytes_len, put_bytes, put_varint, varint_len};
use crate::common;

const OPERATION: u64 = 1;
const PRINCIPAL: u64 = 2;
const SUBJECT: u64 = 3;
const NAMES: u64 = 4;
const MUTATION: u64 = 8;
const SEALED: u8 = 0x80;
const KEEPS: u8 = 0x40;

/// A change of one row, decided: applying it needs the row before and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The row becomes these bytes.
    Put(Arc<[u8]>),
    /// The row goes.
    Delete,
    /// The row, an `i64` (absent is 0), grows by this.
    Add(i64),
    /// Pieces of the row's bytes are replaced: ascending, apart from each other.
    Splice(Vec<Edit>),
}

/// In the bytes before the change, `remove` bytes at `at` give way to `insert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) at: u64,
    pub(crate) remove: u64,
    pub(crate) insert: Vec<u8>,
}

impl Change {
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Change::Put(_) => 1,
            Change::Delete => 2,
            Change::Add(_) => 3,
            Change::Splice(_) => 4,
        }
    }

    pub(crate) fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Change::Put(bytes) => out.extend_from_slice(bytes),
            Change::Delete => {}
            Change::Add(by) => out.extend_from_slice(&by.to_le_bytes()),
            Change::Splice(edits) => {
                for edit in edits {
                    put_varint(out, edit.at);
                    put_varint(out, edit.remove);
                    put_bytes(out, &edit.insert);
                }
            }
        }
    }

    /// Bytes that [`Change::encode_body`] appends.
    fn body_len(&self) -> usize {
        match self {
            Change::Put(bytes) => bytes.len(),
            Change::Delete => 0,
            Change::Add(_) => 8,
            Change::Splice(edits) => {
                let edit = |e: &Edit| varint_len(e.at) + varint_len(e.remove) + bytes_len(e.insert.len());
                edits.iter().map(edit).sum()
            }
        }
    }

    pub(crate) fn decode_body(kind: u8, body: &[u8]) -> Option<Change> {
        match kind {
            1 => Some(Change::Put(body.into())),
            2 => body.is_empty().then_some(Change::Delete),
            3 => Some(Change::Add(i64::from_le_bytes(body.try_into().ok()?))),
            4 => {
                let mut reader = Reader(body);
                let mut edits = Vec::new();
                while !reader.is_empty() {
                    let (at, remove) = (reader.varint()?, reader.varint()?);
                    edits.push(Edit { at, remove, insert: reader.bytes()?.to_vec() });
                }
                Some(Change::Splice(edits))
            }
            _ => None,
        }
    }

    /// The row after the change. `Ok(None)` is no row.
    pub(crate) fn apply(&self, before: Option<&[u8]>) -> Result<Option<Arc<[u8]>>> {
        Ok(match self {
            Change::Put(bytes) => Some(bytes.clone()),
            Change::Delete => None,
            Change::Add(by) => {
                let value = match before {
                    Some(bytes) => i64::from_le_bytes(bytes.try_into().map_err(|_| unappliable())?),
                    None => 0,
                };
                Some(Arc::new(value.checked_add(*by).ok_or_else(unappliable)?.to_le_bytes()))
            }
            Change::Splice(edits) => {
                Some(splice(before.unwrap_or_default(), edits).ok_or_else(unappliable)?.into())
            }
        })
    }

    /// The change from `before` to `after` that takes few bytes in the log: a splice where rows are long and differ
    /// little, else a put.
    pub(crate) fn between(before: &[u8], after: Arc<[u8]>) -> Change {
        // Below this size the bookkeeping costs what it saves.
        const WORTHWHILE: usize = 128;
        // Rows start with times and versions, which change with everything: they are compared apart from the rest.
        const HEAD: usize = 32;
        if before.len().min(after.len()) < WORTHWHILE {
            return Change::Put(after);
        }
        let (old_head, old_rest) = before.split_at(HEAD);
        let (new_head, new_rest) = after.split_at(HEAD);
        let edits: Vec<Edit> = [edit(old_head, new_head, 0), edit(old_rest, new_rest, HEAD as u64)]
            .into_iter()
            .flatten()
            .collect();
        let cost: usize = edits.iter().map(|e| e.insert.len()).sum();
        if cost * 2 > after.len() { Change::Put(after) } else { Change::Splice(edits) }
    }
}

/// The edit from `old` to `new`, which both start at `offset`: what lies between their common start and common end.
fn edit(old: &[u8], new: &[u8], offset: u64) -> Option<Edit> {
    let start = common::at_start(old, new);
    let end = common::at_end(&old[start..], &new[start..]);
    let (remove, insert) = (old.len() - end - start, &new[start..new.len() - end]);
    let at = offset + start as u64;
    (remove > 0 || !insert.is_empty()).then(|| Edit { at, remove: remove as u64, insert: insert.to_vec() })
}

/// The bytes after the edits; `None` if they do not fit or do not ascend.
fn splice(before: &[u8], edits: &[Edit]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(before.len());
    let mut from = 0;
    for edit in edits {
        let at = usize::try_from(edit.at).ok()?;
        out.extend_from_slice(before.get(from..at)?);
        out.extend_from_slice(&edit.insert);
        from = at.checked_add(usize::try_from(edit.remove).ok()?)?;
    }
    out.extend_from_slice(before.get(from..)?);
    Some(out)
}

/// The name of a kind of change, for readers of the log.
pub(crate) fn kind_name(kind: u8) -> &'static str {
    ["unknown", "put", "delete", "add", "splice"].get(usize::from(kind)).copied().unwrap_or("unknown")
}

fn unappliable() -> Error {
    Error::new(Code::RowsCorrupt).with("reason", "a mutation of the log does not fit the row that it changes")
}

/// A mutation as stored: the body may be sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mutation {
    pub(crate) key: Vec<u8>,
    pub(crate) body: Body,
    /// Whether the row before, if there is one, is put aside as a version that ended.
    pub(crate) keeps: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Clear(Change),
    /// Kind and sealed bytes.
    Sealed(u8, Vec<u8>),
}

/// Seals and opens bodies with a subject's key.
pub(crate) trait Seal {
    /// Seals `body`; `context` must be the same when it is opened.
    fn seal(&self, subject: &str, context: &[u8], body: &[u8]) -> Result<Vec<u8>>;

    /// Opens a body; `None` if the subject's key was destroyed by an erasure.
    fn open(&self, subject: &str, context: &[u8], sealed: &[u8]) -> Result<Option<Vec<u8>>>;
}

impl Mutation {
    /// The change; a sealed body whose key was destroyed is a tombstone: the row goes.
    pub(crate) fn change(&self, subject: Option<&str>, seal: &dyn Seal) -> Result<Change> {
        match (&self.body, subject) {
            (Body::Clear(change), _) => Ok(change.clone()),
            (Body::Sealed(kind, sealed), Some(subject)) => {
                match seal.open(subject, &seal_context(&self.key, *kind), sealed)? {
                    Some(body) => Change::decode_body(*kind, &body).ok_or_else(|| malformed("a sealed body")),
                    None => Ok(Change::Delete),
                }
            }
            (Body::Sealed(..), None) => Err(malformed("a sealed body without a subject")),
        }
    }
}

fn seal_context(key: &[u8], kind: u8) -> Vec<u8> {
    [key, &[kind]].concat()
}

/// What numbers in keys stand for: a table with integers, as bytes, to a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(BTreeMap<Vec<u8>, String>);

impl Names {
    fn key(table: Table, numbers: &[u64]) -> Vec<u8> {
        let numbers = numbers.iter().flat_map(|number| number.to_be_bytes());
        std::iter::once(table as u8).chain(numbers).collect()
    }

    pub(crate) fn insert(&mut self, table: Table, numbers: &[u64], name: &str) {
        self.0.entry(Names::key(table, numbers)).or_insert_with(|| name.to_owned());
    }

    pub(crate) fn get(&self, table: Table, numbers: &[u64]) -> Option<&str> {
        self.0.get(&Names::key(table, numbers)).map(String::as_str)
    }

    /// The name whose numbers are these and one more, and that number.
    pub(crate) fn under(&self, table: Table, numbers: &[u64]) -> Option<(u64, &str)> {
        let (rest, name) = self.first_of(table, numbers)?;
        let [number] = rest[..] else { return None };
        Some((number, name))
    }

    /// The first name whose integers start with some, and those that follow them.
    pub(crate) fn first_of(&self, table: Table, numbers: &[u64]) -> Option<(Vec<u64>, &str)> {
        let prefix = Names::key(table, numbers);
        let (key, name) = self.0.range(prefix.clone()..).next()?;
        let (rest, _) = key.strip_prefix(&prefix[..])?.as_chunks::<8>();
        Some((rest.iter().map(|number| u64::from_be_bytes(*number)).collect(), name))
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, name) in &self.0 {
            put_bytes(&mut out, number);
            put_bytes(&mut out, name.as_bytes());
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<Names> {
        let (mut reader, mut names) = (Reader(bytes), BTreeMap::new());
        while !reader.is_empty() {
            let number = reader.bytes()?.to_vec();
            if names.last_key_value().is_some_and(|(last, _)| *last >= number) {
                return None;
            }
            names.insert(number, String::from_utf8(reader.bytes()?.to_vec()).ok()?);
        }
        Some(Names(names))
    }
}

/// One committed batch, as the log holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) operation: String,
    pub(crate) principal: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) names: Names,
    pub(crate) mutations: Vec<Mutation>,
    /// Fields that this build does not know and need not.
    pub(crate) unknown: Vec<(u64, Vec<u8>)>,
}

impl Entry {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let names = if self.names.0.is_empty() { Vec::new() } else { self.names.encode() };
        let texts = [
            (OPERATION, false, Some(self.operation.as_bytes()).filter(|text| !text.is_empty())),
            (PRINCIPAL, false, self.principal.as_deref().map(str::as_bytes)),
            (SUBJECT, true, self.subject.as_deref().map(str::as_bytes)),
            (NAMES, false, Some(&*names).filter(|names| !names.is_empty())),
        ];
        let texts =
            texts.iter().filter_map(|(number, critical, bytes)| Some((*number, *critical, (*bytes)?)));
        let mut unknown = self.unknown.iter().map(|(number, bytes)| (*number, false, &**bytes)).peekable();
        for (number, critical, bytes) in texts {
            while let Some(before) = unknown.next_if(|field| field.0 < number) {
                put_field(out, before);
            }
            put_field(out, (number, critical, bytes));
        }
        while let Some(before) = unknown.next_if(|field| field.0 < MUTATION) {
            put_field(out, before);
        }
        for mutation in &self.mutations {
            put_varint(out, MUTATION << 1 | 1);
            put_varint(out, mutation.encoded_len() as u64);
            mutation.encode(out);
        }
        unknown.for_each(|field| put_field(out, field));
    }

    /// Bytes that [`Entry::encode`] appends.
    fn encoded_len(&self) -> usize {
        let field = |number: u64, len: usize| varint_len(number << 1) + bytes_len(len);
        let texts = [(PRINCIPAL, &self.principal), (SUBJECT, &self.subject)];
        let texts = texts.into_iter().filter_map(|(number, text)| Some(field(number, text.as_ref()?.len())));
        let operation = if self.operation.is_empty() { 0 } else { field(OPERATION, self.operation.len()) };
        let names = if self.names.0.is_empty() { 0 } else { field(NAMES, self.names.encode().len()) };
        let mutations = self.mutations.iter().map(|mutation| field(MUTATION, mutation.encoded_len()));
        let unknown = self.unknown.iter().map(|(number, bytes)| field(*number, bytes.len()));
        operation + names + texts.chain(mutations).chain(unknown).sum::<usize>()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Entry> {
        let mut entry = Entry::default();
        let mut reader = Reader(bytes);
        let mut last = 0;
        while !reader.is_empty() {
            let tag = reader.varint().ok_or_else(|| malformed("a field"))?;
            let body = reader.bytes().ok_or_else(|| malformed("a field's length"))?;
            let (number, critical) = (tag >> 1, tag & 1 == 1);
            if number < last || (number == last && number != MUTATION) {
                return Err(malformed("the order of fields"));
            }
            last = number;
            let text = || String::from_utf8(body.to_vec()).map_err(|_| malformed("a text"));
            match (number, critical) {
                (OPERATION, false) if !body.is_empty() => entry.operation = text()?,
                (PRINCIPAL, false) => entry.principal = Some(text()?),
                (SUBJECT, true) => entry.subject = Some(text()?),
                (NAMES, false) if !body.is_empty() => {
                    entry.names = Names::decode(body).ok_or_else(|| malformed("the names"))?;
                }
                (MUTATION, true) => entry.push(Mutation::decode(body)?)?,
                (_, true) => {
                    return Err(Error::new(Code::UnknownCritical)
                        .with("what", "an entry of the log")
                        .with("field", number));
                }
                (OPERATION | SUBJECT | NAMES | MUTATION, false) => return Err(malformed("a field's flag")),
                _ => entry.unknown.push((number, body.to_vec())),
            }
        }
        Ok(entry)
    }

    fn push(&mut self, mutation: Mutation) -> Result<()> {
        if self.mutations.last().is_some_and(|last| last.key >= mutation.key) {
            return Err(malformed("the order of mutations"));
        }
        self.mutations.push(mutation);
        Ok(())
    }
}

/// Appends a field: its number, whether it is critical, its bytes.
fn put_field(out: &mut Vec<u8>, (number, critical, bytes): (u64, bool, &[u8])) {
    put_varint(out, number << 1 | u64::from(critical));
    put_bytes(out, bytes);
}

impl Mutation {
    /// A mutation with this change, sealed if there is a subject.
    pub(crate) fn new(key: Vec<u8>, change: Change, subject: Option<&str>, seal: &dyn Seal) -> Result<Self> {
        let body = match subject {
            Some(subject) if !matches!(change, Change::Delete | Change::Add(_)) => {
                let mut clear = Vec::new();
                change.encode_body(&mut clear);
                Body::Sealed(change.kind(), seal.seal(subject, &seal_context(&key, change.kind()), &clear)?)
            }
            _ => Body::Clear(change),
        };
        Ok(Mutation { key, body, keeps: false })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.key);
        let keeps = if self.keeps { KEEPS } else { 0 };
        match &self.body {
            Body::Clear(change) => {
                out.push(change.kind() | keeps);
                change.encode_body(out);
            }
            Body::Sealed(kind, bytes) => {
                out.push(kind | SEALED | keeps);
                out.extend_from_slice(bytes);
            }
        }
    }

    /// Bytes that [`Mutation::encode`] appends.
    fn encoded_len(&self) -> usize {
        let body = match &self.body {
            Body::Clear(change) => change.body_len(),
            Body::Sealed(_, bytes) => bytes.len(),
        };
        bytes_len(self.key.len()) + 1 + body
    }

    fn decode(bytes: &[u8]) -> Result<Mutation> {
        let mut reader = Reader(bytes);
        let key = reader.bytes().ok_or_else(|| malformed("a mutation's key"))?.to_vec();
        let kind = reader.byte().ok_or_else(|| malformed("a mutation's kind"))?;
        let (kind, keeps) = (kind & !KEEPS, kind & KEEPS != 0);
        let rest = reader.0;
        let body = if kind & SEALED != 0 && (1..=4).contains(&(kind & !SEALED)) {
            Body::Sealed(kind & !SEALED, rest.to_vec())
        } else {
            Body::Clear(Change::decode_body(kind, rest).ok_or_else(|| malformed("a mutation's body"))?)
        };
        Ok(Mutation { key, body, keeps })
    }
}

/// Appends entries to a group's body; each takes one LSN.
pub(crate) fn put_entry(group: &mut Vec<u8>, entry: &Entry) {
    let len = entry.encoded_len();
    group.reserve(bytes_len(len));
    put_varint(group, len as u64);
    let start = group.len();
    entry.encode(group);
    debug_assert_eq!(group.len() - start, len, "what was said before the entry");
}

/// The entries of a group's body, of which the first has this LSN.
pub(crate) fn entries(body: &[u8], count: u32, first: Lsn) -> Result<Vec<Entry>> {
    let mut reader = Reader(body);
    let mut entries = Vec::new();
    while !reader.is_empty() {
        let bytes = reader.bytes().ok_or_else(|| malformed("an entry's length"));
        let lsn = Lsn(first.0.saturating_add(entries.len() as u64));
        entries.push(bytes.and_then(Entry::decode).map_err(|err| err.with("lsn", lsn))?);
    }
    if entries.len() != count as usize {
        return Err(malformed("the count of entries").with("lsn", first));
    }
    Ok(entries)
}

/// Whoever knows the LSN adds it.
fn malformed(what: &str) -> Error {
    Error::new(Code::LogCorrupt)
        .with("segment", "(a group whose checksum holds)")
        .with("offset", 0)
        .with("reason", format_args!("{what} of an entry is malformed"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn change() -> impl Strategy<Value = Change> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..40);
        prop_oneof![
            bytes().prop_map(|bytes| Change::Put(bytes.into())),
            Just(Change::Delete),
            any::<i64>().prop_map(Change::Add),
            prop::collection::vec((any::<u64>(), any::<u64>(), bytes()), 0..3).prop_map(|edits| {
                Change::Splice(
                    edits.into_iter().map(|(at, remove, insert)| Edit { at, remove, insert }).collect(),
                )
            }),
        ]
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let changes = (change(), any::<bool>());
        let mutations = prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..20), changes, 0..6);
        let names = prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..20), ".{0,8}", 0..3);
        (".{0,12}", prop::option::of(".{0,8}"), names, mutations, any::<bool>()).prop_map(
            |(operation, principal, names, mutations, unknown)| Entry {
                operation,
                principal,
                subject: None,
                names: Names(names),
                mutations: mutations
                    .into_iter()
                    .map(|(key, (change, keeps))| Mutation { key, body: Body::Clear(change), keeps })
                    .collect(),
                unknown: if unknown { vec![(5, b"x".to_vec()), (99, vec![])] } else { vec![] },
            },
        )
    }

    proptest! {
        #[test]
        fn entries_round_trip_with_what_this_build_does_not_know(list in prop::collection::vec(entry(), 0..4)) {
            let mut body = Vec::new();
            list.iter().for_each(|e| put_entry(&mut body, e));
            prop_assert_eq!(entries(&body, list.len() as u32, Lsn(1)).unwrap(), list);
        }

        #[test]
        fn any_bytes_decode_canonically_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(entry) = Entry::decode(&bytes) {
                let mut again = Vec::new();
                entry.encode(&mut again);
                prop_assert_eq!(again, bytes);
            }
        }

        #[test]
        fn the_shortest_change_leads_to_the_same_row(
            head in prop::collection::vec(any::<u8>(), 0..200),
            old in prop::collection::vec(0u8..3, 0..200),
            new in prop::collection::vec(0u8..3, 0..200),
            tail in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let before = [&head[..], &old, &tail].concat();
            let after = [&head[..], &new, &tail].concat();
            let change = Change::between(&before, after.clone().into());
            prop_assert_eq!(change.apply(Some(&before)).unwrap(), Some(after.into()));
        }

        #[test]
        fn a_change_that_does_not_fit_is_an_error_and_no_panic(
            change in change(), before in prop::option::of(prop::collection::vec(any::<u8>(), 0..20))
        ) {
            let _ = change.apply(before.as_deref());
        }
    }

    #[test]
    fn an_unknown_critical_field_refuses() {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, 77 << 1 | 1);
        put_bytes(&mut bytes, b"x");
        assert_eq!(Entry::decode(&bytes).unwrap_err().code(), Code::UnknownCritical);
    }
}
