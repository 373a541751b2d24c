//! Highlights: the pieces of texts that show why words find a record.

use std::collections::BTreeMap;

use agentdb_text::{Boolean, Fragment, Highlight as How, Query as Words, TextIndex};
use agentdb_types::{Code, Error, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::modules::collection::{Head, texts};
use crate::modules::record::Record;

/// Characters of a fragment if the request does not say.
const FRAGMENT_SIZE: usize = 150;
/// Fragments of a text if the request does not say.
const FRAGMENTS: usize = 3;

/// What to show of the texts in which words were found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Highlight {
    /// The texts; all that are searched by words if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// Characters of a fragment at most, a single longer word apart, tags not counted: 1 or more; 150 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fragment_size: Option<usize>,
    /// Fragments of a text, at most: 1 to 100; 3 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fragments: Option<usize>,
    /// What stands before a word that was found: 64 bytes at most; `<em>` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_tag: Option<String>,
    /// What stands behind it: 64 bytes at most; `</em>` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_tag: Option<String>,
}

/// Makes highlights of records.
pub(super) struct Highlighter<'a> {
    index: TextIndex,
    fields: Vec<&'a str>,
    words: Words,
    how: How,
    tags: [&'a str; 2],
}

impl<'a> Highlighter<'a> {
    /// Refuses what cannot be shown. Of several queries by words, what any of them finds is marked.
    pub(super) fn of(of: &'a Highlight, head: &'a Head, words: &[&Words]) -> Result<Self> {
        let invalid = |field: &str, reason: &str| {
            Error::new(Code::InvalidValue)
                .with("field", format_args!("highlight{field}"))
                .with("reason", reason)
        };
        let words = match words {
            [] => return Err(invalid("", "it is for queries by words, and there is none")),
            [one] => Words::clone(one),
            several => Words::Boolean(Boolean {
                should: several.iter().copied().cloned().collect(),
                ..Boolean::default()
            }),
        };
        let index = texts::index(&head.texts)?
            .ok_or_else(|| invalid("", "the collection has no texts that are searched by words"))?;
        let fields = match &of.fields {
            Some(names) => names.iter().map(String::as_str).collect(),
            None => head.texts.keys().map(String::as_str).collect::<Vec<_>>(),
        };
        if let Some(at) = fields.iter().position(|name| !head.texts.contains_key(*name)) {
            let reason = format!("{} is no text that is searched by words", fields[at]);
            return Err(invalid(&format!(".fields[{at}]"), &reason));
        }
        let how = How {
            fragments: of.fragments.unwrap_or(FRAGMENTS),
            chars: of.fragment_size.unwrap_or(FRAGMENT_SIZE),
        };
        if !(1..=agentdb_text::FRAGMENTS).contains(&how.fragments) {
            return Err(invalid(".fragments", "it is from 1 to 100"));
        }
        if how.chars == 0 {
            return Err(invalid(".fragment_size", "it is 1 or more"));
        }
        let tags = [of.pre_tag.as_deref().unwrap_or("<em>"), of.post_tag.as_deref().unwrap_or("</em>")];
        for (name, tag) in [".pre_tag", ".post_tag"].into_iter().zip(tags) {
            if tag.len() > limits::HIGHLIGHT_TAG_BYTES {
                return Err(invalid(name, "it has more than 64 bytes"));
            }
        }
        Ok(Highlighter { index, fields, words, how, tags })
    }

    /// The highlights of a record, by the names of its texts.
    pub(super) fn of_record(&self, record: &Record) -> Result<BTreeMap<String, Vec<String>>> {
        let mut highlights = BTreeMap::new();
        for name in &self.fields {
            let Some(text) = record.text_of(name) else { continue };
            let found = self.index.highlight(&self.words, name, &text, &self.how);
            let found = found.map_err(|err| err.with_root("path", "query", "words"))?;
            if !found.is_empty() {
                let shown = found.iter().map(|fragment| self.tagged(&text, fragment)).collect();
                highlights.insert((*name).to_owned(), shown);
            }
        }
        Ok(highlights)
    }

    fn tagged(&self, text: &str, fragment: &Fragment) -> String {
        let [before, behind] = self.tags;
        let (mut out, mut at) = (String::new(), fragment.range.start);
        for mark in &fragment.marks {
            out.extend([&text[at..mark.start], before, &text[mark.clone()], behind]);
            at = mark.end;
        }
        out.push_str(&text[at..fragment.range.end]);
        out
    }
}
