//! The places of a text at which a query finds it.

use std::ops::Range;

use agentdb_types::{Code, Error, Result};

use crate::eval::occurrences;
use crate::expand::automaton;
use crate::query::{self, Query};
use crate::{Analyzer, TextIndex, Token};

/// Fragments of a text, at most.
pub const FRAGMENTS: usize = 100;

/// What is to be shown of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Highlight {
    /// Fragments, at most: 1 to [`FRAGMENTS`].
    pub fragments: usize,
    /// Characters of a fragment, at most, but for a single word that is longer.
    pub chars: usize,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Where it stands in the text, in bytes, on boundaries of characters.
    pub range: Range<usize>,
    /// What was found in it, in bytes of the whole text, ascending and apart from each other.
    pub marks: Vec<Range<usize>>,
}

impl TextIndex {
    /// The pieces of a text of a field that show best why a query finds it: those with the most different terms, then
    /// with the most places, in the order of the text. None if the query finds nothing in it. What must not be there is
    /// not looked for, and a phrase is marked only where it is whole.
    ///
    /// # Errors
    /// As [`TextIndex::check`]; [`Code::InvalidValue`] if there is no such field, or the numbers are out of range.
    pub fn highlight(
        &self,
        query: &Query,
        field: &str,
        text: &str,
        how: &Highlight,
    ) -> Result<Vec<Fragment>> {
        self.check(query)?;
        let invalid = |field: &'static str, reason: String| {
            Err(Error::new(Code::InvalidValue).with("field", field).with("reason", reason))
        };
        let Some(of) = self.fields.iter().find(|f| f.name == field) else {
            return invalid("field", format!("there is no field {field}"));
        };
        if how.fragments == 0 || how.fragments > FRAGMENTS {
            return invalid("fragments", format!("must be from 1 to {FRAGMENTS}"));
        }
        if how.chars == 0 {
            return invalid("chars", "must be 1 at least".into());
        }
        let tokens = of.analyzer.tokens(text);
        let mut marker =
            Marker { field, analyzer: of.analyzer, tokens: &tokens, found: Vec::new(), terms: 0 };
        marker.query(query)?;
        let mut found = marker.found;
        found.sort_unstable();
        found.dedup_by_key(|(token, _)| *token);
        let found: Vec<(Range<usize>, usize)> =
            found.into_iter().map(|(token, term)| (tokens[token].range.clone(), term)).collect();
        Ok(fragments(text, &found, how))
    }
}

/// Finds the tokens that a query is about.
struct Marker<'a> {
    field: &'a str,
    analyzer: Analyzer,
    tokens: &'a [Token],
    /// Tokens, each with the number of what found it.
    found: Vec<(usize, usize)>,
    terms: usize,
}

