//! Which part of records an answer gives back.

use agentdb_types::{Code, Error, Result, limits};
use serde_json::{Map, Value};

/// Refuses paths that name no field, and more of them than a filter could have.
pub(super) fn check(fields: Option<&[String]>) -> Result<()> {
    let refuse =
        |reason: &str| Err(Error::new(Code::InvalidValue).with("field", "fields").with("reason", reason));
    let fields = fields.unwrap_or_default();
    if fields.len() > limits::FILTER_TERMS {
        return refuse(&format!("there are {} paths, and may be {}", fields.len(), limits::FILTER_TERMS));
    }
    if fields.iter().any(|path| path.split('.').any(str::is_empty)) {
        return refuse("a path has no empty names");
    }
    Ok(())
}

/// What a payload has at these paths, where it has it; all of it if there are none to choose by.
pub(super) fn select(payload: Map<String, Value>, fields: Option<&[String]>) -> Map<String, Value> {
    let Some(fields) = fields else { return payload };
    let mut selected = Map::new();
    for path in fields {
        add(&mut selected, &payload, path);
    }
    selected
}

fn add(to: &mut Map<String, Value>, from: &Map<String, Value>, path: &str) {
    let Some((name, rest)) = path.split_once('.') else {
        if let Some(value) = from.get(path) {
            to.insert(path.to_owned(), value.clone());
        }
        return;
    };
    let Some(Value::Object(from)) = from.get(name) else { return };
    let below = to.get_mut(name).and_then(Value::as_object_mut);
    let mut found = below.map(std::mem::take).unwrap_or_default();
    add(&mut found, from, rest);
    if !found.is_empty() {
        to.insert(name.to_owned(), Value::Object(found));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_choose_what_is_there_and_keep_where_it_was() {
        let payload = json!({"a": 1, "b": {"c": 2, "d": {"e": 3, "f": null}}, "list": [{"g": 4}], "b.c": 5});
        let Value::Object(payload) = payload else { panic!() };
        let of = |fields: &[&str]| {
            let fields: Vec<String> = fields.iter().map(|path| (*path).to_owned()).collect();
            check(Some(&fields)).unwrap();
            Value::Object(select(payload.clone(), Some(&fields)))
        };
        assert_eq!(of(&[]), json!({}));
        assert_eq!(of(&["a", "none", "a.x", "list.g"]), json!({"a": 1}));
        assert_eq!(of(&["b.c", "b.d.f"]), json!({"b": {"c": 2, "d": {"f": null}}}));
        assert_eq!(of(&["b", "b.c"]), json!({"b": {"c": 2, "d": {"e": 3, "f": null}}}));
        assert_eq!(of(&["b.c", "b"]), of(&["b"]));
        assert_eq!(of(&["list"]), json!({"list": [{"g": 4}]}));
        assert_eq!(select(payload.clone(), None), payload);
        for path in ["", ".a", "a.", "a..b"] {
            assert_eq!(check(Some(&[path.to_owned()])).unwrap_err().code(), Code::InvalidValue);
        }
        assert!(check(Some(&vec!["a".to_owned(); limits::FILTER_TERMS + 1])).is_err());
    }
}
