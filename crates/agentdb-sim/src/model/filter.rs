//! Filters, as far as the generator makes them: over fields that hold integers, texts and lists of texts.

use serde_json::Value;

/// Whether a payload matches.
pub(super) fn matches(filter: &Value, payload: &Value) -> bool {
    let Some(terms) = filter.as_object() else { return false };
    terms.iter().all(|(name, test)| match name.as_str() {
        "$or" => test.as_array().is_some_and(|parts| parts.iter().any(|part| matches(part, payload))),
        "$and" => test.as_array().is_some_and(|parts| parts.iter().all(|part| matches(part, payload))),
        "$not" => !matches(test, payload),
        field => match test.as_object() {
            None => payload.get(field) == Some(test),
            Some(tests) => tests.iter().all(|(operator, value)| holds(operator, payload.get(field), value)),
        },
    })
}

fn holds(operator: &str, field: Option<&Value>, value: &Value) -> bool {
    let numbers = || Some((field?.as_i64()?, value.as_i64()?));
    let listed = || value.as_array().is_some_and(|values| field.is_some_and(|f| values.contains(f)));
    match operator {
        "$exists" => Some(field.is_some()) == value.as_bool(),
        "$ne" => field != Some(value),
        "$in" => listed(),
        "$nin" => !listed(),
        "$gte" => numbers().is_some_and(|(a, b)| a >= b),
        "$lt" => numbers().is_some_and(|(a, b)| a < b),
        "$contains" => field.and_then(Value::as_array).is_some_and(|items| items.contains(value)),
        _ => false,
    }
}
