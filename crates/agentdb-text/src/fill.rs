//! Many entries at once: their words become one segment without a segment for each of them in between.
//!
//! The terms of a segment in the making are numbered, so that the words of an entry are sorted as numbers (single-pass in-memory
//! indexing: Heinz and Zobel, "Efficient single-pass index construction for text databases", 2003).

use std::collections::HashMap;
use std::sync::Arc;

use agentdb_types::{Lsn, Result};

use crate::Analyzer;
use crate::builder::Builder;
use crate::codec::put_varint;
use crate::index::{Slot, State, TextIndex};
use crate::part::Part;
use crate::segment::{ALIVE, Segment};

/// Entries, and bytes of texts, after which a segment is ended.
const MOST: (usize, usize) = (1 << 16, 64 << 20);

/// Entries on their way into an index, which shows them when the filling [ends](Filling::finish), or has become large.
pub struct Filling<'a> {
    index: &'a TextIndex,
    entries: Vec<Entry>,
    bytes: usize,
    terms: Terms,
    /// The words of the entry at hand: numbers of terms, and positions.
    words: Vec<(u32, u32)>,
    key: Vec<u8>,
}

struct Entry {
    slot: Slot,
    born: Lsn,
    lengths: Box<[u32]>,
}

/// The postings of every term, by its number.
#[derive(Default)]
struct Terms {
    numbers: HashMap<Box<[u8]>, u32>,
    postings: Vec<Postings>,
}

/// The entries that have a term, with its positions in them, encoded.
#[derive(Default)]
struct Postings {
    /// The number of the entry, how often it has the term, and where its positions end.
    docs: Vec<(u32, u32, u32)>,
    positions: Vec<u8>,
}

impl TextIndex {
    /// Begins to store many entries, which is faster than one after another.
    pub fn filling(&self) -> Filling<'_> {
        Filling {
            index: self,
            entries: Vec::new(),
            bytes: 0,
            terms: Terms::default(),
            words: Vec::new(),
            key: Vec::new(),
        }
    }
}

impl Filling<'_> {
    /// Stores the texts of an entry, as [`TextIndex::insert`] does.
    ///
    /// # Errors
    /// As [`TextIndex::insert`].
    pub fn insert(&mut self, slot: Slot, lsn: Lsn, texts: &[Option<&str>]) -> Result<()> {
        let bytes = self.index.check_texts(texts)?;
        if self.entries.len() >= MOST.0 || self.bytes + bytes > MOST.1 {
            self.flush();
        }
        let fields: Vec<Analyzer> = self.index.fields.iter().map(|field| field.analyzer).collect();
        let mut lengths = Vec::with_capacity(texts.len());
        self.words.clear();
        for (field, (analyzer, text)) in fields.into_iter().zip(texts).enumerate() {
            let before = self.words.len();
            analyzer.analyze(text.unwrap_or(""), &mut |term, position, _| {
                self.key.clear();
                self.key.push(field as u8);
                self.key.extend_from_slice(term.as_bytes());
                self.words.push((self.terms.number(&self.key), position));
            });
            lengths.push((self.words.len() - before) as u32);
        }
        self.words.sort_unstable();
        let doc = self.entries.len() as u32;
        for same in self.words.chunk_by(|a, b| a.0 == b.0) {
            let postings = &mut self.terms.postings[same[0].0 as usize];
            let mut before = 0;
            for (_, position) in same {
                put_varint(&mut postings.positions, position - before);
                before = *position;
            }
            postings.docs.push((doc, same.len() as u32, postings.positions.len() as u32));
        }
        self.entries.push(Entry { slot, born: lsn, lengths: lengths.into() });
        self.bytes += bytes;
        Ok(())
    }

    /// Ends the filling: everything is found from now on.
    pub fn finish(mut self) {
        self.flush();
    }

    /// Makes a segment of what there is.
    fn flush(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        let (entries, terms) = (std::mem::take(&mut self.entries), std::mem::take(&mut self.terms));
        self.bytes = 0;
        let slots: Vec<(Slot, Lsn)> = entries.iter().map(|entry| (entry.slot, entry.born)).collect();
        let segment = Arc::new(segment(self.index.fields.len(), entries, terms));
        let index = self.index;
        let mut writer = index.writer();
        let state = index.state();
        let mut parts = state.parts.clone();
        let id = writer.new_id();
        parts.push(Part::new(id, segment));
        for (doc, (slot, born)) in (0..).zip(slots) {
            if let Some(place) = writer.places.insert(slot, (id, doc)) {
                crate::index::kill(&mut parts, place, born);
            }
        }
        index.publish(State { parts, watermark: state.watermark });
    }
}

impl Terms {
    fn number(&mut self, key: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let number = self.postings.len() as u32;
        self.postings.push(Postings::default());
        self.numbers.insert(key.into(), number);
        number
    }
}

fn segment(fields: usize, entries: Vec<Entry>, terms: Terms) -> Segment {
    let mut builder = Builder::new(fields);
    for Entry { slot, born, lengths } in entries {
        builder.entry(slot, born.0, ALIVE, lengths.iter().copied());
    }
    let mut keys: Vec<(Box<[u8]>, u32)> = terms.numbers.into_iter().collect();
    keys.sort_unstable();
    for (key, number) in keys {
        let Postings { docs, positions } = &terms.postings[number as usize];
        let mut start = 0;
        for (doc, frequency, end) in docs {
            builder.post(*doc, *frequency, &positions[start as usize..*end as usize]);
            start = *end;
        }
        builder.term(&key);
    }
    builder.finish()
}
