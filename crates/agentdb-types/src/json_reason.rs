//! Why JSON does not become a request, in JSON's own words.

use std::fmt::Display;

/// What an error of reading JSON says, with the names of types in the program made the names of what JSON has: an object where
/// the program has a structure, a number where it has a float.
pub fn reason(err: &impl Display) -> String {
    let said = err.to_string();
    let said = match said.strip_prefix("data did not match any variant of untagged enum ") {
        Some(_) => "it is none of the forms that there are".to_owned(),
        None => said,
    };
    let said = match said.rsplit_once(", expected ") {
        Some((found, expected)) => format!("{found}, expected {}", plain(expected)),
        None => said,
    };
    let said = said.replace("invalid type: map", "invalid type: an object");
    let said = said.replace("invalid type: sequence", "invalid type: a list");
    said.replace("invalid type: unit value", "invalid type: null")
}

fn plain(expected: &str) -> String {
    let first = expected.split(' ').next().unwrap_or(expected);
    let plain = match first {
        "struct" | "map" => "an object",
        "internally" | "adjacently" => "an object that says of which kind it is",
        "enum" => "one of its names",
        "sequence" => "a list",
        "f32" | "f64" => "a number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "an integer of 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "an integer",
        "bool" => "true or false",
        _ => match expected {
            "a map" => "an object",
            "a sequence" => "a list",
            "a boolean" => "true or false",
            "string or map" => "a name, or an object of one key",
            "variant identifier" => "the name of a kind",
            other => other,
        },
    };
    plain.to_owned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "it is only read into")]
    struct Field {
        count: Option<u64>,
        weight: Option<f32>,
        kind: Option<Kind>,
        list: Option<Vec<Field>>,
        tagged: Option<Tagged>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        One,
    }

    #[derive(Debug, Deserialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Tagged {
        One,
    }

    #[test]
    fn no_reason_names_a_type_of_the_program() {
        for (json, expected) in [
            (json!(1), "an object"),
            (json!({"count": -1}), "an integer of 0 or more"),
            (json!({"weight": "x"}), "a number"),
            (json!({"kind": "two"}), "`one`"),
            (json!({"kind": 1}), ""),
            (json!({"list": {}}), "a list"),
            (json!({"list": [null]}), "invalid type: null"),
            (json!({"tagged": 1}), "an object that says"),
            (json!({"other": 1}), "unknown field `other`"),
        ] {
            let said = reason(&Field::deserialize::<Value>(json.clone()).unwrap_err());
            assert!(said.contains(expected), "{json}: {said}");
            for word in ["struct", "enum", "Field", "Kind", "Tagged", "u64", "f32", "sequence", "unit", "map"]
            {
                assert!(!said.contains(word), "{json}: {said}");
            }
        }
    }
}
