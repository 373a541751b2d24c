//! Hits that give back a part of their records are those of the same search that gives back all.

use serde_json::{Value, json};

use crate::modules::collection::Create;
use crate::modules::record::{List, Put, Search};
use crate::modules::testing::TestDb;

fn filled() -> TestDb {
    let db = TestDb::new(1);
    db.write(Create { dimension: Some(2), ..Create::new("docs") }).unwrap();
    for n in 0..20u64 {
        let Value::Object(payload) = json!({"n": n, "of": {"kind": n % 3, "left": [n]}}) else { panic!() };
        let (record, text) =
            (Some(format!("r{n:02}")), (n % 5 != 0).then(|| format!("plan {n} of {}", n % 4)));
        let vector = Some(vec![n as f32, 1.0]);
        db.write(Put { record, text, vector, payload, ..Put::new("docs") }).unwrap();
    }
    db
}

#[test]
fn a_part_of_the_records_is_what_all_of_them_have_of_it() {
    let db = filled();
    let searches = [
        json!({"collection": "docs", "vector": [3, 1]}),
        json!({"collection": "docs", "vector": [3, 1], "include_vector": true, "filter": {"n": {"$gt": 4}}}),
        json!({"collection": "docs", "words": "plan"}),
        json!({"collection": "docs", "words": "plan", "highlight": {}, "explain": true}),
        json!({"collection": "docs", "queries": [{"words": "plan"}, {"vector": [0, 1]}], "explain": true}),
        json!({"collection": "docs", "words": "plan", "group_by": {"field": "of.kind"}, "limit": 2}),
        json!({"collection": "docs", "words": "plan", "diversity": {}, "limit": 4}),
    ];
    for search in searches {
        let found = |fields: Value| {
            let mut request = search.clone();
            request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            json!(db.read(serde_json::from_value::<Search>(request).unwrap()).unwrap())
        };
        let all = found(json!({}));
        assert!(all["hits"].as_array().unwrap().len() > 1);
        for (fields, of) in [(json!([]), &[][..]), (json!(["n"]), &["n"]), (json!(["of", "none"]), &["of"])] {
            for omit_text in [false, true] {
                let mut expected = all.clone();
                for hit in expected["hits"].as_array_mut().unwrap() {
                    let hit = hit.as_object_mut().unwrap();
                    hit["payload"].as_object_mut().unwrap().retain(|name, _| of.contains(&&**name));
                    if omit_text {
                        hit.remove("text");
                    }
                }
                assert_eq!(found(json!({"fields": fields, "omit_text": omit_text})), expected, "{search}");
            }
        }
    }
    let list = |fields: Value| {
        let mut request = json!({"collection": "docs", "filter": {"n": {"$lt": 9}}});
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        db.read(serde_json::from_value::<List>(request).unwrap()).unwrap().items
    };
    let mut expected = list(json!({}));
    for entry in &mut expected {
        entry.text = None;
        entry.payload.retain(|name, _| name == "n");
    }
    assert_eq!(list(json!({"fields": ["n"], "omit_text": true})), expected);
}
