//! How good the order of the hits is: the Cranfield collection, by nDCG@10.

use std::path::PathBuf;

use agentdb_text::{Analyzer, Field, Query, Search, TextIndex};
use agentdb_types::Lsn;
use serde_json::Value;

/// The lines of a file; none if it is not there. Tests may read files, the crate itself does not.
#[allow(clippy::disallowed_methods)]
fn lines(name: &str) -> Option<Vec<Value>> {
    let given = std::env::var_os("AGENTDB_DATA").map(PathBuf::from);
    let root =
        given.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let text = std::fs::read_to_string(root.join("cranfield").join(name)).ok()?;
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn ndcg(fields: Vec<Field>, corpus: &[Value], queries: &[Value]) -> f64 {
    let index = TextIndex::new(fields.clone()).unwrap();
    for (lsn, entry) in (1..).zip(corpus) {
        let slot = entry["id"].as_str().unwrap().parse().unwrap();
        let text = |name: &str| entry[name].as_str().unwrap();
        let (title, body) = (text("title"), text("text"));
        let both = format!("{title} {body}");
        let texts = if fields.len() == 1 { vec![Some(&*both)] } else { vec![Some(title), Some(body)] };
        index.insert(slot, Lsn(lsn), &texts).unwrap();
    }
    let at = Lsn(corpus.len() as u64);
    let gain = |rank: usize, grade: f64| (2f64.powf(grade) - 1.0) / (rank as f64 + 2.0).log2();
    let one = |query: &Value| {
        let relevant = query["relevant"].as_object().unwrap();
        let grade = |slot: u64| relevant.get(&slot.to_string()).and_then(Value::as_f64).unwrap_or(0.0);
        let hits = index.search(&Query::from(query["text"].as_str().unwrap()), &Search::new(at, 10)).unwrap();
        let found: f64 = hits.iter().enumerate().map(|(rank, h)| gain(rank, grade(h.slot))).sum();
        let mut grades: Vec<f64> = relevant.values().filter_map(Value::as_f64).collect();
        grades.sort_by(|a, b| b.total_cmp(a));
        let best: f64 = grades.iter().take(10).enumerate().map(|(rank, g)| gain(rank, *g)).sum();
        if best > 0.0 { found / best } else { 0.0 }
    };
    queries.iter().map(one).sum::<f64>() / queries.len() as f64
}

#[test]
fn cranfield() {
    let (Some(corpus), Some(queries)) = (lines("corpus.jsonl"), lines("queries-dev.jsonl")) else {
        eprintln!("skipped: no cranfield/ in AGENTDB_DATA or ../shared/data");
        return;
    };
    let field = |name: &str, weight| Field { name: name.into(), weight, analyzer: Analyzer::English };
    let together = ndcg(vec![field("text", 1.0)], &corpus, &queries);
    let separate = ndcg(vec![field("title", 0.5), field("text", 1.0)], &corpus, &queries);
    println!("nDCG@10 over {} queries: one field {together:.4}, two fields {separate:.4}", queries.len());
    assert!(together > 0.515 && separate > 0.52, "one field {together:.4}, two fields {separate:.4}");
}
