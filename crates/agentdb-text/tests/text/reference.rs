//! A plain reference: everything from the visible texts and the analyzers' tokens, with no index at all.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use agentdb_text::{Analyzer, Field, Hit, Operator, Query, TextIndex, Token};
use agentdb_types::Lsn;

/// Entries that were ever inserted.
pub struct Reference {
    pub fields: Vec<Field>,
    pub entries: Vec<Entry>,
}

pub struct Entry {
    pub slot: u64,
    pub born: u64,
    pub died: u64,
    /// Terms with their positions, by field.
    pub tokens: Vec<Vec<(String, u32)>>,
}

/// What is visible at a snapshot, counted.
pub struct View<'a> {
    fields: &'a [Field],
    entries: Vec<&'a Entry>,
    averages: Vec<f64>,
    frequencies: Vec<BTreeMap<&'a str, u64>>,
}

impl Reference {
    pub fn new(fields: &[Field]) -> Self {
        Reference { fields: fields.to_vec(), entries: Vec::new() }
    }

    pub fn insert(&mut self, slot: u64, lsn: Lsn, texts: &[Option<&str>]) {
        self.delete(slot, lsn);
        let tokens = |(field, text): (&Field, &Option<&str>)| {
            let tokens = field.analyzer.tokens(text.unwrap_or(""));
            tokens.into_iter().map(|t| (t.term, t.position)).collect()
        };
        let tokens = self.fields.iter().zip(texts).map(tokens).collect();
        self.entries.push(Entry { slot, born: lsn.0, died: u64::MAX, tokens });
    }

    pub fn delete(&mut self, slot: u64, lsn: Lsn) -> bool {
        let living = self.entries.iter_mut().find(|e| e.slot == slot && e.died == u64::MAX);
        living.map(|e| e.died = lsn.0).is_some()
    }

    pub fn view(&self, at: Lsn) -> View<'_> {
        let entries: Vec<&Entry> = self.entries.iter().filter(|e| e.born <= at.0 && at.0 < e.died).collect();
        let total = |f: usize| entries.iter().map(|e| e.tokens[f].len()).sum::<usize>();
        let averages =
            (0..self.fields.len()).map(|f| total(f).max(1) as f64 / entries.len().max(1) as f64).collect();
        let mut frequencies = vec![BTreeMap::new(); self.fields.len()];
        for entry in &entries {
            for (f, tokens) in entry.tokens.iter().enumerate() {
                for term in tokens.iter().map(|t| t.0.as_str()).collect::<BTreeSet<_>>() {
                    *frequencies[f].entry(term).or_insert(0) += 1;
                }
            }
        }
        View { fields: &self.fields, entries, averages, frequencies }
    }
}

