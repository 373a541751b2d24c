//! Records and queries made by a rule, so that every run has the same.
//!
//! A record has a text of 20 to 100 words, drawn from 50,000 by Zipf's law (exponent 1); a vector of 128 components around one of
//! 200 centres; and a payload: category (of 10), user (of 10,000), price (0 to 1,000), tags (two of 30). Queries are 2 to 4 words of middling
//! rank, and a vector made as those of records are.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use agentdb::{Value, json};
use anyhow::Result;

pub const DIMENSION: usize = 128;
pub const QUERIES: u64 = 300;

pub struct Record {
    pub id: String,
    pub text: String,
    pub vector: Vec<f32>,
    pub payload: Value,
}

pub struct Query {
    pub words: String,
    pub vector: Vec<f32>,
}

pub struct Data {
    pub records: Vec<Record>,
    pub queries: Vec<Query>,
}

impl Data {
    pub fn made(rows: u64) -> Self {
        Data { records: (0..rows).map(record).collect(), queries: (0..QUERIES).map(query).collect() }
    }

    /// Writes all of it for other processes: a JSON a line, and the vectors apart as they lie in memory.
    pub fn write(&self, dir: &Path) -> Result<()> {
        std::fs::create_dir_all(dir)?;
        let records = self.records.iter();
        let records = records.map(|r| (json!({"id": r.id, "text": r.text, "payload": r.payload}), &r.vector));
        write(dir, "records", records)?;
        write(dir, "queries", self.queries.iter().map(|q| (json!({"words": q.words}), &q.vector)))
    }
}

fn write<'a>(dir: &Path, name: &str, entries: impl Iterator<Item = (Value, &'a Vec<f32>)>) -> Result<()> {
    let file = |kind| File::create(dir.join(name).with_extension(kind)).map(BufWriter::new);
    let (mut lines, mut vectors) = (file("jsonl")?, file("f32")?);
    for (line, vector) in entries {
        writeln!(lines, "{line}")?;
        for component in vector {
            vectors.write_all(&component.to_le_bytes())?;
        }
    }
    lines.flush()?;
    Ok(vectors.flush()?)
}

fn record(number: u64) -> Record {
    let mut numbers = Numbers(number);
    let words = 20 + numbers.below(81);
    let text: Vec<String> = (0..words).map(|_| format!("w{}", numbers.zipf(50_000.0))).collect();
    let vector = around(&mut numbers);
    let tags = [format!("t{}", numbers.below(30)), format!("t{}", numbers.below(30))];
    let payload = json!({
        "category": format!("c{}", numbers.below(10)), "user": format!("u{}", numbers.below(10_000)),
        "price": (numbers.unit() * 1e5).round() / 100.0, "tags": tags,
    });
    Record { id: format!("r{number:07}"), text: text.join(" "), vector, payload }
}

fn query(number: u64) -> Query {
    let mut numbers = Numbers(number + 77_000_000);
    let words = 2 + numbers.below(3);
    let words: Vec<String> = (0..words).map(|_| format!("w{}", 20 + numbers.below(2_000))).collect();
    Query { words: words.join(" "), vector: around(&mut numbers) }
}

fn around(numbers: &mut Numbers) -> Vec<f32> {
    let mut centre = Numbers(numbers.below(200) + 1_000_000_007);
    (0..DIMENSION).map(|_| (centre.unit() - 0.5 + 0.3 * (numbers.unit() - 0.5)) as f32).collect()
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
