//! Items against a plain model, against LangGraph's own store, and where both say nothing.

mod index;
mod langgraph;
mod model;
mod refusals;
mod times;

use std::sync::Arc;

use agentdb_types::Result;
use serde_json::{Map, Value};

use super::{Entry, Get, Index, Put};
use crate::TextEncoder;
use crate::modules::testing::TestDb;

/// Makes of a text one more than the count of each of three letters.
struct Letters;

impl TextEncoder for Letters {
    fn id(&self) -> &str {
        "letters"
    }

    fn dimension(&self) -> usize {
        3
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let count = |text: &str, letter| (text.chars().filter(|c| *c == letter).count() + 1) as f32;
        Ok(texts.iter().map(|text| ['a', 'b', 'c'].map(|letter| count(text, letter)).to_vec()).collect())
    }
}

fn path(segments: &[&str]) -> Vec<String> {
    segments.iter().map(|s| (*s).to_owned()).collect()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn put(segments: &[&str], key: &str, value: Value) -> Put {
    Put::new(path(segments), key, object(value))
}

fn get(db: &TestDb, segments: &[&str], key: &str) -> Result<Entry> {
    db.read(Get { path: path(segments), key: key.into() })
}

/// A database whose items are encoded by letters.
fn with_letters(fields: &[&str]) -> TestDb {
    let db = TestDb::new(1);
    db.engine().set_text_encoder(Arc::new(Letters));
    let index = Index {
        encoder: Some("letters".into()),
        fields: Some(fields.iter().map(|f| (*f).to_owned()).collect()),
        ..Index::default()
    };
    db.write(index).unwrap();
    db
}
