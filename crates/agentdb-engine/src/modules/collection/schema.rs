//! What the fields of payloads in a collection may be: declared, or learnt from the first value and fixed from then on.

use std::borrow::Cow;

use agentdb_types::{Code, Error, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::filter::{Field, FieldType, Fields};

/// What becomes of fields that are not declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Undeclared {
    /// The first string, number or boolean (or list of such) fixes the type of its field, as if it had been declared.
    /// Other values leave it open.
    #[default]
    Infer,
    /// They may have any value, now this, now that.
    Allow,
    /// They are refused.
    Refuse,
}

/// Checks a payload, and learns the types of fields that it is the first to have; returns all fields if there were any.
///
/// What tells no type (null, an empty list, one of several types, an object without values) fits a field whose type was
/// inferred, so that whatever was stored once can be stored again.
///
/// # Errors
/// [`Code::FieldTypeMismatch`], [`Code::FieldUndeclared`], [`Code::TooManyFields`].
pub(crate) fn learn(
    fields: &Fields,
    undeclared: Undeclared,
    payload: &Map<String, Value>,
) -> Result<Option<Fields>> {
    let mut pupil = Pupil { fields: Cow::Borrowed(fields), undeclared, path: String::new() };
    pupil.object(payload)?;
    Ok(match pupil.fields {
        Cow::Owned(learnt) => Some(learnt),
        Cow::Borrowed(_) => None,
    })
}

/// Refuses fields that records cannot have all of: too many, and one below another, since no value is of both types.
pub(super) fn check(fields: &Fields) -> Result<()> {
    if let Some((path, _)) = fields.iter().find(|(path, _)| fields.any_below(path)) {
        return Err(Error::new(Code::InvalidName)
            .with("field", "fields")
            .with("value", path)
            .with("reason", "there are fields below it that have types of their own"));
    }
    check_count(fields)
}

/// Refuses more declared fields than there may be.
fn check_count(fields: &Fields) -> Result<()> {
    let actual = fields.iter().count();
    if actual <= limits::FIELDS {
        return Ok(());
    }
    Err(Error::new(Code::TooManyFields).with("actual", actual).with("limit", limits::FIELDS))
}

struct Pupil<'a> {
    /// Owned once it has learnt something.
    fields: Cow<'a, Fields>,
    undeclared: Undeclared,
    path: String,
}

