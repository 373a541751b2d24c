//! The declared fields of a collection's payloads.

use std::collections::{BTreeMap, BTreeSet};

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::FieldType;

/// A declared field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// Whether filters find it, and what is beneath it, by an index; yes if not given. One that is not indexed takes no memory, and
    /// filters on it read payloads.
    #[serde(default = "yes")]
    pub indexed: bool,
    /// Whether the first value told the type, and nobody declared it: what tells no type then fits it, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inferred: bool,
}

impl Field {
    /// A field of this type that is indexed.
    pub fn new(kind: FieldType) -> Self {
        Field { kind, indexed: true, inferred: false }
    }
}

fn yes() -> bool {
    true
}

/// Declared fields by their paths: names joined by dots. Fields that are not declared may have any value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "BTreeMap<String, Field>", into = "BTreeMap<String, Field>")]
pub struct Fields(BTreeMap<String, Field>);

/// Refuses what is no path of a field.
///
/// # Errors
/// [`Code::InvalidName`], naming `what`.
pub(crate) fn check_path(what: &'static str, path: &str) -> Result<()> {
    let reason = if path.split('.').any(str::is_empty) {
        "a path has no empty names"
    } else if path.starts_with('$') {
        "names with `$` are operators"
    } else {
        return Ok(());
    };
    Err(Error::new(Code::InvalidName).with("field", what).with("value", path).with("reason", reason))
}

impl Fields {
    /// Declares a field, anew if it is declared already.
    ///
    /// # Errors
    /// [`Code::InvalidName`] for a path with an empty name in it, or one that begins with `$`, as operators do.
    pub fn declare(&mut self, path: impl Into<String>, field: Field) -> Result<()> {
        let path = path.into();
        check_path("path", &path)?;
        self.0.insert(path, field);
        Ok(())
    }

    /// Whether none is declared.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The field that is declared at this path.
    pub fn get(&self, path: &str) -> Option<Field> {
        self.0.get(path).copied()
    }

    /// Every declared field, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Field)> {
        self.0.iter().map(|(path, field)| (path.as_str(), *field))
    }

    /// Checks the declared fields that a payload has; those whose type was inferred are not looked at.
    ///
    /// # Errors
    /// [`Code::FieldTypeMismatch`] for the first that has another type.
    pub fn check(&self, payload: &Value) -> Result<()> {
        self.iter().filter(|(_, field)| !field.inferred).try_for_each(|(path, field)| {
            let value = path.split('.').try_fold(payload, |at, name| at.as_object()?.get(name));
            value.map_or(Ok(()), |v| field.kind.check(path, v))
        })
    }

    /// Whether a field is declared beneath this path.
    pub(crate) fn any_below(&self, path: &str) -> bool {
        let prefix = format!("{path}.");
        self.0.range(prefix.clone()..).next().is_some_and(|(other, _)| other.starts_with(&prefix))
    }

    /// The names that follow this path in the paths of declared fields.
    pub(super) fn names_below(&self, path: &str) -> BTreeSet<String> {
        let prefix = format!("{path}.");
        let below = self.0.range(prefix.clone()..).map(|(p, _)| p.strip_prefix(&prefix));
        let rest = below.take_while(Option::is_some).flatten();
        rest.map(|rest| rest.split('.').next().unwrap_or(rest).to_owned()).collect()
    }
}

impl TryFrom<BTreeMap<String, Field>> for Fields {
    type Error = Error;

    fn try_from(map: BTreeMap<String, Field>) -> Result<Self> {
        let mut fields = Fields::default();
        map.into_iter().try_for_each(|(path, field)| fields.declare(path, field))?;
        Ok(fields)
    }
}

impl From<Fields> for BTreeMap<String, Field> {
    fn from(fields: Fields) -> Self {
        fields.0
    }
}
