//! Which texts of a collection's records are searched by words, and how they become words.

use std::collections::BTreeMap;

use agentdb_text::{Analyzer, Field, TextIndex};
use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::filter::{FieldType, Fields, check_path};

/// The name of the record's own text among the texts; others are fields of the payload.
pub(crate) const OWN: &str = "text";

/// How a text is searched by words.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextSettings {
    /// How much its scores count: above 0, at most 1,000,000; 1 if not given.
    #[serde(default = "one")]
    pub weight: f32,
    /// How it becomes words; `standard`, which is for any language, if not given.
    #[serde(default)]
    pub analyzer: Analyzer,
}

fn one() -> f32 {
    1.0
}

impl Default for TextSettings {
    fn default() -> Self {
        TextSettings { weight: one(), analyzer: Analyzer::default() }
    }
}

/// The texts of a collection that was created without saying which: the record's own.
pub(crate) fn unsaid() -> BTreeMap<String, TextSettings> {
    BTreeMap::from([(OWN.to_owned(), TextSettings::default())])
}

/// Refuses texts that no record could have: a name that is no path, or that of a field which is declared to hold something
/// else.
pub(crate) fn check(texts: &BTreeMap<String, TextSettings>, fields: &Fields) -> Result<()> {
    for name in texts.keys().filter(|name| *name != OWN) {
        check_path("texts", name)?;
        if let Some(field) = fields.get(name).filter(|field| field.kind != FieldType::String) {
            let reason = format!("the field is declared as {}, and texts are strings", field.kind);
            let error = Error::new(Code::InvalidName).with("field", "texts");
            return Err(error.with("value", name).with("reason", reason));
        }
    }
    index(texts).map(drop)
}

/// An index over these texts that has nothing in it; none if there are no texts.
pub(crate) fn index(texts: &BTreeMap<String, TextSettings>) -> Result<Option<TextIndex>> {
    if texts.is_empty() {
        return Ok(None);
    }
    let fields = texts.iter().map(|(name, settings)| Field {
        name: name.clone(),
        weight: settings.weight,
        analyzer: settings.analyzer,
    });
    TextIndex::new(fields.collect()).map(Some)
}
