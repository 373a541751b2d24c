//! How good the order of hits is: the Cranfield collection (1,400 abstracts, and queries whose relevant abstracts are known), by nDCG@10; by
//! words alone, and by words and vectors together, with the bundled encoder. `AGENTDB_DATA` names the directory that has `cranfield/`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use agentdb::modules::collection::TextSettings;
use agentdb::modules::record::{Feedback, SubQuery};
use agentdb::{Analyzer, Code, Collection, Database, Query, json};
use anyhow::{Context, Result};
use serde::Deserialize;

use crate::measure::Results;

const BATCH: usize = 100;
/// Title and text are two texts; the title counts half, which was chosen on the same queries.
const TITLE_WEIGHT: f64 = 0.5;
/// What the vectors count beside the words, which count 1, in hybrid search; chosen on the first, third, ... of the queries.
const VECTOR_WEIGHT: f64 = 0.8;

#[derive(Deserialize)]
struct Abstract {
    id: String,
    title: String,
    text: String,
}

#[derive(Deserialize)]
struct Judged {
    text: String,
    relevant: HashMap<String, f64>,
}

pub fn run(dir: &Path, results: &mut Results) -> Result<()> {
    let Some((corpus, queries)) = read()? else {
        eprintln!("cranfield is skipped: there is no cranfield/ in AGENTDB_DATA or ../shared/data");
        return Ok(());
    };
    let options = match Database::options().local_text_encoder(1) {
        Err(err) if err.code() == Code::ModelNotFound => {
            eprintln!("cranfield is skipped: {err}");
            return Ok(());
        }
        options => options?,
    };
    std::fs::create_dir_all(dir)?;
    let db = options.open(dir.join("cranfield"))?;
    let docs = load(&db, &corpus)?;
    let words = |query: &str| Ok(Query::words(query));
    let fused = |weight: f64| {
        move |query: &str| {
            Ok(Query::several([SubQuery::words(query), weighted(SubQuery::text(query), weight)]))
        }
    };
    add("cranfield words", &gains(&docs, &queries, words)?, results);
    add("cranfield vectors", &gains(&docs, &queries, |query| Ok(Query::text(query)))?, results);
    add("cranfield hybrid, equal weights", &gains(&docs, &queries, fused(1.0))?, results);
    add("cranfield hybrid", &gains(&docs, &queries, fused(VECTOR_WEIGHT))?, results);
    add("cranfield hybrid, with feedback", &gains(&docs, &queries, feedback)?, results);
    Ok(())
}

fn weighted(query: SubQuery, weight: f64) -> SubQuery {
    SubQuery { weight: Some(weight), ..query }
}

/// With feedback as it is unless something else is said: the best hit is searched for, too, by its vector, for half the weight.
fn feedback(query: &str) -> Result<Query> {
    Ok(Query::several([SubQuery::words(query), SubQuery::text(query)]).feedback(Feedback::default()))
}

fn read() -> Result<Option<(Vec<Abstract>, Vec<Judged>)>> {
    let given = std::env::var_os("AGENTDB_DATA").map(PathBuf::from);
    let root = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let dir = root.join("cranfield");
    if !dir.exists() {
        return Ok(None);
    }
    Ok(Some((lines(&dir.join("corpus.jsonl"))?, lines(&dir.join("queries-dev.jsonl"))?)))
}

fn lines<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn load(db: &Database, corpus: &[Abstract]) -> Result<Collection> {
    let namespace = db.namespace("default")?;
    let docs = namespace.collection("abstracts");
    let english = |weight| TextSettings { weight: weight as _, analyzer: Analyzer::English };
    let texts = [("title", english(TITLE_WEIGHT)), ("text", english(1.0))];
    docs.create().encoder("minilm-l6-int8").texts(texts).wait()?;
    // Two have no text, and are never found.
    let present: Vec<&Abstract> = corpus.iter().filter(|each| !each.text.trim().is_empty()).collect();
    for abstracts in present.chunks(BATCH) {
        let mut batch = namespace.batch();
        for each in abstracts {
            batch =
                batch.push(docs.put(&each.id[..]).text(&each.text[..]).payload(json!({"title": each.title})));
        }
        batch.wait()?;
    }
    Ok(docs)
}

/// nDCG@10 of each query; what is not judged is not relevant.
fn gains(docs: &Collection, queries: &[Judged], query: impl Fn(&str) -> Result<Query>) -> Result<Vec<f64>> {
    let gain = |rank: usize, grade: f64| (2f64.powf(grade) - 1.0) / (rank as f64 + 2.0).log2();
    let mut each = Vec::new();
    for judged in queries {
        let hits = docs.search(query(&judged.text)?)?;
        let grade = |id: &str| judged.relevant.get(id).copied().unwrap_or(0.0);
        let found: f64 = hits.iter().enumerate().map(|(rank, hit)| gain(rank, grade(&hit.record))).sum();
        let mut grades: Vec<f64> = judged.relevant.values().copied().collect();
        grades.sort_by(|a, b| b.total_cmp(a));
        let best: f64 = grades.iter().take(10).enumerate().map(|(rank, grade)| gain(rank, *grade)).sum();
        each.push(if best > 0.0 { found / best } else { 0.0 });
    }
    Ok(each)
}

/// The mean of all queries, and those of two halves: every other query from the first on, by which weights are chosen, and the rest.
fn add(case: &str, gains: &[f64], results: &mut Results) {
    let halves = [(0, 1, "ndcg_at_10"), (0, 2, "ndcg_at_10_chosen_by"), (1, 2, "ndcg_at_10_others")];
    for (from, step, metric) in halves {
        let some: Vec<f64> = gains.iter().skip(from).step_by(step).copied().collect();
        results.add(case, metric, "", true, "ours", some.iter().sum::<f64>() / some.len() as f64);
    }
}