impl Pupil<'_> {
    fn object(&mut self, object: &Map<String, Value>) -> Result<()> {
        let length = self.path.len();
        for (name, value) in object {
            if length > 0 {
                self.path.push('.');
            }
            self.path.push_str(name);
            // No filter can name such a field: a path has dots between names, and `$` before operators.
            let nameable = !name.is_empty() && !name.contains('.') && !name.starts_with('$');
            if nameable {
                self.value(value)?;
            } else if self.undeclared == Undeclared::Refuse {
                return self.refuse();
            }
            self.path.truncate(length);
        }
        Ok(())
    }

    fn value(&mut self, value: &Value) -> Result<()> {
        let kind = FieldType::infer(value);
        match self.fields.get(&self.path) {
            Some(field) if !field.inferred || kind.is_some_and(|kind| kind != field.kind) => {
                return field.kind.check(&self.path, value);
            }
            Some(_) if kind.is_some() => return Ok(()),
            _ => {}
        }
        let infers = self.undeclared == Undeclared::Infer;
        match (value, kind) {
            (Value::Null, _) => Ok(()),
            (Value::Object(object), _) if infers || self.fields.any_below(&self.path) => self.object(object),
            (_, Some(kind)) if infers => self.declare(kind, value),
            _ if self.undeclared == Undeclared::Refuse => self.refuse(),
            _ => Ok(()),
        }
    }

    fn declare(&mut self, kind: FieldType, value: &Value) -> Result<()> {
        let mismatch = |field: &str, expected: &dyn std::fmt::Display, found: &str| {
            Err(Error::new(Code::FieldTypeMismatch)
                .with("field", field)
                .with("expected", expected)
                .with("found", found)
                .with("value", value))
        };
        if self.fields.any_below(&self.path) {
            return mismatch(&self.path, &"an object with fields of its own", "another value");
        }
        for (end, _) in self.path.match_indices('.') {
            if let Some(above) = self.fields.get(&self.path[..end]) {
                return mismatch(&self.path[..end], &above.kind, "an object with such a value in it");
            }
        }
        let fields = self.fields.to_mut();
        fields.declare(self.path.clone(), Field { kind, indexed: true, inferred: true })?;
        check_count(fields)
    }

    fn refuse(&self) -> Result<()> {
        Err(Error::new(Code::FieldUndeclared).with("field", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn taught(
        fields: &mut Fields,
        undeclared: Undeclared,
        payload: Value,
    ) -> std::result::Result<bool, Code> {
        let Value::Object(payload) = payload else { panic!("no object") };
        let learnt = learn(fields, undeclared, &payload).map_err(|err| err.code())?;
        Ok(learnt.map(|learnt| *fields = learnt).is_some())
    }

    #[test]
    fn the_first_value_fixes_the_type() {
        let mut fields = Fields::default();
        let mut infer = |payload| taught(&mut fields, Undeclared::Infer, payload);
        let first = json!({"n": 1, "at": {"x": "y"}, "tags": ["a"], "none": null, "mixed": [1, "a"]});
        assert_eq!(infer(first), Ok(true));
        assert_eq!(infer(json!({"n": 2.5, "at": {"x": "z"}, "tags": "b"})), Ok(false));
        for wrong in [
            json!({"n": "1"}),
            json!({"n": {"of": 1}}),
            json!({"n": ["1"]}),
            json!({"at": 1}),
            json!({"at": {"x": false}}),
            json!({"tags": [1]}),
        ] {
            assert_eq!(infer(wrong.clone()), Err(Code::FieldTypeMismatch), "{wrong}");
        }
        // What no filter can name is let be.
        assert_eq!(infer(json!({"a.b": 1, "": 2, "$x": 3, "mixed": [2]})), Ok(true));
        let learnt: Vec<_> = fields.iter().map(|(path, field)| format!("{path}: {}", field.kind)).collect();
        assert_eq!(learnt, ["at.x: string", "mixed: number", "n: number", "tags: string"]);
    }

    /// Whatever was stored once can be stored again, in any order: by a patch of something else, by an import.
    #[test]
    fn what_tells_no_type_fits_what_was_inferred_and_not_what_was_declared() {
        let mut fields = Fields::default();
        let open = [json!([1, "a"]), json!([]), json!(null), json!({}), json!({"y": {}}), json!([{"of": 1}])];
        for open in &open {
            assert_eq!(taught(&mut fields, Undeclared::Infer, json!({"f": open})), Ok(false));
        }
        assert_eq!(taught(&mut fields, Undeclared::Infer, json!({"f": "text"})), Ok(true));
        for open in &open {
            assert_eq!(taught(&mut fields, Undeclared::Infer, json!({"f": open})), Ok(false), "{open}");
        }
        fields.declare("f", Field { kind: FieldType::String, indexed: true, inferred: false }).unwrap();
        for wrong in [json!([1, "a"]), json!({}), json!({"y": {}})] {
            let refused = taught(&mut fields, Undeclared::Infer, json!({"f": wrong}));
            assert_eq!(refused, Err(Code::FieldTypeMismatch));
        }
    }

    #[test]
    fn undeclared_fields_are_allowed_or_refused() {
        let mut fields = Fields::default();
        let number = Field { kind: FieldType::Number, indexed: true, inferred: false };
        fields.declare("at.x", number).unwrap();
        let mut with = |undeclared, payload| taught(&mut fields, undeclared, payload);
        assert_eq!(with(Undeclared::Allow, json!({"b": 1, "at": {"x": 1, "y": []}})), Ok(false));
        assert_eq!(with(Undeclared::Allow, json!({"b": "now a text", "at": 7})), Ok(false));
        assert_eq!(with(Undeclared::Allow, json!({"at": {"x": "1"}})), Err(Code::FieldTypeMismatch));
        assert_eq!(with(Undeclared::Refuse, json!({"at": {"x": 1}, "b": null})), Ok(false));
        let wrong = [json!({"b": 1}), json!({"at": {"y": 1}}), json!({"at": 7}), json!({"a.b": 1})];
        for wrong in wrong {
            assert_eq!(with(Undeclared::Refuse, wrong.clone()), Err(Code::FieldUndeclared), "{wrong}");
        }
    }

    #[test]
    fn too_many_fields_are_refused() {
        let payload: Map<String, Value> = (0..1_001).map(|n| (format!("f{n}"), json!(n))).collect();
        let refused = learn(&Fields::default(), Undeclared::Infer, &payload).unwrap_err();
        assert_eq!(refused.code(), Code::TooManyFields);
    }
}
