//! Storing documents: blob, passages with vectors, state and a message, one atomic batch a document.

use std::collections::HashMap;
use std::sync::Arc;

use agentdb::modules::session::message::Append;
use agentdb::modules::{blob, record, state};
use agentdb::{Namespace, Result, WriteOptions, json};
use agentdb_models::{MiniLm, TextEncoder};
use indicatif::{ProgressBar, ProgressStyle};
use text_splitter::MarkdownSplitter;

use super::sources::Document;
use super::{AGENT, COLLECTION, SESSION};
use crate::output::line;

/// Characters of a passage at most: within the window of the encoder for most texts.
const PASSAGE: usize = 900;

struct New<'a> {
    document: &'a Document,
    blob: String,
    passages: Vec<&'a str>,
    /// Passages of the version before, to be deleted.
    before: u64,
}

pub(super) fn run(namespace: &Namespace, encoder: &Arc<MiniLm>, documents: &[Document]) -> Result<()> {
    let known = known(namespace)?;
    let splitter = MarkdownSplitter::new(PASSAGE);
    let mut new = Vec::new();
    for document in documents {
        let about = blob::Put { media_type: Some("text/markdown".to_owned()), ..blob::Put::default() };
        let stored = namespace.put_blob(&mut document.text.as_bytes(), about, WriteOptions::default())?;
        let blob = stored.response.blob;
        let before = known.get(&document.name);
        if before.is_none_or(|(address, _)| *address != blob) {
            let passages =
                splitter.chunks(&document.text).filter(|p| p.chars().any(char::is_alphanumeric)).collect();
            new.push(New { document, blob, passages, before: before.map_or(0, |(_, passages)| *passages) });
        }
    }
    let passages: u64 = new.iter().map(|n| n.passages.len() as u64).sum();
    line(&format!("{} documents are new or changed: {passages} passages to encode", new.len()))?;
    let bar = ProgressBar::new(passages);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} passages, {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    for document in new {
        store(namespace, encoder, &document, &bar)?;
    }
    bar.finish();
    let rows = namespace.count_rows()?;
    line(&format!("stored: {rows:?}"))
}

/// The documents that are stored: their blob and the number of their passages.
fn known(namespace: &Namespace) -> Result<HashMap<String, (String, u64)>> {
    let mut known = HashMap::new();
    let mut cursor = None;
    loop {
        let page = namespace.read(state::List {
            owner: AGENT.to_owned(),
            prefix: "document/".to_owned(),
            limit: Some(1000),
            cursor,
            reverse: false,
        })?;
        for entry in page.items {
            let name = entry.key.trim_start_matches("document/").to_owned();
            let blob = entry.value["blob"].as_str().unwrap_or_default().to_owned();
            known.insert(name, (blob, entry.value["passages"].as_u64().unwrap_or_default()));
        }
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(known);
        }
    }
}

fn passage_id(document: &str, index: u64) -> String {
    format!("{document}#{index:04}")
}

fn store(namespace: &Namespace, encoder: &Arc<MiniLm>, new: &New<'_>, bar: &ProgressBar) -> Result<()> {
    let before = bar.position();
    let vectors = encoder.encode_each(&new.passages, &mut |done| bar.set_position(before + done as u64))?;
    let name = &new.document.name;
    let mut batch = namespace.batch();
    for ((index, text), vector) in (0..).zip(&new.passages).zip(vectors) {
        let payload = json!({"document": name, "blob": new.blob, "passage": index});
        batch = batch.push(record::Put {
            record: Some(passage_id(name, index)),
            vector: Some(vector),
            text: Some((*text).to_owned()),
            payload: payload.as_object().cloned().unwrap_or_default(),
            ..record::Put::new(COLLECTION)
        });
    }
    for index in new.passages.len() as u64..new.before {
        let (collection, record) = (COLLECTION.to_owned(), passage_id(name, index));
        batch = batch.push(record::Delete { collection, record, expected_version: None });
    }
    let passages = new.passages.len();
    let value = json!({"blob": new.blob, "passages": passages});
    let content = json!(format!("I read {name}: {passages} passages."));
    batch
        .push(state::Put::new(AGENT, format!("document/{name}"), value))
        .push(Append::new(SESSION, "assistant", content))
        .wait()
        .map(drop)
}
