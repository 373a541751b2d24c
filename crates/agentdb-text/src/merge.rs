//! From the texts of one entry to a segment, and from several segments to one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use agentdb_types::Lsn;

use crate::Analyzer;
use crate::builder::Builder;
use crate::codec::put_varint;
use crate::cursor::{Cursor, END};
use crate::segment::{ALIVE, Segment};

/// A segment of one entry.
pub(crate) fn single(slot: u64, born: Lsn, texts: &[(Analyzer, Option<&str>)]) -> Segment {
    let mut arena: Vec<u8> = Vec::new();
    // The key of each word, as a range of the arena, and its position.
    let mut words: Vec<(usize, usize, u32)> = Vec::new();
    let mut lengths = Vec::with_capacity(texts.len());
    for (field, (analyzer, text)) in texts.iter().enumerate() {
        let before = words.len();
        analyzer.analyze(text.unwrap_or(""), &mut |term, position, _| {
            let start = arena.len();
            arena.push(field as u8);
            arena.extend_from_slice(term.as_bytes());
            words.push((start, arena.len(), position));
        });
        lengths.push((words.len() - before) as u32);
    }
    let key = |word: &(usize, usize, u32)| &arena[word.0..word.1];
    words.sort_unstable_by(|a, b| key(a).cmp(key(b)).then(a.2.cmp(&b.2)));
    let mut builder = Builder::new(texts.len());
    builder.entry(slot, born.0, ALIVE, lengths.into_iter());
    let mut positions = Vec::new();
    for same in words.chunk_by(|a, b| key(a) == key(b)) {
        positions.clear();
        let mut before = 0;
        for (_, _, position) in same {
            put_varint(&mut positions, position - before);
            before = *position;
        }
        builder.post(0, same.len() as u32, &positions);
        builder.term(key(&same[0]));
    }
    builder.finish()
}

/// One segment of the entries of several, without those that died at or before `watermark`; and where the entries kept
/// were, as the number of the source and of the entry in it.
pub(crate) fn merge(sources: &[&Segment], watermark: Lsn) -> (Segment, Vec<(u32, u32)>) {
    let fields = sources.first().map_or(0, |s| s.fields.len());
    let mut builder = Builder::new(fields);
    let mut kept = Vec::new();
    // The new number of each entry, by source; END for those that go.
    let mut numbers: Vec<Vec<u32>> = Vec::with_capacity(sources.len());
    for (at, source) in sources.iter().enumerate() {
        let number = |doc: u32| {
            let died = source.died(doc);
            if died <= watermark.0 {
                return END;
            }
            let lengths = source.fields.iter().map(|f| f.lengths[doc as usize]);
            builder.entry(source.slots[doc as usize], source.born[doc as usize], died, lengths);
            kept.push((at as u32, doc));
            kept.len() as u32 - 1
        };
        numbers.push((0..source.len() as u32).map(number).collect());
    }
    // The next term of each source, the smallest key first, then the first source.
    let mut next: BinaryHeap<Reverse<(&[u8], usize, usize)>> = sources
        .iter()
        .enumerate()
        .filter(|(_, s)| s.terms.len() > 0)
        .map(|(at, s)| Reverse((s.terms.key(0), at, 0)))
        .collect();
    while let Some(Reverse((key, at, term))) = next.pop() {
        copy(&mut builder, Cursor::new(sources[at], term), &numbers[at]);
        if term + 1 < sources[at].terms.len() {
            next.push(Reverse((sources[at].terms.key(term + 1), at, term + 1)));
        }
        if next.peek().is_none_or(|Reverse((other, ..))| *other != key) {
            builder.term(key);
        }
    }
    (builder.finish(), kept)
}

fn copy(builder: &mut Builder, mut cursor: Cursor<'_>, numbers: &[u32]) {
    let mut positions_at = 0;
    while cursor.doc() != END {
        let doc = numbers[cursor.doc() as usize];
        let positions = cursor.position_bytes(&mut positions_at);
        if doc != END {
            builder.post(doc, cursor.frequency(), positions);
        }
        cursor.advance();
    }
}
