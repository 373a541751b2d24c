//! Errors of searches.

use serde_json::{Value, json};

use super::simulated::Simulated;

/// A database with records that have a word.
fn with_plans() -> Simulated {
    let db = Simulated::new();
    for record in ["a", "b", "c"] {
        db.call("record.put", json!({"collection": "docs", "record": record, "text": "a plan"})).unwrap();
    }
    db
}

pub(super) fn cursor_expired() -> Vec<Value> {
    let db = with_plans();
    let mut search = json!({"collection": "docs", "words": "plan", "limit": 1, "pages": true});
    let page = db.call("record.search", search.clone()).unwrap().response;
    search["cursor"] = page["cursor"].clone();
    db.call("record.search", search.clone()).unwrap();
    db.world.advance_us(agentdb::limits::SEARCH_PIN_IDLE_US);
    vec![db.refuses_call(&[("lsn", &page["lsn"].to_string())], "record.search", search)]
}

pub(super) fn candidates_out_of_range() -> Vec<Value> {
    let db = with_plans();
    [
        (
            json!({"rerank": {"words": "plan", "candidates": 0}}),
            [("field", "rerank.candidates"), ("actual", "0")],
        ),
        (json!({"rerank": {"words": "a", "candidates": 10_001}}), [("actual", "10001"), ("limit", "10000")]),
        (json!({"diversity": {"candidates": 1_001}}), [("field", "diversity.candidates"), ("limit", "1000")]),
    ]
    .map(|(mut search, values)| {
        search["collection"] = json!("docs");
        search["words"] = json!("plan");
        db.refuses_call(&values, "record.search", search)
    })
    .into()
}

pub(super) fn rerank_needs_one() -> Vec<Value> {
    let db = with_plans();
    [json!({}), json!({"words": "a", "formula": "score"}), json!({"formula": "score", "using": "image"})]
        .map(|rerank| {
            let search = json!({"collection": "docs", "words": "plan", "rerank": rerank});
            db.refuses_call(&[("part", "rerank")], "record.search", search)
        })
        .into()
}

pub(super) fn score_not_finite() -> Vec<Value> {
    let db = with_plans();
    [json!({"log1p": {"constant": -2}}), json!({"product": [{"constant": 1e30}, {"constant": 1e30}]})]
        .map(|formula| {
            let search = json!({"collection": "docs", "words": "plan", "rerank": {"formula": formula}});
            db.refuses_call(&[("record", ""), ("part", "rerank")], "record.search", search)
        })
        .into()
}
