//! Collections: ingest, search by words, filtered and hybrid search, a search after each put; over records made by a rule, so that every
//! run has the same. Peers so far: tantivy bare and SQLite's FTS5, for words; the vector stores are not among them yet.
//!
//! A record has a text of 20 to 100 words, drawn from 50,000 by Zipf's law (exponent 1); a vector of 128 components around one of
//! 200 centres; and a payload: category (of 10), user (of 10,000), price (0 to 1,000), tags (two of 30). Queries are 2 to 4 words of middling
//! rank. Everyone gets batches of 1,000 records, durable each; ours commits rows, vectors and texts, tantivy and FTS5 the texts.

use std::path::Path;
use std::time::Instant;

use agentdb::modules::record::SubQuery;
use agentdb::{Collection, Database, Query, Value, json};
use anyhow::{Context, Result, ensure};
use rusqlite::Connection;
use tantivy::collector::TopDocs;
use tantivy::merge_policy::NoMergePolicy;
use tantivy::query::QueryParser;
use tantivy::schema::{IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value as _};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, doc};

use super::ROUNDS;
use crate::measure::{Results, Samples};

const DIMENSION: usize = 128;
const BATCH: usize = 1_000;
const QUERIES: usize = 300;
const ALTERNATIONS: usize = 2_000;

struct Made {
    id: String,
    text: String,
    vector: Vec<f32>,
    payload: Value,
}

/// Numbers that look random, by SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A rank by Zipf's law: the inverse of its integral.
    fn zipf(&mut self, ranks: f64) -> u64 {
        (ranks.ln() * self.unit()).exp() as u64
    }
}

fn made(number: u64) -> Made {
    let mut numbers = Numbers(number);
    let words = 20 + numbers.below(81);
    let text: Vec<String> = (0..words).map(|_| format!("w{}", numbers.zipf(50_000.0))).collect();
    let vector = around(&mut numbers);
    let tags = [format!("t{}", numbers.below(30)), format!("t{}", numbers.below(30))];
    let payload = json!({
        "category": format!("c{}", numbers.below(10)), "user": format!("u{}", numbers.below(10_000)),
        "price": (numbers.unit() * 1e5).round() / 100.0, "tags": tags,
    });
    Made { id: format!("r{number:07}"), text: text.join(" "), vector, payload }
}

fn around(numbers: &mut Numbers) -> Vec<f32> {
    let mut centre = Numbers(numbers.below(200) + 1_000_000_007);
    (0..DIMENSION).map(|_| (centre.unit() - 0.5 + 0.3 * (numbers.unit() - 0.5)) as f32).collect()
}

fn query(number: u64) -> (String, Vec<f32>) {
    let mut numbers = Numbers(number + 77_000_000);
    let words = 2 + numbers.below(3);
    let words: Vec<String> = (0..words).map(|_| format!("w{}", 20 + numbers.below(2_000))).collect();
    (words.join(" "), around(&mut numbers))
}

fn timed(mut each: impl FnMut(u64) -> Result<()>) -> Result<Samples> {
    let mut took = Vec::with_capacity(QUERIES);
    let start = Instant::now();
    for number in 0..QUERIES as u64 {
        let at = Instant::now();
        each(number)?;
        took.push(at.elapsed().as_nanos() as u64);
    }
    Ok(Samples::new(took, start.elapsed().as_secs_f64()))
}

