//! Questions, and the passages that answer them.

use std::sync::Arc;

use agentdb::modules::record::Search;
use agentdb::{Namespace, Result};
use agentdb_env::Env;
use agentdb_models::{MiniLm, TextEncoder};

use super::COLLECTION;
use crate::output::line;

const QUESTIONS: [&str; 5] = [
    "How do I derive serialization for my own types?",
    "What is a lock-free skip list?",
    "How are errors of parsing a command line reported?",
    "Which hash function is fast and cryptographic?",
    "How does a cache decide what to evict?",
];
const SHOWN: usize = 240;

pub(super) fn run(namespace: &Namespace, encoder: &Arc<MiniLm>, own: bool) -> Result<()> {
    let questions: &[&str] = if own { &QUESTIONS } else { &["What is this about?", "How is it used?"] };
    let clock = Env::real().clock;
    for question in questions {
        let start = clock.monotonic_us();
        let vector = encoder.encode(&[question])?.pop();
        let encoded = clock.monotonic_us();
        let found = namespace.read(Search { vector, limit: Some(3), ..Search::new(COLLECTION) })?;
        let searched = clock.monotonic_us();
        line(&format!(
            "\n? {question}   (encoding {:.1} ms, search {:.2} ms)",
            (encoded - start) as f64 / 1e3,
            (searched - encoded) as f64 / 1e3
        ))?;
        for hit in found.hits {
            let text: String = hit.text.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
            let shown: String = text.chars().take(SHOWN).collect();
            let more = if shown.len() < text.len() { " …" } else { "" };
            line(&format!("  {:.3}  {}\n         {shown}{more}", hit.score, hit.record))?;
        }
    }
    Ok(())
}
