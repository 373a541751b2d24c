//! Feedback: a search of which the best hits are searched for, too.

use agentdb_types::Code;
use serde_json::{Value, json};

use crate::modules::collection::Create;
use crate::modules::record::{Feedback, Found, Put, Search, SubQuery};
use crate::modules::testing::TestDb;

fn database() -> TestDb {
    let db = TestDb::new(1);
    db.write(Create { dimension: Some(2), ..Create::new("docs") }).unwrap();
    for n in 0..40u16 {
        let (x, y) = (f32::from(n * 37 % 40), f32::from(n * 11 % 23) + 1.0);
        let text = ["agent plan", "plan", "memory of plans", "note"][usize::from(n % 4)];
        let put = Put { record: Some(format!("r{n:02}")), text: Some(text.into()), ..Put::new("docs") };
        let vector = (n % 7 != 3).then(|| vec![x, y]);
        db.write(Put { vector, ..put }).unwrap();
    }
    db
}

fn weighted(query: SubQuery, weight: f64) -> SubQuery {
    SubQuery { weight: Some(weight), limit: Some(30), ..query }
}

fn queries() -> Vec<SubQuery> {
    vec![weighted(SubQuery::words("agent memory"), 1.0), weighted(SubQuery::vector([3.0, 9.0]), 0.8)]
}

fn order(found: &Found) -> Vec<(String, f32)> {
    found.hits.iter().map(|hit| (hit.record.clone(), hit.score)).collect()
}

/// The vector of a record.
fn vector(db: &TestDb, record: &str) -> Option<Vec<f32>> {
    let get = crate::decode(json!({"collection": "docs", "record": record, "include_vector": true})).unwrap();
    db.read::<crate::modules::record::Get>(get).unwrap().vector
}

#[test]
fn it_is_a_search_for_the_best_hits_of_the_search_without_it() {
    let db = database();
    for (records, weight) in [(1, 0.5), (3, 0.25), (10, 1.0)] {
        let plain = Search { queries: queries(), limit: Some(30), ..Search::new("docs") };
        let first = db.read(plain.clone()).unwrap();
        let best =
            first.hits.iter().take(records).filter_map(|hit| vector(&db, &hit.record)).collect::<Vec<_>>();
        assert!(!best.is_empty());
        let mut by_hand = queries();
        let given = 0.8 * weight / best.len() as f64;
        by_hand.extend(best.into_iter().map(|vector| weighted(SubQuery::vector(vector), given)));
        match weight == 1.0 {
            true => drop(by_hand.remove(1)),
            false => by_hand[1].weight = Some(0.8 * (1.0 - weight)),
        }
        let expected = db.read(Search { queries: by_hand, ..plain.clone() }).unwrap();
        let feedback = Some(Feedback { records: Some(records), weight: Some(weight) });
        let found = db.read(Search { feedback, ..plain.clone() }).unwrap();
        let names = |found: &Found| found.hits.iter().map(|hit| hit.record.clone()).collect::<Vec<_>>();
        assert_eq!(names(&found), names(&expected), "{records} {weight}");
        for (a, b) in order(&found).iter().zip(order(&expected)) {
            assert!((a.1 - b.1).abs() < 1e-6, "{a:?} {b:?}");
        }
        let fed: Vec<_> = found.hits[0].shares.iter().filter_map(|share| share.feedback.clone()).collect();
        assert!(
            fed.iter().all(|record| names(&first)[..records].contains(record)) && !fed.is_empty(),
            "{fed:?}"
        );
        // Page by page it is the same.
        let mut page = db.read(Search { feedback, pages: true, limit: Some(7), ..plain.clone() }).unwrap();
        let mut paged = order(&page);
        while let Some(cursor) = page.cursor.take() {
            let next = Search { feedback, cursor: Some(cursor), limit: Some(7), ..plain.clone() };
            page = db.read(next).unwrap();
            paged.extend(order(&page));
        }
        assert_eq!(paged[..30], order(&found)[..]);
    }
}

#[test]
fn where_nothing_is_found_or_compared_it_changes_nothing() {
    let db = database();
    let feedback = Some(Feedback::default());
    let plain = |queries| Search { queries, ..Search::new("docs") };
    for queries in [vec![SubQuery::words("agent")], vec![SubQuery::words("nothing")]] {
        let expected = db.read(plain(queries.clone())).unwrap();
        assert_eq!(db.read(Search { feedback, ..plain(queries) }).unwrap(), expected);
    }
}

#[test]
fn what_it_cannot_be_is_refused() {
    let db = database();
    let search = |more: Value| {
        let mut request = json!({"collection": "docs", "queries": [{"vector": [1, 1]}]});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        db.read(crate::decode::<Search>(request).unwrap()).unwrap_err()
    };
    for (more, field) in [
        (json!({"feedback": {"records": 0}}), "feedback.records"),
        (json!({"feedback": {"records": 11}}), "feedback.records"),
        (json!({"feedback": {"weight": 0}}), "feedback.weight"),
        (json!({"feedback": {"weight": 1.5}}), "feedback.weight"),
        (json!({"feedback": {}, "queries": [], "vector": [1, 1]}), "feedback"),
    ] {
        let err = search(more.clone());
        assert_eq!(err.code(), Code::InvalidValue, "{more}");
        assert!(err.to_string().contains(field), "{more}: {err}");
    }
}