pub fn run(dir: &Path, rows: u64, results: &mut Results) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let db = Database::open(dir.join("ours"))?;
    let docs = db.namespace("default")?.collection("docs");
    docs.create().dimension(DIMENSION).wait()?;
    let tantivy = Tantivy::open(&dir.join("tantivy"))?;
    let fts = Fts::open(&dir.join("fts.sqlite"))?;
    let rate = |took: f64| rows as f64 / took;
    let start = Instant::now();
    load(&db, &docs, rows)?;
    results.add("ingest rows", "ops_per_s", "1/s", true, "ours", rate(start.elapsed().as_secs_f64()));
    let start = Instant::now();
    tantivy.load(rows)?;
    results.add("ingest rows", "ops_per_s", "1/s", true, "tantivy, texts alone", rate(start.elapsed().as_secs_f64()));
    let start = Instant::now();
    fts.load(rows)?;
    results.add("ingest rows", "ops_per_s", "1/s", true, "sqlite_fts5, texts alone", rate(start.elapsed().as_secs_f64()));
    let start = Instant::now();
    docs.search(Query::words("w1"))?;
    results.add("index made", "seconds", "s", false, "ours", start.elapsed().as_secs_f64());
    for _ in 0..ROUNDS {
        searches(&docs, &tantivy, &fts, results)?;
    }
    let bytes = db.stats()?.record_index_bytes as f64;
    results.add("memory of words and payloads", "bytes_per_row", "B", false, "ours", bytes / rows as f64);
    alternate(&docs, &fts, results)
}

fn load(db: &Database, docs: &Collection, rows: u64) -> Result<()> {
    let namespace = db.namespace("default")?;
    for first in (0..rows).step_by(BATCH) {
        let mut batch = namespace.batch();
        for number in first..(first + BATCH as u64).min(rows) {
            let Made { id, text, vector, payload } = made(number);
            batch = batch.push(docs.put(id).vector(vector).text(text).payload(payload));
        }
        batch.wait()?;
    }
    Ok(())
}

fn searches(docs: &Collection, tantivy: &Tantivy, fts: &Fts, results: &mut Results) -> Result<()> {
    // The same best hits: scores differ in their last digits, and ties come in another order.
    let mut shared = 0;
    for number in 0..20 {
        let words = query(number).0;
        let ours: Vec<String> = docs.search(Query::words(&words[..]))?.into_iter().map(|hit| hit.record).collect();
        let theirs = tantivy.search(&words)?;
        shared += ours.iter().filter(|id| theirs.contains(id)).count();
    }
    ensure!(shared >= 190, "only {shared} of 200 best hits are tantivy's, too");
    let ours = timed(|n| Ok(drop(docs.search(Query::words(&query(n).0[..]))?)))?;
    results.add_samples("bm25 top10", "ours", &ours);
    results.add_samples("bm25 top10", "tantivy", &timed(|n| tantivy.search(&query(n).0).map(drop))?);
    results.add_samples("bm25 top10", "sqlite_fts5", &timed(|n| fts.search(&query(n).0).map(drop))?);
    for (case, filter) in [
        ("filter 1%", json!({"price": {"$lt": 10}})),
        ("filter 50%", json!({"price": {"$lt": 500}})),
        ("filter 0.1%", json!({"category": "c3", "price": {"$lt": 10}})),
    ] {
        let each = |n| Ok(drop(docs.search(Query::vector(query(n).1).filter(filter.clone()))?));
        results.add_samples(case, "ours", &timed(each)?);
    }
    let hybrid = |number: u64| {
        let (words, vector) = query(number);
        let both = Query::several([SubQuery::words(&words[..]), SubQuery::vector(vector)]);
        Ok(drop(docs.search(both.filter(json!({"price": {"$lt": 500}})))?))
    };
    results.add_samples("hybrid", "ours", &timed(hybrid)?);
    Ok(())
}

