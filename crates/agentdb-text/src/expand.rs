//! The terms of the visible entries that a prefix or a fuzzy term stands for.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use agentdb_types::{Code, Error, Result};
use levenshtein_automata::{DFA, LevenshteinAutomatonBuilder};

use crate::compile::Compiler;
use crate::plan::Numbers;
use crate::query::EXPANSION_TERMS;

/// A term that was found.
pub(crate) struct Found {
    /// Edits between what was given and the term.
    pub(crate) distance: u8,
    /// Visible entries that have it: one at least.
    pub(crate) frequency: u64,
    pub(crate) numbers: Numbers,
}

/// The terms of a field that begin like this, in their order.
pub(crate) fn prefix(compiler: &Compiler<'_>, field: usize, prefix: &str) -> Result<Vec<(String, Found)>> {
    let key = key(field, prefix);
    collect(compiler, |part, each| {
        compiler.state.parts[part].segment.terms.prefixed(&key).for_each(|term| each(term, 0));
    })
}

/// The terms of a field that so many edits make of this one, the first `same` characters being the same.
pub(crate) fn fuzzy(
    compiler: &Compiler<'_>,
    field: usize,
    term: &str,
    distance: u8,
    same: u32,
) -> Result<Vec<(String, Found)>> {
    let split = term.char_indices().nth(same as usize).map_or(term.len(), |(at, _)| at);
    let (beginning, rest) = term.split_at(split);
    let (key, dfa) = (key(field, beginning), automaton(rest, distance));
    collect(compiler, |part, each| {
        compiler.state.parts[part].segment.terms.fuzzy(&key, &dfa, each);
    })
}

/// What takes the words that so many edits make of this one.
pub(crate) fn automaton(word: &str, distance: u8) -> DFA {
    static BUILDERS: [OnceLock<LevenshteinAutomatonBuilder>; 2] = [OnceLock::new(), OnceLock::new()];
    let builder = &BUILDERS[usize::from(distance.clamp(1, 2)) - 1];
    builder.get_or_init(|| LevenshteinAutomatonBuilder::new(distance.clamp(1, 2), true)).build_dfa(word)
}

fn key(field: usize, beginning: &str) -> Vec<u8> {
    let mut key = vec![field as u8];
    key.extend_from_slice(beginning.as_bytes());
    key
}

/// Puts together what the parts tell, by term, and leaves out what no visible entry has.
fn collect(
    compiler: &Compiler<'_>,
    find: impl Fn(usize, &mut dyn FnMut(usize, u8)),
) -> Result<Vec<(String, Found)>> {
    let parts = &compiler.state.parts;
    let mut found: BTreeMap<&[u8], (u8, Numbers)> = BTreeMap::new();
    for (part, of_part) in parts.iter().enumerate() {
        find(part, &mut |term, distance| {
            let entry = found.entry(&of_part.segment.terms.key(term)[1..]);
            entry.or_insert_with(|| (distance, vec![None; parts.len()])).1[part] = Some(term as u32);
        });
    }
    let mut visible = Vec::new();
    for (term, (distance, numbers)) in found {
        let frequency = compiler.frequency(&numbers);
        if frequency == 0 {
            continue;
        }
        if visible.len() == EXPANSION_TERMS {
            return Err(Error::new(Code::TextExpansion).with("limit", EXPANSION_TERMS));
        }
        let term = String::from_utf8_lossy(term).into_owned();
        visible.push((term, Found { distance, frequency, numbers }));
    }
    Ok(visible)
}
