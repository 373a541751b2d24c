//! The ten best of 100,000 entries, in agentdb-text and in tantivy, taking turns; and insert + search taking turns.
//!
//! `cargo run --release [entries]` in this folder. Words are drawn from a Zipf distribution over 50,000.

use std::time::{Duration, Instant};

use agentdb_text::{Analyzer, Field, Fuzzy, Match, Operator, Phrase, Prefix, Query, Search, TextIndex};
use agentdb_types::Lsn;
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, Occur, TermQuery};
use tantivy::schema::{IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{TextAnalyzer, WhitespaceTokenizer};
use tantivy::{Index, IndexSettings, Term, doc};

const VOCABULARY: u64 = 50_000;
const QUERIES: usize = 1_000;

struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Zipf with exponent 1, by the inverse of its continuous form.
    fn word(&mut self) -> String {
        let rank = (VOCABULARY as f64).powf(self.unit()) as u64;
        format!("w{rank}")
    }

    fn text(&mut self) -> String {
        let words = 20 + (self.unit() * 80.0) as usize;
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

fn main() {
    let entries: u64 = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(100_000);
    let mut random = Random(1);
    let texts: Vec<String> = (0..entries).map(|_| random.text()).collect();
    let queries: Vec<Vec<String>> = (0..QUERIES)
        .map(|at| {
            (0..2 + at % 4)
                .map(|_| random.word())
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect()
        })
        .collect();

    let started = Instant::now();
    let ours = TextIndex::new(vec![Field::new("text", Analyzer::Whitespace)]).unwrap();
    let mut inserts = Vec::new();
    for (slot, text) in (0..).zip(&texts) {
        let start = Instant::now();
        ours.insert(slot, Lsn(slot + 1), &[Some(text)]).unwrap();
        inserts.push(start.elapsed());
        if slot % 512 == 511 {
            while ours.step() {}
        }
    }
    while ours.step() {}
    println!(
        "ours: filled in {:?}, {} segments, {} bytes an entry",
        started.elapsed(),
        ours.segments(),
        ours.memory_bytes() / entries as usize
    );
    tell("ours: insert", &mut inserts);

    let (index, field) = tantivy(&texts);
    let reader = index.reader().unwrap();
    let searcher = reader.searcher();
    println!("tantivy: {} segments", searcher.segment_readers().len());
    let at = Lsn(entries);
    let (mut mine, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..5 {
        for words in &queries {
            let query = Query::from(&*words.join(" "));
            let start = Instant::now();
            let hits = ours.search(&query, &Search::new(at, 10)).unwrap();
            let a = start.elapsed();
            let start = Instant::now();
            let terms = words.iter().map(|w| {
                let term = TermQuery::new(Term::from_field_text(field, w), IndexRecordOption::WithFreqs);
                (Occur::Should, Box::new(term) as Box<dyn tantivy::query::Query>)
            });
            let query = BooleanQuery::new(terms.collect());
            let found = searcher.search(&query, &TopDocs::with_limit(10).order_by_score()).unwrap();
            let b = start.elapsed();
            if round == 0 {
                assert_eq!(hits.len(), found.len());
                for (hit, (score, _)) in hits.iter().zip(&found) {
                    assert!((hit.score - score).abs() < 1e-3 * score, "{hit:?} {score} {words:?}");
                }
            } else {
                mine.push(a);
                theirs.push(b);
                ratios.push(a.as_secs_f64() / b.as_secs_f64());
            }
        }
    }
    let mut compiled = Vec::new();
    for words in &queries {
        let query = Query::from(&*words.join(" "));
        let start = Instant::now();
        ours.search(&query, &Search::new(at, 0)).unwrap();
        compiled.push(start.elapsed());
    }
    tell("ours: making the query ready", &mut compiled);
    tell("ours: top 10", &mut mine);
    tell("tantivy: top 10", &mut theirs);
    ratios.sort_by(f64::total_cmp);
    println!("median of the ratios {:.2}", ratios[ratios.len() / 2]);

    kinds(&ours, &queries, at);
    alternate("new slots", &ours, &mut random, &queries, entries, true);
    alternate("replaced slots", &ours, &mut random, &queries, 2 * entries, false);
    println!("{} segments", ours.segments());
}

/// The other kinds of queries, for which nothing is measured beside them.
fn kinds(ours: &TextIndex, queries: &[Vec<String>], at: Lsn) {
    let match_all = |w: &[String]| Match { text: w.join(" "), operator: Operator::All, ..Match::default() };
    let kinds: [(&str, &dyn Fn(&[String]) -> Query); 5] = [
        ("all terms", &|w| Query::Match(match_all(w))),
        ("phrase of 2", &|w| {
            Query::Phrase(Phrase { text: w[..w.len().min(2)].join(" "), ..Phrase::default() })
        }),
        ("prefix, some 11 or 111 terms", &|w| {
            Query::Prefix(Prefix { text: format!("{:0<4.4}", w[0]), fields: None })
        }),
        ("fuzzy 1", &|w| Query::Fuzzy(Fuzzy { term: w[0].clone(), distance: 1, ..Fuzzy::default() })),
        ("fuzzy 2, prefix 2", &|w| {
            Query::Fuzzy(Fuzzy { term: w[0].clone(), distance: 2, prefix_length: 2, ..Fuzzy::default() })
        }),
    ];
    for (what, make) in kinds {
        let mut times = Vec::new();
        for words in queries.iter().take(200) {
            let query = make(words);
            let start = Instant::now();
            ours.search(&query, &Search::new(at, 10)).unwrap();
            times.push(start.elapsed());
        }
        tell(what, &mut times);
    }
}

fn alternate(
    what: &str,
    ours: &TextIndex,
    random: &mut Random,
    queries: &[Vec<String>],
    lsn: u64,
    new: bool,
) {
    let (mut both, mut inserts, mut searches) = (Vec::new(), Vec::new(), Vec::new());
    for at in 1..=5_000u64 {
        let (text, query) = (random.text(), Query::from(&*queries[at as usize % QUERIES].join(" ")));
        let slot = if new { lsn + at } else { at * 7 };
        let start = Instant::now();
        ours.insert(slot, Lsn(lsn + at), &[Some(&text)]).unwrap();
        let inserted = start.elapsed();
        ours.search(&query, &Search::new(Lsn(lsn + at), 10)).unwrap();
        both.push(start.elapsed());
        inserts.push(inserted);
        searches.push(start.elapsed() - inserted);
        if at % 512 == 0 {
            // What the background does, meanwhile.
            while ours.step() {}
            ours.compact(Lsn((lsn + at).saturating_sub(100)));
        }
    }
    tell(&format!("insert + search, {what}"), &mut both);
    tell(&format!("  insert, {what}"), &mut inserts);
    tell(&format!("  search, {what}"), &mut searches);
}

fn tantivy(texts: &[String]) -> (Index, tantivy::schema::Field) {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer("ws")
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let field = schema.add_text_field("text", TextOptions::default().set_indexing_options(indexing));
    let index =
        Index::create(tantivy::directory::RamDirectory::create(), schema.build(), IndexSettings::default())
            .unwrap();
    index.tokenizers().register("ws", TextAnalyzer::builder(WhitespaceTokenizer::default()).build());
    let mut writer = index.writer_with_num_threads(1, 500_000_000).unwrap();
    for text in texts {
        writer.add_document(doc!(field => text.as_str())).unwrap();
    }
    writer.commit().unwrap();
    let ids = index.searchable_segment_ids().unwrap();
    if ids.len() > 1 {
        writer.merge(&ids).wait().unwrap();
    }
    (index, field)
}

fn tell(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |share: f64| times[(times.len() as f64 * share) as usize];
    println!("{what}: p50 {:?}, p99 {:?}, greatest {:?}", at(0.5), at(0.99), times[times.len() - 1]);
}