impl View<'_> {
    /// All hits, best first, ties by descending slot.
    pub fn search(&self, query: &Query) -> Vec<Hit> {
        let score = |e: &&Entry| Some(Hit { slot: e.slot, score: self.score(query, e, 1.0)? as f32 });
        let mut hits: Vec<Hit> = self.entries.iter().filter_map(score).collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.slot.cmp(&a.slot)));
        hits
    }

    fn score(&self, query: &Query, entry: &Entry, boost: f64) -> Option<f64> {
        match query {
            Query::Text(text) => self.matches(entry, text, &None, |_| 1, 0, boost),
            Query::Match(m) => {
                let least = |terms: usize| match (m.minimum_match, m.operator) {
                    (Some(least), _) => terms.min(least as usize),
                    (None, Operator::All) => terms,
                    (None, _) => 1,
                };
                self.matches(entry, &m.text, &m.fields, least, m.fuzzy.unwrap_or(0), boost)
            }
            Query::Phrase(p) => self.phrase(entry, &p.text, &p.fields, p.slop, boost),
            Query::Prefix(p) => {
                let found = |f: usize| {
                    let terms = self.frequencies[f].keys().filter(|t| t.starts_with(&p.text));
                    self.best(entry, f, terms.map(|t| (*t, boost)))
                };
                sum(self.select(&p.fields).into_iter().map(found))
            }
            Query::Fuzzy(q) => {
                let found = |f: usize| {
                    let tokens = self.fields[f].analyzer.tokens(&q.term);
                    self.spelt(entry, f, &tokens[0].term, q.distance, q.prefix_length as usize, boost)
                };
                sum(self.select(&q.fields).into_iter().map(found))
            }
            Query::Boolean(b) => {
                let all = |queries: &[Query]| -> Vec<Option<f64>> {
                    queries.iter().map(|q| self.score(q, entry, boost)).collect()
                };
                let (must, should) = (all(&b.must), all(&b.should));
                let wanted = must.iter().all(Option::is_some)
                    && (!must.is_empty() || should.iter().any(Option::is_some))
                    && all(&b.must_not).iter().all(Option::is_none);
                wanted.then(|| must.iter().chain(&should).flatten().sum())
            }
            Query::Boost(b) => self.score(&b.query, entry, boost * f64::from(b.by)),
            other => panic!("the reference does not know {other:?}"),
        }
    }

    fn matches(
        &self,
        entry: &Entry,
        text: &str,
        fields: &Option<Vec<String>>,
        least: impl Fn(usize) -> usize,
        fuzzy: u8,
        boost: f64,
    ) -> Option<f64> {
        let mut groups: HashMap<Analyzer, Vec<usize>> = HashMap::new();
        for f in self.select(fields) {
            groups.entry(self.fields[f].analyzer).or_default().push(f);
        }
        sum(groups.into_iter().map(|(analyzer, fields)| {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for token in analyzer.tokens(text) {
                *counts.entry(token.term).or_default() += 1;
            }
            let of_term = |(term, count): (&String, &usize)| {
                let boost = boost * *count as f64;
                sum(fields.iter().map(|f| match fuzzy {
                    0 => self.share(entry, *f, term, boost),
                    distance => self.spelt(entry, *f, term, distance, 0, boost),
                }))
            };
            let found: Vec<f64> = counts.iter().filter_map(of_term).collect();
            (!counts.is_empty() && found.len() >= least(counts.len())).then(|| found.iter().sum())
        }))
    }

    fn phrase(
        &self,
        entry: &Entry,
        text: &str,
        fields: &Option<Vec<String>>,
        slop: u32,
        boost: f64,
    ) -> Option<f64> {
        sum(self.select(fields).into_iter().map(|f| {
            let words = self.fields[f].analyzer.tokens(text);
            if words.len() < 2 {
                return self.share(entry, f, &words.first()?.term, boost);
            }
            // Where each word would let the phrase begin.
            let start = |word: &Token, (term, position): &(String, u32)| {
                (*term == word.term).then(|| i64::from(*position) - i64::from(word.position))
            };
            let of_word = |word| entry.tokens[f].iter().filter_map(|t| start(word, t)).collect();
            let starts: Vec<Vec<i64>> = words.iter().map(of_word).collect();
            let slop = i64::from(slop);
            let holds = |first: &&i64| {
                (**first - slop..=**first)
                    .any(|low| starts.iter().all(|list| list.iter().any(|s| (low..=low + slop).contains(s))))
            };
            let frequency = starts[0].iter().filter(holds).count();
            let idf = words.iter().map(|w| self.idf(f, &w.term)).fold(0.0, |a, b| a + b);
            (frequency > 0).then(|| self.bm25(entry, f, idf, frequency, boost))
        }))
    }

    fn spelt(
        &self,
        entry: &Entry,
        f: usize,
        term: &str,
        distance: u8,
        same: usize,
        boost: f64,
    ) -> Option<f64> {
        let chars: Vec<char> = term.chars().collect();
        let near = self.frequencies[f].keys().filter_map(|other| {
            let others: Vec<char> = other.chars().collect();
            let split = same.min(chars.len());
            if others.len() < split || others[..split] != chars[..split] {
                return None;
            }
            let edits = distance_of(&chars[split..], &others[split..]);
            let factor = 1.0 - edits as f64 / (1.0 + chars.len().max(others.len()) as f64);
            (edits <= usize::from(distance)).then_some((*other, boost * factor))
        });
        self.best(entry, f, near)
    }

    fn best<'b>(&self, entry: &Entry, f: usize, terms: impl Iterator<Item = (&'b str, f64)>) -> Option<f64> {
        terms.filter_map(|(term, boost)| self.share(entry, f, term, boost)).max_by(f64::total_cmp)
    }

    fn share(&self, entry: &Entry, f: usize, term: &str, boost: f64) -> Option<f64> {
        let frequency = entry.tokens[f].iter().filter(|t| t.0 == term).count();
        (frequency > 0).then(|| self.bm25(entry, f, self.idf(f, term), frequency, boost))
    }

    fn idf(&self, f: usize, term: &str) -> f64 {
        let n = self.entries.len() as f64;
        let df = self.frequencies[f].get(term).copied().unwrap_or(0) as f64;
        (1.0 + (n - df + 0.5) / (df + 0.5)).ln()
    }

    fn bm25(&self, entry: &Entry, f: usize, idf: f64, frequency: usize, boost: f64) -> f64 {
        let (k1, b) = (f64::from(1.2f32), f64::from(0.75f32));
        let weight = (f64::from(self.fields[f].weight) * boost * idf * f64::from(1.2f32 + 1.0)) as f32;
        let length = quantised(entry.tokens[f].len() as u32);
        let saturation = (k1 * (1.0 - b + b * (f64::from(length) / self.averages[f]))) as f32;
        f64::from(weight / (1.0 + saturation * (1.0 / frequency as f32)))
    }

    fn select(&self, names: &Option<Vec<String>>) -> Vec<usize> {
        let named = |f: &usize| names.as_ref().is_none_or(|names| names.contains(&self.fields[*f].name));
        (0..self.fields.len()).filter(named).collect()
    }
}

