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
