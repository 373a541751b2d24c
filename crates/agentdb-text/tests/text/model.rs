//! Random changes and searches against a plain reference.

use crate::reference::{Reference, compare};
use agentdb_text::{
    Analyzer, Boolean, Boost, Field, Fuzzy, Match, Operator, Phrase, Prefix, Query, TextIndex,
};
use agentdb_types::{Code, Lsn};
use proptest::prelude::*;
use proptest::sample::select;

const WORDS: &[&str] = &[
    "cat",
    "cats",
    "car",
    "cart",
    "care",
    "the",
    "of",
    "dog",
    "dogs",
    "Dog",
    "run",
    "running",
    "runs",
    "haus",
    "Häuser",
    "été",
    "ete",
    "北京",
    "大学",
    "中文",
    "한국어",
    "한국",
    "東京",
    "😀",
    "x",
    "act",
    "ab",
    "ba",
];

fn fields() -> Vec<Field> {
    let field = |name: &str, weight, analyzer| Field { name: name.into(), weight, analyzer };
    vec![
        field("title", 2.0, Analyzer::English),
        field("body", 1.0, Analyzer::Standard),
        field("tags", 0.3, Analyzer::Whitespace),
        field("notes", 1.5, Analyzer::Standard),
    ]
}

#[derive(Clone, Debug)]
enum Act {
    Insert(u64, Vec<Option<String>>),
    Delete(u64),
    Step,
    Seal,
    Purge,
    /// The watermark, so many LSNs behind.
    Compact(u64),
    /// So many LSNs behind, with a limit.
    Search(Query, u64, usize),
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(WORDS), 0..9).prop_map(|words| words.join(" "))
}

fn names() -> impl Strategy<Value = Option<Vec<String>>> {
    let some = proptest::sample::subsequence(vec!["title", "body", "tags", "notes"], 1..=3);
    proptest::option::of(some.prop_map(|names| names.into_iter().map(String::from).collect()))
}

fn query() -> impl Strategy<Value = Query> {
    let operator = prop_oneof![Just(Operator::Any), Just(Operator::All)];
    let word = || select(WORDS).prop_map(str::to_lowercase);
    let leaf =
        prop_oneof![
            text().prop_map(Query::Text),
            (text(), names(), operator, proptest::option::of(1u32..4), proptest::option::of(0u8..3))
                .prop_map(|(text, fields, operator, minimum_match, fuzzy)| {
                    Query::Match(Match { text, fields, operator, minimum_match, fuzzy })
                }),
            (text(), names(), 0u32..4).prop_map(|(text, fields, slop)| Query::Phrase(Phrase {
                text,
                fields,
                slop
            })),
            (select(vec!["c", "ca", "car", "d", "r", "h", "北", "e"]), names())
                .prop_map(|(text, fields)| Query::Prefix(Prefix { text: text.into(), fields })),
            (word().prop_filter("one term in every field", |w| one_term(w)), names(), 1u8..3, 0u32..3)
                .prop_map(|(term, fields, distance, prefix_length)| {
                    Query::Fuzzy(Fuzzy { term, fields, distance, prefix_length })
                }),
        ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let some = |range| proptest::collection::vec(inner.clone(), range);
        prop_oneof![
            (some(0..3), some(0..3), some(0..2))
                .prop_filter("asks for something", |(must, should, _)| must.len() + should.len() > 0)
                .prop_map(|(must, should, must_not)| Query::Boolean(Boolean { must, should, must_not })),
            (inner.clone(), select(vec![0.5f32, 2.0, 3.25]))
                .prop_map(|(query, by)| Query::Boost(Boost { query: Box::new(query), by })),
        ]
    })
}

fn one_term(word: &str) -> bool {
    fields().iter().all(|f| f.analyzer.tokens(word).len() == 1)
}

fn act() -> impl Strategy<Value = Act> {
    let texts = proptest::collection::vec(proptest::option::of(text()), 4);
    prop_oneof![
        10 => (0u64..24, texts).prop_map(|(slot, texts)| Act::Insert(slot, texts)),
        3 => (0u64..24).prop_map(Act::Delete),
        1 => Just(Act::Step),
        1 => Just(Act::Seal),
        1 => Just(Act::Purge),
        1 => (0u64..30).prop_map(Act::Compact),
        6 => (query(), 0u64..12, 1usize..6).prop_map(|(query, back, limit)| Act::Search(query, back, limit)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn the_index_is_the_reference(acts in proptest::collection::vec(act(), 1..120)) {
        let index = TextIndex::new(fields()).unwrap();
        let mut reference = Reference::new(&fields());
        let (mut lsn, mut watermark) = (Lsn::ZERO, Lsn::ZERO);
        for act in acts {
            match act {
                Act::Insert(slot, texts) => {
                    lsn = lsn.next();
                    let texts: Vec<Option<&str>> = texts.iter().map(|t| t.as_deref()).collect();
                    index.insert(slot, lsn, &texts).unwrap();
                    reference.insert(slot, lsn, &texts);
                }
                Act::Delete(slot) => {
                    lsn = lsn.next();
                    prop_assert_eq!(index.delete(slot, lsn), reference.delete(slot, lsn));
                }
                Act::Step => {
                    index.step();
                }
                Act::Seal => {
                    index.seal();
                }
                Act::Purge => {
                    index.purge();
                    let dead = reference.entries.iter().filter(|e| e.died <= watermark.0).count();
                    prop_assert_eq!(index.entries(), reference.entries.len() - dead);
                }
                Act::Compact(back) => {
                    watermark = watermark.max(Lsn(lsn.0.saturating_sub(back)));
                    index.compact(watermark);
                }
                Act::Search(query, back, limit) => {
                    let at = Lsn(lsn.0.saturating_sub(back));
                    if at < watermark {
                        let error = index.count(&query, at, None).unwrap_err();
                        prop_assert_eq!(error.code(), Code::TextCompacted);
                    } else {
                        compare(&index, &reference.view(at), at, &query, limit);
                    }
                }
            }
            let living = reference.entries.iter().filter(|e| e.died == u64::MAX).count();
            prop_assert_eq!(index.len(), living);
        }
    }
}
