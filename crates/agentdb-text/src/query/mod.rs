//! What is searched for: a tree of conditions, which JSON and the query syntax are read into.

mod json;
mod syntax;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use json::invalid;
pub(crate) use syntax::parse as parse_syntax;

/// Terms of a query, after analysis, at most; those that a prefix or a fuzzy term stands for are not counted here.
pub const QUERY_TERMS: usize = 1_024;
/// Nesting of a query, at most: a query without parts is 1 deep.
pub const QUERY_DEPTH: usize = 16;
/// Bytes of all texts of a query together, at most.
pub const QUERY_BYTES: usize = 64 << 10;
/// Terms that a prefix or a fuzzy term may stand for in one field, at most.
pub const EXPANSION_TERMS: usize = 10_000;
/// Characters of a fuzzy term, at most.
pub const FUZZY_CHARS: usize = 255;

/// A query. In JSON a plain string is `match` with that text in all fields; everything else is an object of one key,
/// the name of the kind.
///
/// A query whose text has no terms (stop words or signs alone) finds nothing; [`crate::Explanation`] tells.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Query {
    /// The terms of a text.
    Match(Match),
    /// The words of a text one behind the other.
    Phrase(Phrase),
    /// Terms that begin like this.
    Prefix(Prefix),
    /// Terms that are spelt nearly like this.
    Fuzzy(Fuzzy),
    /// Conditions together.
    Boolean(Boolean),
    /// A query that counts for more, or less.
    Boost(Boost),
    /// A query as people type it.
    Syntax(Syntax),
    /// `match` in all fields.
    #[serde(untagged)]
    Text(String),
}

/// Finds entries with the terms of a text; the more of them, and the rarer they are, the better. A term is there if it
/// is in one of the fields; its score is the sum over the fields. Where fields have different analyzers, the text is
/// analysed by each, and `operator` and `minimum_match` hold among the fields of one analyzer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// What is searched for.
    pub text: String,
    /// The fields to search in; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// Whether one term suffices, or all are needed.
    #[serde(default)]
    pub operator: Operator,
    /// How many of the distinct terms are needed, instead of `operator`; all if the text has fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_match: Option<u32>,
    /// By how many edits a term may differ: 0, 1 or 2; as [`Fuzzy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuzzy: Option<u8>,
}

/// How many terms of a [`Match`] are needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// One.
    #[default]
    Any,
    /// All.
    All,
}

/// Finds entries in which the words of a text stand one behind the other in one field. It is scored like a term: its
/// frequency is the number of places, its rarity the sum of those of the words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phrase {
    /// The words. Stop words in it stand for any word.
    pub text: String,
    /// The fields to search in; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// By how many places, all together, words may be away from where they are in the text: 0 to 1,000. Two words in
    /// the other order are 2 away.
    #[serde(default)]
    pub slop: u32,
}

/// Finds entries with a term that begins like this, at most [`EXPANSION_TERMS`] of them. The word is not stemmed. Its
/// score in a field is that of the best term.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prefix {
    /// The beginning of a word.
    pub text: String,
    /// The fields to search in; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
}

/// Finds entries with a term that some edits make of this one, at most [`EXPANSION_TERMS`] of them: a character more,
/// one less, another one, or two neighbours exchanged. Its score in a field is that of the best term, where a term's
/// score is multiplied by 1 - edits / (1 + characters of the longer one).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fuzzy {
    /// The word, of at most [`FUZZY_CHARS`] characters.
    pub term: String,
    /// The fields to search in; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// Edits, at most: 1 or 2.
    pub distance: u8,
    /// How many characters at the beginning must be the same.
    #[serde(default)]
    pub prefix_length: u32,
}

/// Finds entries for which all of `must` hold, none of `must_not`, and, if there is no `must`, one of `should` at
/// least. The score is the sum of those of `must` and `should`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Boolean {
    /// All of these hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub must: Vec<Query>,
    /// These add to the score.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub should: Vec<Query>,
    /// None of these holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub must_not: Vec<Query>,
}

/// Multiplies the score of a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Boost {
    /// The query.
    pub query: Box<Query>,
    /// The factor: from 0.000001 to 1,000,000, those of nested boosts together too.
    pub by: f32,
}

/// A query as people type it, in the manner of Lucene's classic syntax: `title:foo +must -not "a phrase"~2 pre* fuzz~1
/// (a OR b) AND c^2`.
///
/// Words are optional unless marked: `+` or `AND` (on both sides) makes them needed, `-`, `!` or `NOT` forbidden. `*`
/// stands only at the end of a word. `~` behind a word is the distance (2 if none is given), behind a phrase the slop.
/// `field:` goes before a word, a phrase or a group. `\` makes the character behind it an ordinary one. A word that the
/// analyzer takes apart must be there with all its parts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Syntax {
    /// The query.
    pub query: String,
    /// The fields of words without a field; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
}

impl From<&str> for Query {
    fn from(text: &str) -> Self {
        Query::Text(text.to_owned())
    }
}
