//! Fields to index: paths into a value, and the texts that they select.
//!
//! `a.b` is a field of a field, `a[0]` and `a[-1]` an element of an array, `a[*]` each of them, `*` each element or each
//! value of an object, `{a,b.c}` several fields, and `$` the whole value. What is not there selects nothing.

use agentdb_types::{Code, Error, Id, Result, limits};
use serde_json::Value;

/// A path that was read.
pub(super) struct FieldPath(Vec<Step>);

enum Step {
    Field(String),
    At(i64),
    EachElement,
    Each,
    Several(Vec<FieldPath>),
}

fn invalid(path: &str, reason: &str) -> Error {
    Error::new(Code::InvalidValue)
        .with("field", "fields")
        .with("reason", format_args!("{path:?} is no path into a value: {reason}"))
}

/// Reads paths.
///
/// # Errors
/// [`Code::InvalidValue`], [`Code::IdEmpty`], [`Code::IdTooLong`], [`Code::TooManyVectors`].
pub(super) fn parse(paths: &[String]) -> Result<Vec<FieldPath>> {
    check_count(paths.len())?;
    paths.iter().map(|path| FieldPath::parse(path)).collect()
}

/// Refuses more texts or vectors than an item may have.
pub(super) fn check_count(actual: usize) -> Result<()> {
    if actual <= limits::ITEM_VECTORS {
        return Ok(());
    }
    Err(Error::new(Code::TooManyVectors).with("actual", actual).with("limit", limits::ITEM_VECTORS))
}

/// The texts that paths select of a value: strings that are not empty as they are, other scalars, arrays and objects as JSON.
///
/// # Errors
/// [`Code::TooManyVectors`].
pub(super) fn texts(paths: &[FieldPath], value: &Value) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    paths.iter().for_each(|path| path.select(value, 0, &mut texts));
    check_count(texts.len())?;
    Ok(texts)
}

impl FieldPath {
    fn parse(path: &str) -> Result<Self> {
        Id::check("fields", path)?;
        if path == "$" {
            return Ok(FieldPath(Vec::new()));
        }
        let (mut steps, mut rest) = (Vec::new(), path);
        loop {
            let name_end = rest.find(['.', '[', '{']).unwrap_or(rest.len());
            let (name, mut after) = rest.split_at(name_end);
            match name {
                // Only brackets may stand without a name before them, and only at the start.
                "" if !after.starts_with(['[', '{']) => return Err(invalid(path, "a name is empty")),
                "" => {}
                "*" => steps.push(Step::Each),
                _ => steps.push(Step::Field(name.to_owned())),
            }
            while let Some(inner) = after.strip_prefix('[') {
                let (index, behind) =
                    inner.split_once(']').ok_or_else(|| invalid(path, "a bracket is not closed"))?;
                steps.push(match index {
                    "*" => Step::EachElement,
                    _ => Step::At(index.parse().map_err(|_| invalid(path, "an index is no integer"))?),
                });
                after = behind;
            }
            if let Some(inner) = after.strip_prefix('{') {
                steps.push(several(path, inner)?);
                after = "";
            }
            rest = match after.strip_prefix('.') {
                Some(behind) => behind,
                None if after.is_empty() => return Ok(FieldPath(steps)),
                None => return Err(invalid(path, "a dot is missing")),
            };
        }
    }

    /// Stops when there are more texts than any item may have.
    fn select(&self, value: &Value, at: usize, texts: &mut Vec<String>) {
        if texts.len() > limits::ITEM_VECTORS {
            return;
        }
        let Some(step) = self.0.get(at) else { return texts.extend(text(value)) };
        match (step, value) {
            (Step::Field(name), Value::Object(fields)) => {
                fields.get(name).into_iter().for_each(|field| self.select(field, at + 1, texts));
            }
            (Step::At(index), Value::Array(items)) => {
                let last = i64::try_from(items.len()).unwrap_or(i64::MAX);
                let place = if *index < 0 { last.saturating_add(*index) } else { *index };
                let item = usize::try_from(place).ok().and_then(|place| items.get(place));
                item.into_iter().for_each(|item| self.select(item, at + 1, texts));
            }
            (Step::EachElement | Step::Each, Value::Array(items)) => {
                items.iter().for_each(|item| self.select(item, at + 1, texts));
            }
            (Step::Each, Value::Object(fields)) => {
                fields.values().for_each(|field| self.select(field, at + 1, texts));
            }
            (Step::Several(paths), Value::Object(_)) => {
                paths.iter().for_each(|path| path.select(value, 0, texts));
            }
            _ => {}
        }
    }
}