/// The sum of what is there; none if nothing is.
fn sum(parts: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    parts.flatten().fold(None, |sum, part| Some(sum.unwrap_or(0.0) + part))
}

/// As Lucene's `SmallFloat.intToByte4` and back.
fn quantised(length: u32) -> u32 {
    let Some(rest) = length.checked_sub(24) else { return length };
    let shift = (32 - rest.leading_zeros()).saturating_sub(4);
    24 + (rest >> shift << shift)
}

/// Edits between two words: insertions, deletions, replacements, exchanges of neighbours.
fn distance_of(a: &[char], b: &[char]) -> usize {
    let mut d = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            d[i][j] = match (i, j) {
                (0, j) => j,
                (i, 0) => i,
                _ => {
                    let mut best = (d[i - 1][j] + 1).min(d[i][j - 1] + 1);
                    best = best.min(d[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]));
                    if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                        best = best.min(d[i - 2][j - 2] + 1);
                    }
                    best
                }
            };
        }
    }
    d[a.len()][b.len()]
}

/// Compares all answers of an index with those of the reference.
pub fn compare(index: &TextIndex, view: &View<'_>, at: Lsn, query: &Query, limit: usize) {
    use agentdb_text::Search;
    let filter = |slot: u64| !slot.is_multiple_of(3);
    let tie = |a: u64, b: u64| -> Ordering { b.cmp(&a) };
    let all = view.search(query);
    for filtered in [false, true] {
        let expected: Vec<Hit> = all.iter().filter(|h| !filtered || filter(h.slot)).copied().collect();
        let filter = filtered.then_some(&filter as &dyn Fn(u64) -> bool);
        let found = index.count(query, at, filter).unwrap();
        assert_eq!(found, expected.len(), "count of {query:?} at {at}, filtered: {filtered}");
        let threshold = expected.get(expected.len() / 2).map(|h| h.score);
        for (limit, threshold) in [(limit, None), (usize::MAX, None), (limit, threshold)] {
            let found = index.search(query, &Search { at, limit, filter, tie: &tie, threshold }).unwrap();
            let expected: Vec<Hit> = expected
                .iter()
                .filter(|h| threshold.is_none_or(|t| h.score >= t))
                .take(limit)
                .copied()
                .collect();
            assert_eq!(
                bits(&found),
                bits(&expected),
                "{query:?} at {at}, limit {limit}, threshold {threshold:?}"
            );
        }
    }
    for hit in all.iter().take(3) {
        let explanation = index.explain(query, hit.slot, at).unwrap();
        assert_eq!(explanation.score, Some(hit.score));
        let sum: f64 = explanation.shares.iter().map(|s| f64::from(s.score)).sum();
        assert_eq!(sum as f32, hit.score, "{explanation:?}");
    }
}

fn bits(hits: &[Hit]) -> Vec<(u64, u32, f32)> {
    hits.iter().map(|h| (h.slot, h.score.to_bits(), h.score)).collect()
}
