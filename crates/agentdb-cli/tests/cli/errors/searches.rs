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
