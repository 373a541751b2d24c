//! The plan of a search, and what scores are made of.

use serde_json::{Value, json};

use crate::Task;
use crate::modules::collection::Create;
use crate::modules::record::{Explanation, Found, How, Method, Put, Search};
use crate::modules::testing::TestDb;

fn db() -> TestDb {
    let db = TestDb::new(1);
    db.write(Create { dimension: Some(2), ..Create::new("docs") }).unwrap();
    for n in 0..40u8 {
        let Value::Object(payload) = json!({"n": n, "even": n % 2 == 0}) else { panic!("no object") };
        let text = Some(format!("plan {}", "note ".repeat(usize::from(n % 3))));
        let (record, vector) = (Some(format!("r{n:02}")), Some(vec![f32::from(n), 1.0]));
        db.write(Put { record, text, vector, payload, ..Put::new("docs") }).unwrap();
    }
    db
}

fn search(db: &TestDb, request: &Value) -> Found {
    let mut request = request.clone();
    request["collection"] = json!("docs");
    let plain = db.read(crate::decode::<Search>(request.clone()).unwrap()).unwrap();
    request["explain"] = json!(true);
    let explained = db.read(crate::decode::<Search>(request).unwrap()).unwrap();
    assert_eq!(plain.plan, None);
    let ids = |found: &Found| found.hits.iter().map(|h| (h.record.clone(), h.score)).collect::<Vec<_>>();
    assert_eq!(ids(&plain), ids(&explained));
    explained
}

#[test]
fn the_plan_tells_how_records_were_found() {
    let db = db();
    let few = json!({"n": {"$lt": 4}});
    for (request, method, matching) in [
        (json!({"vector": [1, 0]}), Method::Scan, None),
        (json!({"vector": [1, 0], "filter": {"even": true}}), Method::Scan, Some(20)),
        (json!({"vector": [1, 0], "filter": few}), Method::Matching, Some(4)),
        (json!({"words": "note"}), Method::Words, None),
        (json!({"words": "note", "filter": few}), Method::Words, Some(4)),
    ] {
        let plan = search(&db, &request).plan.unwrap();
        let [query] = &plan.queries[..] else { panic!("{plan:?}") };
        assert_eq!((query.method, query.limit), (method, 10), "{request}");
        assert_eq!(query.records.as_ref().and_then(|r| r.matching), matching, "{request}");
        if let (Some(count), Some(records)) = (matching, &query.records) {
            let term = &records.filter.as_ref().unwrap().term;
            assert_eq!((records.total, records.changed, records.made), (40, 0, false));
            assert_eq!((term.found, term.how), (count, How::Index), "{request}");
            assert!(term.low <= count && count <= term.high, "{request}");
        }
    }
    let queries = json!([{"words": "note"}, {"vector": [1, 0], "filter": few, "limit": 3}]);
    let plan = search(&db, &json!({"queries": queries, "filter": {"even": true}})).plan.unwrap();
    let shown: Vec<_> = plan.queries.iter().map(|q| (q.method, q.limit, q.found)).collect();
    assert_eq!(shown, [(Method::Words, 100, 13), (Method::Matching, 3, 2)]);
    let second = plan.queries[1].records.as_ref().unwrap().filter.as_ref().unwrap();
    assert_eq!((&second.term.test[..], second.term.terms.len()), ("and", 2));
}

/// A reader of an earlier moment looks at what was changed since, and where that is forgotten, an index is made for it.
#[test]
fn the_plan_tells_what_an_earlier_moment_costs() {
    let db = db();
    let filter = json!({"collection": "docs", "words": "note", "filter": {"even": true}, "explain": true});
    let read = |snapshot: &crate::Snapshot| {
        let found = db.engine().read(snapshot, crate::decode::<Search>(filter.clone()).unwrap()).unwrap();
        let records = found.plan.unwrap().queries[0].records.clone().unwrap();
        (records.changed, records.made, records.matching)
    };
    let old = db.engine().snapshot(db.namespace).unwrap();
    assert_eq!(read(&old), (0, false, Some(20)));
    let change = |n: usize| {
        let record = Some(format!("r{:02}", n % 3));
        db.write(Put { record, text: Some(format!("{n}")), ..Put::new("docs") }).unwrap();
    };
    (0..5).for_each(change);
    db.run(Task::Index);
    assert_eq!(read(&old), (3, false, Some(20)));
    (0..9_000).for_each(change);
    assert_eq!(read(&db.engine().snapshot(db.namespace).unwrap()), (0, false, Some(18)));
    assert_eq!(read(&old), (0, true, Some(20)));
}

#[test]
fn scores_by_words_are_explained_to_the_last_share() {
    let db = db();
    let whole = |score: f32, explanation: &Explanation| {
        assert_eq!(explanation.score, Some(score));
        let sum: f32 = explanation.shares.iter().map(|share| share.score).sum();
        assert!((sum - score).abs() < 1e-5, "{explanation:?}");
    };
    let found = search(&db, &json!({"words": "plan notes note"}));
    assert_eq!(found.hits.len(), 10);
    for hit in &found.hits {
        whole(hit.score, hit.explanation.as_ref().unwrap());
    }
    let terms: Vec<_> =
        found.hits[0].explanation.as_ref().unwrap().shares.iter().map(|s| &s.term[..]).collect();
    assert_eq!(terms, ["plan", "note"]);
    let queries = json!([{"vector": [1, 0]}, {"words": "note"}]);
    let found = search(&db, &json!({"queries": queries}));
    let mut explained = 0;
    for hit in &found.hits {
        assert_eq!(hit.explanation, None);
        for share in &hit.shares {
            assert_eq!(share.explanation.is_some(), share.query == 1);
            if let Some(explanation) = &share.explanation {
                whole(share.score, explanation);
                explained += 1;
            }
        }
    }
    assert!(explained > 0);
}
