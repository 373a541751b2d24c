//! Enough entries for blocks, background merges and folded deaths, against the plain reference.

use crate::reference::{Reference, compare};
use agentdb_text::{Analyzer, Boolean, Field, Match, Operator, Phrase, Prefix, Query, TextIndex};
use agentdb_types::Lsn;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// A word of a vocabulary in which the first are much more frequent.
    fn word(&mut self) -> String {
        let wide = 1 + self.below(300);
        format!("w{}", self.below(wide))
    }

    fn text(&mut self) -> String {
        let words = if self.below(20) == 0 { 200 } else { 1 + self.below(30) };
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    fn query(&mut self) -> Query {
        let (a, b, c) = (self.word(), self.word(), self.word());
        let matching = |operator| Match { text: format!("{a} {b} {c}"), operator, ..Match::default() };
        match self.below(7) {
            0 => Query::Text(a),
            1 => Query::Match(matching(Operator::All)),
            2 => Query::Phrase(Phrase {
                text: format!("{a} {b}"),
                slop: self.below(3) as u32,
                ..Phrase::default()
            }),
            3 => Query::Prefix(Prefix { text: a, ..Prefix::default() }),
            4 => Query::Boolean(Boolean {
                must: vec![Query::Text(a)],
                should: vec![Query::Text(b)],
                must_not: vec![Query::Text(c)],
            }),
            _ => Query::Match(matching(Operator::Any)),
        }
    }
}

#[test]
fn many_entries_are_found_as_the_reference_finds_them() {
    let fields = vec![
        Field { weight: 2.5, ..Field::new("title", Analyzer::Standard) },
        Field::new("text", Analyzer::Standard),
    ];
    let index = TextIndex::new(fields.clone()).unwrap();
    let mut reference = Reference::new(&fields);
    let mut random = Random(7);
    for lsn in 1..=4_000u64 {
        let lsn = Lsn(lsn);
        let slot = random.below(if lsn.0 < 2_500 { 2_500 } else { 500 });
        if random.below(10) == 0 {
            assert_eq!(index.delete(slot, lsn), reference.delete(slot, lsn));
        } else {
            let (title, text) = (random.word(), random.text());
            let texts = [(random.below(3) > 0).then_some(&*title), Some(&*text)];
            index.insert(slot, lsn, &texts).unwrap();
            reference.insert(slot, lsn, &texts);
        }
        if random.below(400) == 0 {
            while index.step() {}
        }
        if random.below(900) == 0 {
            index.compact(Lsn(lsn.0 - random.below(lsn.0.min(700))));
        }
        if lsn.0.is_multiple_of(250) {
            for back in [0, random.below(40), random.below(600)] {
                let at = Lsn(lsn.0.saturating_sub(back));
                if index.count(&Query::from("w1"), at, None).is_err() {
                    continue;
                }
                let view = reference.view(at);
                for _ in 0..8 {
                    compare(&index, &view, at, &random.query(), 10);
                }
            }
        }
    }
    while index.step() {}
    index.purge();
    let view = reference.view(Lsn(4_000));
    for _ in 0..40 {
        compare(&index, &view, Lsn(4_000), &random.query(), 10);
    }
    assert!(index.segments() < 20, "{} segments", index.segments());
}

fn filled(fields: &[Field], entries: &[(u64, Lsn, [Option<String>; 2])], at_once: bool) -> TextIndex {
    let index = TextIndex::new(fields.to_vec()).unwrap();
    let mut filling = index.filling();
    for (slot, lsn, texts) in entries {
        let texts = texts.each_ref().map(Option::as_deref);
        match at_once {
            true => filling.insert(*slot, *lsn, &texts).unwrap(),
            false => index.insert(*slot, *lsn, &texts).unwrap(),
        }
    }
    assert_eq!(index.is_empty(), at_once || entries.is_empty());
    filling.finish();
    index
}

/// Entries that come at once make the segment, byte for byte, that they make one after another.
#[test]
fn entries_that_come_at_once_are_those_that_come_one_by_one() {
    let fields = [Field::new("title", Analyzer::English), Field::new("text", Analyzer::Standard)];
    for seed in 0..30 {
        let mut random = Random(seed);
        let count = random.below(400);
        let entries: Vec<_> = (1..=count)
            .map(|lsn| {
                let title = (random.below(3) > 0).then(|| random.word());
                let text = (random.below(9) > 0).then(|| random.text());
                (random.below(300), Lsn(lsn), [title, text])
            })
            .collect();
        let (one_by_one, at_once) = (filled(&fields, &entries, false), filled(&fields, &entries, true));
        one_by_one.seal();
        let bundles = |index: &TextIndex| -> Vec<Vec<u8>> {
            index.segment_ids().into_iter().map(|id| index.bundle(id).unwrap()).collect()
        };
        assert_eq!(bundles(&one_by_one), bundles(&at_once), "seed {seed}");
        assert_eq!(one_by_one.len(), at_once.len());
        // Deaths are not in the bytes.
        let count = |index: &TextIndex, at| index.count(&Query::from("w0 w1 w2"), at, None).unwrap();
        for at in (0..=entries.len() as u64).step_by(7).map(Lsn) {
            assert_eq!(count(&one_by_one, at), count(&at_once, at), "seed {seed}, {at}");
        }
    }
}

/// More than one segment takes, on top of entries that were there.
#[test]
fn a_long_filling_makes_several_segments() {
    const COUNT: u64 = 70_000;
    let index = TextIndex::new(vec![Field::new("text", Analyzer::Whitespace)]).unwrap();
    index.insert(7, Lsn(1), &[Some("old")]).unwrap();
    let mut filling = index.filling();
    assert!(filling.insert(8, Lsn(2), &[None, None]).is_err());
    for slot in 0..COUNT {
        let text = format!("all n{}", slot % 10);
        filling.insert(slot, Lsn(2), &[Some(&text)]).unwrap();
    }
    filling.finish();
    let count = |word: &str, at| index.count(&Query::from(word), Lsn(at), None).unwrap() as u64;
    assert_eq!((count("old", 1), count("old", 2), count("all", 1)), (1, 0, 0));
    assert_eq!((count("all", 2), count("n3", 2), index.len() as u64), (COUNT, COUNT / 10, COUNT));
    assert_eq!(index.segments(), 3);
    assert!(index.delete(COUNT - 1, Lsn(3)));
    assert_eq!(count("all", 3), COUNT - 1);
}