impl Marker<'_> {
    fn query(&mut self, query: &Query) -> Result<()> {
        match query {
            Query::Text(text) => self.terms_of(text, 0),
            Query::Match(m) if self.named(&m.fields) => self.terms_of(&m.text, m.fuzzy.unwrap_or(0)),
            Query::Phrase(p) if self.named(&p.fields) => self.phrase(p),
            Query::Prefix(p) if self.named(&p.fields) => {
                let prefix = self.analyzer.normalize(&p.text);
                self.mark(|term| term.starts_with(&prefix));
            }
            Query::Fuzzy(f) if self.named(&f.fields) => {
                let term = match &self.analyzer.tokens(&f.term)[..] {
                    [only] => only.term.clone(),
                    _ => self.analyzer.normalize(&f.term),
                };
                self.spelt(&term, f.distance, f.prefix_length as usize);
            }
            Query::Boolean(b) => {
                for query in b.must.iter().chain(&b.should) {
                    self.query(query)?;
                }
            }
            Query::Boost(b) => self.query(&b.query)?,
            Query::Syntax(s) => {
                let query = query::parse_syntax(s, "query.syntax.query", query::QUERY_DEPTH)?;
                self.query(&query)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn named(&self, fields: &Option<Vec<String>>) -> bool {
        fields.as_ref().is_none_or(|names| names.iter().any(|name| name == self.field))
    }

    fn terms_of(&mut self, text: &str, fuzzy: u8) {
        for wanted in self.analyzer.tokens(text) {
            match fuzzy {
                0 => self.mark(|term| *term == wanted.term),
                distance => self.spelt(&wanted.term, distance, 0),
            }
        }
    }

    fn spelt(&mut self, word: &str, distance: u8, same: usize) {
        let split = word.char_indices().nth(same).map_or(word.len(), |(at, _)| at);
        let (beginning, rest) = word.split_at(split);
        let dfa = automaton(rest, distance);
        let near = |term: &str| {
            let rest = term.strip_prefix(beginning);
            rest.is_some_and(|r| matches!(dfa.eval(r), levenshtein_automata::Distance::Exact(_)))
        };
        self.mark(near);
    }

    fn phrase(&mut self, phrase: &query::Phrase) {
        let words = self.analyzer.tokens(&phrase.text);
        if words.len() < 2 {
            return self.terms_of(&phrase.text, 0);
        }
        // Where each word would let the phrase begin, and which token it is.
        let place = |word: &Token, token: &Token| {
            (token.term == word.term)
                .then(|| crate::eval::PLACES + token.position - (word.position - words[0].position))
        };
        let starts: Vec<Vec<u32>> =
            words.iter().map(|word| self.tokens.iter().filter_map(|t| place(word, t)).collect()).collect();
        let term = self.next();
        for (word, list) in words.iter().zip(&starts) {
            // A token belongs to a phrase if the phrase is there when it is the only place of its word.
            let others = starts.iter().filter(|other| !std::ptr::eq(*other, list)).cloned();
            let lists: Vec<Vec<u32>> = [list.clone()].into_iter().chain(others).collect();
            let mut of_word = self.tokens.iter().enumerate().filter(|(_, t)| t.term == word.term);
            let mut taken = 0;
            for at in occurrences(&lists, phrase.slop) {
                if let Some((token, _)) = of_word.nth(at - taken) {
                    self.found.push((token, term));
                }
                taken = at + 1;
            }
        }
    }

    fn mark(&mut self, wanted: impl Fn(&str) -> bool) {
        let term = self.next();
        let tokens = self.tokens.iter().enumerate().filter(|(_, t)| wanted(&t.term));
        self.found.extend(tokens.map(|(at, _)| (at, term)));
    }

    fn next(&mut self) -> usize {
        self.terms += 1;
        self.terms
    }
}

/// The best windows that do not overlap, each beginning with something found.
fn fragments(text: &str, found: &[(Range<usize>, usize)], how: &Highlight) -> Vec<Fragment> {
    // For each place found, how many places from there on fit into a fragment, and how many different terms they are.
    let mut windows: Vec<(usize, usize, Range<usize>)> = Vec::new();
    for first in 0..found.len() {
        let start = found[first].0.start;
        let limit = advance(text, start, how.chars).max(found[first].0.end);
        let count = found[first..].iter().take_while(|(range, _)| range.end <= limit).count().max(1);
        let mut terms: Vec<usize> = found[first..first + count].iter().map(|(_, term)| *term).collect();
        terms.sort_unstable();
        terms.dedup();
        windows.push((terms.len(), count, first..first + count));
    }
    windows.sort_by(|a, b| (b.0, b.1, a.2.start).cmp(&(a.0, a.1, b.2.start)));
    let mut chosen: Vec<Fragment> = Vec::new();
    for (_, _, window) in windows {
        if chosen.len() == how.fragments {
            break;
        }
        let marks = apart(&found[window]);
        let range = around(text, marks[0].start..marks[marks.len() - 1].end, how.chars);
        if chosen.iter().all(|c| range.end <= c.range.start || c.range.end <= range.start) {
            chosen.push(Fragment { range, marks });
        }
    }
    chosen.sort_by_key(|f| f.range.start);
    for fragment in &mut chosen {
        // What lies in the margins is marked, too.
        let within = |r: &Range<usize>| fragment.range.start <= r.start && r.end <= fragment.range.end;
        let from = found.partition_point(|(r, _)| r.start < fragment.range.start);
        let to = found.partition_point(|(r, _)| r.start < fragment.range.end);
        let all: Vec<_> = found[from..to].iter().filter(|(r, _)| within(r)).cloned().collect();
        fragment.marks = apart(&all);
    }
    chosen
}

/// Ranges that touch or overlap made one, as those of bigrams do.
fn apart(found: &[(Range<usize>, usize)]) -> Vec<Range<usize>> {
    let mut marks: Vec<Range<usize>> = Vec::new();
    for (range, _) in found {
        match marks.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => marks.push(range.clone()),
        }
    }
    marks
}

/// A range made wider on both sides up to so many characters, ending at white space where there is some.
fn around(text: &str, core: Range<usize>, chars: usize) -> Range<usize> {
    let spare = chars.saturating_sub(text[core.clone()].chars().count());
    let before = text[..core.start].chars().count().min(spare / 2);
    let mut start = core.start;
    for c in text[..core.start].chars().rev().take(before) {
        start -= c.len_utf8();
    }
    let mut end = advance(text, core.end, spare - before);
    if start > 0
        && let Some(space) = text[start..core.start].find(char::is_whitespace)
    {
        let rest = &text[start + space..core.start];
        start = core.start - rest.trim_start().len();
    }
    if end < text.len()
        && let Some(space) = text[core.end..end].rfind(char::is_whitespace)
    {
        end = core.end + space;
    }
    start..end
}

/// So many characters on, or to the end.
fn advance(text: &str, from: usize, chars: usize) -> usize {
    text[from..].char_indices().nth(chars).map_or(text.len(), |(at, _)| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Field, Fuzzy, Match, Phrase, Prefix};

    fn marked(query: &Query, text: &str, chars: usize) -> Vec<String> {
        let index = TextIndex::new(vec![Field::new("t", Analyzer::English)]).unwrap();
        let how = Highlight { fragments: 2, chars };
        let show = |f: Fragment| {
            assert!(text[f.range.clone()].chars().count() <= chars || f.marks.len() == 1);
            let (mut out, mut at) = (String::new(), f.range.start);
            for mark in f.marks {
                out += &format!("{}<{}>", &text[at..mark.start], &text[mark.clone()]);
                at = mark.end;
            }
            out + &text[at..f.range.end]
        };
        index.highlight(query, "t", text, &how).unwrap().into_iter().map(show).collect()
    }

    #[test]
    fn terms_are_marked_in_the_original() {
        let text = "Crème brûlée: the Cats like it.";
        assert_eq!(marked(&"creme cat".into(), text, 80), ["<Crème> brûlée: the <Cats> like it."]);
        assert_eq!(marked(&"the".into(), text, 80), [""; 0]);
        assert_eq!(marked(&"한국어".into(), "이 한국어를 봐", 80), ["이 <한국어>를 봐"]);
        assert_eq!(marked(&"x".into(), "", 80), [""; 0]);
    }

    #[test]
    fn phrases_prefixes_and_fuzzy_terms_are_marked() {
        let text = "red apple, apple red, red ripe apple";
        let phrase = |slop| Query::Phrase(Phrase { text: "red apple".into(), slop, ..Phrase::default() });
        assert_eq!(marked(&phrase(0), text, 80), ["<red> <apple>, apple red, red ripe apple"]);
        assert_eq!(marked(&phrase(1), text, 80), ["<red> <apple>, <apple> red, <red> ripe <apple>"]);
        let prefix = Query::Prefix(Prefix { text: "APP".into(), ..Prefix::default() });
        assert_eq!(marked(&prefix, "an apple app", 80), ["an <apple> <app>"]);
        let fuzzy = Query::Fuzzy(Fuzzy { term: "aple".into(), distance: 1, ..Fuzzy::default() });
        assert_eq!(marked(&fuzzy, "an apple axe", 80), ["an <apple> axe"]);
        let fuzzy = Query::Match(Match { text: "aplpe".into(), fuzzy: Some(1), ..Match::default() });
        assert_eq!(marked(&fuzzy, "an apple axe", 80), ["an <apple> axe"]);
    }

    #[test]
    fn the_best_fragments_come_in_the_order_of_the_text() {
        let text = format!("cat {0} dog {0} cat dog {0}", "und so weiter ".repeat(9));
        assert_eq!(marked(&"cat dog".into(), &text, 20), ["<cat> und so weiter", "<cat> <dog> und"]);
        let long = "ä".repeat(500);
        assert_eq!(marked(&Query::Text(long.clone()), &long, 3).len(), 1);
    }
}