/// A put, then a search that must find it.
fn alternate(docs: &Collection, fts: &Fts, results: &mut Results) -> Result<()> {
    let mut took = Vec::with_capacity(ALTERNATIONS);
    let start = Instant::now();
    for number in 0..ALTERNATIONS {
        let (id, word) = (format!("new{number}"), format!("unheard{number}"));
        docs.put(&id[..]).vector(vec![1.0; DIMENSION]).text(format!("{word} w7 w9")).payload(json!({"category": "new"})).wait()?;
        let at = Instant::now();
        let hits = docs.search(Query::words(&word[..]).filter(json!({"category": "new"})))?;
        took.push(at.elapsed().as_nanos() as u64);
        ensure!(hits.first().is_some_and(|hit| hit.record == id), "{id} is not found");
    }
    results.add_samples("alternate put search", "ours", &Samples::new(took, start.elapsed().as_secs_f64()));
    let mut took = Vec::with_capacity(ALTERNATIONS);
    let start = Instant::now();
    for number in 0..ALTERNATIONS {
        let (id, word) = (format!("new{number}"), format!("unheard{number}"));
        fts.put(&id, &format!("{word} w7 w9"))?;
        let at = Instant::now();
        let hits = fts.search(&word)?;
        took.push(at.elapsed().as_nanos() as u64);
        ensure!(hits.first() == Some(&id), "{id} is not found");
    }
    results.add_samples("alternate put search", "sqlite_fts5", &Samples::new(took, start.elapsed().as_secs_f64()));
    Ok(())
}

struct Tantivy {
    index: Index,
    reader: IndexReader,
    parser: QueryParser,
}

impl Tantivy {
    fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut schema = Schema::builder();
        schema.add_text_field("id", STRING | STORED);
        let indexing = TextFieldIndexing::default().set_tokenizer("default").set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let text = schema.add_text_field("text", TextOptions::default().set_indexing_options(indexing));
        let index = Index::create_in_dir(dir, schema.build())?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let parser = QueryParser::for_index(&index, vec![text]);
        Ok(Tantivy { index, reader, parser })
    }

    fn load(&self, rows: u64) -> Result<()> {
        let schema = self.index.schema();
        let (id, text) = (schema.get_field("id")?, schema.get_field("text")?);
        let mut writer: IndexWriter = self.index.writer_with_num_threads(1, 64 << 20)?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        for number in 0..rows {
            let record = made(number);
            writer.add_document(doc!(id => record.id, text => record.text))?;
            if (number + 1) % BATCH as u64 == 0 {
                writer.commit()?;
            }
        }
        writer.commit()?;
        // Its best: one segment.
        let segments = self.index.searchable_segment_ids()?;
        writer.merge(&segments).wait()?;
        writer.wait_merging_threads()?;
        self.reader.reload()?;
        Ok(())
    }

    fn search(&self, words: &str) -> Result<Vec<String>> {
        let searcher = self.reader.searcher();
        let id = self.index.schema().get_field("id")?;
        let hits = searcher.search(&self.parser.parse_query(words)?, &TopDocs::with_limit(10).order_by_score())?;
        let found = hits.into_iter().map(|(_, address)| {
            let document: TantivyDocument = searcher.doc(address)?;
            let found = document.get_first(id).and_then(|value| value.as_str().map(str::to_owned));
            found.context("a document without an id")
        });
        found.collect()
    }
}

struct Fts(Connection);

impl Fts {
    fn open(file: &Path) -> Result<Self> {
        let connection = Connection::open(file)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -262_144)?;
        connection.execute_batch("CREATE VIRTUAL TABLE docs USING fts5(id UNINDEXED, text)")?;
        Ok(Fts(connection))
    }

    fn put(&self, id: &str, text: &str) -> Result<()> {
        self.0.prepare_cached("INSERT INTO docs VALUES (?1, ?2)")?.execute([id, text])?;
        Ok(())
    }

    fn load(&self, rows: u64) -> Result<()> {
        for first in (0..rows).step_by(BATCH) {
            let transaction = self.0.unchecked_transaction()?;
            for number in first..(first + BATCH as u64).min(rows) {
                let record = made(number);
                self.put(&record.id, &record.text)?;
            }
            transaction.commit()?;
        }
        Ok(self.0.execute_batch("INSERT INTO docs(docs) VALUES ('optimize')")?)
    }

    fn search(&self, words: &str) -> Result<Vec<String>> {
        let any = words.split(' ').map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" OR ");
        let mut select = self.0.prepare_cached("SELECT id FROM docs WHERE docs MATCH ?1 ORDER BY rank LIMIT 10")?;
        let ids = select.query_map([any], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(ids)
    }
}