/// The fields within braces, which end a path: what follows them would have to be searched in each, and again in each of
/// theirs.
fn several(path: &str, inner: &str) -> Result<Step> {
    let inside = inner.strip_suffix('}').ok_or_else(|| invalid(path, "braces do not end it"))?;
    if inside.contains(['{', '}']) {
        return Err(invalid(path, "braces within braces"));
    }
    let fields = inside.split(',').map(|field| FieldPath::parse(field.trim()));
    fields.collect::<Result<_>>().map(Step::Several)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_select_what_they_name() {
        let value = json!({
            "title": "t", "n": 1.5, "none": null, "empty": "", "ok": true,
            "a": {"b": "deep", "c": {"d": "deeper"}},
            "parts": [{"text": "p0", "tags": ["x", "y"]}, {"text": "p1"}, "bare"],
        });
        for (path, expected) in [
            ("title", &["t"][..]),
            ("n", &["1.5"]),
            ("ok", &["true"]),
            ("none", &[]),
            ("empty", &[]),
            ("missing.b", &[]),
            ("title.b", &[]),
            ("a.c", &[r#"{"d":"deeper"}"#]),
            ("a.*", &["deep", r#"{"d":"deeper"}"#]),
            ("parts[0].text", &["p0"]),
            ("parts[-1]", &["bare"]),
            ("parts[-9]", &[]),
            ("parts[9]", &[]),
            ("parts[*].text", &["p0", "p1"]),
            ("parts.*.text", &["p0", "p1"]),
            ("parts[*].tags[*]", &["x", "y"]),
            ("{title,a.b}", &["t", "deep"]),
            ("a.{b, c.d, missing}", &["deep", "deeper"]),
            ("title[0]", &[]),
        ] {
            let paths = parse(&[path.to_owned()]).unwrap();
            assert_eq!(texts(&paths, &value).unwrap(), expected, "{path}");
        }
        let whole = texts(&parse(&["$".to_owned()]).unwrap(), &json!({"b": 1, "a": [2]})).unwrap();
        assert_eq!(whole, [r#"{"a":[2],"b":1}"#]);
    }

    #[test]
    fn a_malformed_path_is_an_error() {
        for path in
            ["a..b", ".a", "a.", "a[", "a[x]", "a[0]b", "{a", "{a}.b", "{a,{b}}", "{a,}", "[0]x", "a[]"]
        {
            let err = parse(&[path.to_owned()]).err().unwrap();
            assert!(matches!(err.code(), Code::InvalidValue | Code::IdEmpty), "{path}: {err}");
        }
        assert_eq!(parse(&[String::new()]).err().unwrap().code(), Code::IdEmpty);
        assert_eq!(parse(&["x".repeat(513)]).err().unwrap().code(), Code::IdTooLong);
    }

    #[test]
    fn more_texts_than_an_item_may_have_vectors_are_refused() {
        let paths = parse(&["a[*]".to_owned()]).unwrap();
        let value = |count| json!({"a": vec!["x"; count]});
        assert_eq!(texts(&paths, &value(limits::ITEM_VECTORS)).unwrap().len(), limits::ITEM_VECTORS);
        let err = texts(&paths, &value(1_000_000)).unwrap_err();
        assert_eq!(err.code(), Code::TooManyVectors);
        assert_eq!(parse(&vec!["a".to_owned(); 101]).err().unwrap().code(), Code::TooManyVectors);
    }
}
