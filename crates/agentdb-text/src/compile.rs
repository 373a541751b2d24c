//! From a query to a plan: checking it against the index, analysing its texts, expanding its terms.

use std::collections::BTreeMap;

use agentdb_types::{Code, Error, Lsn, Result};

use crate::bm25::{K1, Scale, Statistics};
use crate::expand;
use crate::field::WEIGHT_MAX;
use crate::index::State;
use crate::plan::{Boolean, Leaf, Node, Numbers, Phrase, Plan};
use crate::query::{self, Operator, QUERY_BYTES, QUERY_DEPTH, QUERY_TERMS, Query, invalid};
use crate::{Analyzer, Field, Token};

/// The greatest slop.
const SLOP_MAX: u32 = 1_000;

/// Makes a query ready.
///
/// # Errors
/// [`Code::TextQueryInvalid`], [`Code::TextQueryTooLarge`], [`Code::TextExpansion`].
pub(crate) fn compile(fields: &[Field], state: &State, at: Lsn, query: &Query) -> Result<Plan> {
    let mut compiler = Compiler {
        fields,
        state,
        at,
        statistics: Statistics::new(state, at, fields.len()),
        leaves: Vec::new(),
        terms: 0,
        bytes: 0,
        empty: Vec::new(),
    };
    let root = compiler.query(query, "query", QUERY_DEPTH, 1.0)?;
    let greatest = compiler.leaves.iter().map(|l| l.weight).fold(f32::MIN_POSITIVE, f32::max);
    let scale = Scale::new(compiler.leaves.len().max(1), greatest);
    let Compiler { leaves, statistics, empty, .. } = compiler;
    Ok(Plan { root, leaves, statistics, scale, empty })
}

pub(crate) struct Compiler<'a> {
    pub(crate) fields: &'a [Field],
    pub(crate) state: &'a State,
    pub(crate) at: Lsn,
    statistics: Statistics,
    leaves: Vec<Leaf>,
    /// Terms and bytes of texts so far.
    terms: usize,
    bytes: usize,
    empty: Vec<String>,
}

impl Compiler<'_> {
    fn query(&mut self, query: &Query, path: &str, depth: usize, boost: f64) -> Result<Node> {
        if depth == 0 {
            return Err(too_large(path, QUERY_DEPTH + 1, "levels or more", QUERY_DEPTH));
        }
        match query {
            Query::Text(text) => {
                self.matches(&query::Match { text: text.clone(), ..query::Match::default() }, path, boost)
            }
            Query::Match(m) => self.matches(m, &format!("{path}.match"), boost),
            Query::Phrase(p) => self.phrase(p, &format!("{path}.phrase"), boost),
            Query::Prefix(p) => self.prefix(p, &format!("{path}.prefix"), boost),
            Query::Fuzzy(f) => self.fuzzy(f, &format!("{path}.fuzzy"), boost),
            Query::Boolean(b) => self.boolean(b, &format!("{path}.boolean"), depth, boost),
            Query::Boost(b) => {
                let path = format!("{path}.boost");
                let product = boost * f64::from(b.by);
                let allowed = 1.0 / f64::from(WEIGHT_MAX) * 0.999_999..=f64::from(WEIGHT_MAX) * 1.000_001;
                if !allowed.contains(&product) {
                    return Err(invalid(
                        format!("{path}.by"),
                        format!(
                            "the factor, with those around it, is {product}: it must be from 0.000001 to 1000000"
                        ),
                    ));
                }
                self.query(&b.query, &format!("{path}.query"), depth - 1, product)
            }
            Query::Syntax(s) => {
                let outer = format!("{path}.syntax");
                let path = format!("{outer}.query");
                // The text counts once, with the words in it.
                self.text(&s.query, &path)?;
                self.bytes -= s.query.len();
                if let Some(names) = &s.fields {
                    self.select(&Some(names.clone()), &outer)?;
                }
                let query = query::parse_syntax(s, &path, depth - 1)?;
                self.query(&query, &path, depth, boost)
            }
        }
    }

    fn boolean(&mut self, query: &query::Boolean, path: &str, depth: usize, boost: f64) -> Result<Node> {
        if query.must.is_empty() && query.should.is_empty() {
            return Err(invalid(path, "give must or should: must_not alone asks for nothing"));
        }
        let mut each = |name: &str, queries: &[Query]| {
            let one =
                |(at, q): (usize, &Query)| self.query(q, &format!("{path}.{name}[{at}]"), depth - 1, boost);
            queries.iter().enumerate().map(one).collect::<Result<Vec<Node>>>()
        };
        let must = each("must", &query.must)?;
        let should = each("should", &query.should)?;
        let must_not = each("must_not", &query.must_not)?;
        if must.is_empty() && must_not.is_empty() {
            return Ok(Node::any(should));
        }
        let least = usize::from(must.is_empty());
        Ok(Node::Boolean(Boolean { must, should, must_not, least }))
    }

    /// For each analyzer among the fields, so many of the distinct terms, each in one of the fields at least.
    fn matches(&mut self, query: &query::Match, path: &str, boost: f64) -> Result<Node> {
        if query.fuzzy.is_some_and(|distance| distance > 2) {
            return Err(invalid(format!("{path}.fuzzy"), "the distance is 0, 1 or 2"));
        }
        if query.minimum_match == Some(0) {
            return Err(invalid(format!("{path}.minimum_match"), "must be 1 at least"));
        }
        // A plain string has no key `text`.
        let key = if path.ends_with(".match") { ".text" } else { "" };
        self.text(&query.text, &format!("{path}{key}"))?;
        let mut nodes = Vec::new();
        for (analyzer, fields) in self.select(&query.fields, path)? {
            let mut terms: Vec<(String, usize)> = Vec::new();
            for token in analyzer.tokens(&query.text) {
                match terms.iter_mut().find(|(term, _)| *term == token.term) {
                    Some((_, count)) => *count += 1,
                    None => {
                        self.count_terms(1, path)?;
                        terms.push((token.term, 1));
                    }
                }
            }
            let least = match (query.minimum_match, query.operator) {
                (Some(least), _) => terms.len().min(least as usize),
                (None, Operator::All) => terms.len(),
                (None, Operator::Any) => 1,
            };
            let mut of_terms = Vec::with_capacity(terms.len());
            for (term, count) in terms {
                let factor = boost * count as f64;
                let distance = query.fuzzy.unwrap_or(0);
                let mut of_fields = Vec::with_capacity(fields.len());
                for field in &fields {
                    of_fields.push(match distance {
                        0 => Node::Leaf(self.term(*field, &term, factor)),
                        _ => self.spelt(*field, &term, distance, 0, factor, path)?,
                    });
                }
                of_terms.push(Node::any(of_fields));
            }
            if !of_terms.is_empty() {
                nodes.push(Node::at_least(least, of_terms));
            }
        }
        self.note_empty(&nodes, path);
        Ok(Node::any(nodes))
    }

    fn phrase(&mut self, query: &query::Phrase, path: &str, boost: f64) -> Result<Node> {
        if query.slop > SLOP_MAX {
            return Err(invalid(format!("{path}.slop"), format!("must be {SLOP_MAX} at most")));
        }
        self.text(&query.text, &format!("{path}.text"))?;
        let mut nodes = Vec::new();
        for (analyzer, fields) in self.select(&query.fields, path)? {
            let tokens = analyzer.tokens(&query.text);
            self.count_terms(tokens.len(), path)?;
            for field in fields {
                match &tokens[..] {
                    [] => {}
                    [only] => nodes.push(Node::Leaf(self.term(field, &only.term, boost))),
                    _ => nodes.push(self.words(field, &tokens, query.slop, boost)),
                }
            }
        }
        self.note_empty(&nodes, path);
        Ok(Node::any(nodes))
    }

    fn prefix(&mut self, query: &query::Prefix, path: &str, boost: f64) -> Result<Node> {
        self.text(&query.text, &format!("{path}.text"))?;
        let mut nodes = Vec::new();
        for (analyzer, fields) in self.select(&query.fields, path)? {
            let prefix = analyzer.normalize(&query.text);
            if prefix.is_empty() {
                return Err(invalid(format!("{path}.text"), "the prefix is empty"));
            }
            self.count_terms(1, path)?;
            for field in fields {
                let found = expand::prefix(self, field, &prefix);
                let found =
                    found.map_err(|error| error.with("path", path).with("term", format!("{prefix}*")))?;
                nodes.push(self.best(field, found.into_iter().map(|(term, found)| (term, found, boost))));
            }
        }
        Ok(Node::any(nodes))
    }

    fn fuzzy(&mut self, query: &query::Fuzzy, path: &str, boost: f64) -> Result<Node> {
        if !(1..=2).contains(&query.distance) {
            return Err(invalid(format!("{path}.distance"), "the distance is 1 or 2"));
        }
        self.text(&query.term, &format!("{path}.term"))?;
        let mut nodes = Vec::new();
        for (analyzer, fields) in self.select(&query.fields, path)? {
            let term = match &analyzer.tokens(&query.term)[..] {
                [only] => only.term.clone(),
                _ => analyzer.normalize(&query.term),
            };
            if term.is_empty() {
                return Err(invalid(format!("{path}.term"), "the term is empty"));
            }
            self.count_terms(1, path)?;
            for field in fields {
                nodes.push(self.spelt(field, &term, query.distance, query.prefix_length, boost, path)?);
            }
        }
        Ok(Node::any(nodes))
    }

    fn spelt(
        &mut self,
        field: usize,
        term: &str,
        distance: u8,
        same: u32,
        boost: f64,
        path: &str,
    ) -> Result<Node> {
        let chars = term.chars().count();
        if chars > query::FUZZY_CHARS {
            return Err(too_large(path, chars, "characters in a fuzzy term", query::FUZZY_CHARS));
        }
        let found = expand::fuzzy(self, field, term, distance, same);
        let found =
            found.map_err(|error| error.with("path", path).with("term", format!("{term}~{distance}")))?;
        let weighed = found.into_iter().map(|(other, found)| {
            let longer = chars.max(other.chars().count());
            let factor = 1.0 - f64::from(found.distance) / (1.0 + longer as f64);
            (other, found, boost * factor)
        });
        Ok(self.best(field, weighed))
    }

    fn best(&mut self, field: usize, found: impl Iterator<Item = (String, expand::Found, f64)>) -> Node {
        let mut leaves = Vec::new();
        for (term, found, boost) in found {
            let weight = self.weight(field, self.statistics.idf(found.frequency), boost);
            leaves.push(self.leaves.len());
            let (frequency, numbers) = (Some(found.frequency), found.numbers);
            self.leaves.push(Leaf { field, term, weight, frequency, numbers });
        }
        if leaves.is_empty() { Node::nothing() } else { Node::Best(leaves) }
    }

    fn words(&mut self, field: usize, tokens: &[Token], slop: u32, boost: f64) -> Node {
        let (mut words, mut idf) = (Vec::with_capacity(tokens.len()), 0.0);
        for token in tokens {
            let numbers = self.numbers(field, &token.term);
            idf += self.statistics.idf(self.frequency(&numbers));
            words.push((numbers, token.position - tokens[0].position));
        }
        let terms: Vec<&str> = tokens.iter().map(|t| t.term.as_str()).collect();
        let (term, weight) = (terms.join(" "), self.weight(field, idf, boost));
        let leaf = self.leaves.len();
        self.leaves.push(Leaf { field, term, weight, frequency: None, numbers: Vec::new() });
        Node::Phrase(Phrase { leaf, words, slop })
    }

    fn term(&mut self, field: usize, term: &str, boost: f64) -> usize {
        let numbers = self.numbers(field, term);
        let frequency = self.frequency(&numbers);
        let weight = self.weight(field, self.statistics.idf(frequency), boost);
        self.leaves.push(Leaf { field, term: term.to_owned(), weight, frequency: Some(frequency), numbers });
        self.leaves.len() - 1
    }

    fn weight(&self, field: usize, idf: f64, boost: f64) -> f32 {
        (f64::from(self.fields[field].weight) * boost * idf * f64::from(K1 + 1.0)) as f32
    }

    fn numbers(&self, field: usize, term: &str) -> Numbers {
        let mut key = Vec::with_capacity(term.len() + 1);
        key.push(field as u8);
        key.extend_from_slice(term.as_bytes());
        self.state.parts.iter().map(|p| p.segment.terms.find(&key).map(|n| n as u32)).collect()
    }

    /// How many visible entries have a term.
    pub(crate) fn frequency(&self, numbers: &Numbers) -> u64 {
        let parts = self.state.parts.iter().zip(numbers);
        parts.filter_map(|(part, n)| Some(part.frequency((*n)? as usize, self.at))).sum()
    }

    /// The fields of these names, or all, by analyzer.
    fn select(&self, names: &Option<Vec<String>>, path: &str) -> Result<Vec<(Analyzer, Vec<usize>)>> {
        let path = format!("{path}.fields");
        let mut chosen: Vec<usize> = Vec::new();
        match names {
            None => chosen.extend(0..self.fields.len()),
            Some(names) => {
                for name in names {
                    let Some(at) = self.fields.iter().position(|f| f.name == *name) else {
                        let known: Vec<&str> = self.fields.iter().map(|f| f.name.as_str()).collect();
                        let reason = format!("there is no field {name}: the index has {}", known.join(", "));
                        return Err(invalid(&path, reason));
                    };
                    if chosen.contains(&at) {
                        return Err(invalid(&path, format!("field {name} is named twice")));
                    }
                    chosen.push(at);
                }
                if chosen.is_empty() {
                    return Err(invalid(&path, "fields is empty: name one, or leave it out for all"));
                }
            }
        }
        let mut groups: BTreeMap<usize, (Analyzer, Vec<usize>)> = BTreeMap::new();
        chosen.sort_unstable();
        for field in chosen {
            let analyzer = self.fields[field].analyzer;
            groups.entry(analyzer as usize).or_insert((analyzer, Vec::new())).1.push(field);
        }
        Ok(groups.into_values().collect())
    }

    fn text(&mut self, text: &str, path: &str) -> Result<()> {
        self.bytes += text.len();
        if self.bytes > QUERY_BYTES {
            return Err(too_large(path, self.bytes, "bytes of text", QUERY_BYTES));
        }
        Ok(())
    }

    fn count_terms(&mut self, more: usize, path: &str) -> Result<()> {
        self.terms += more;
        if self.terms > QUERY_TERMS {
            return Err(too_large(path, self.terms, "terms or more", QUERY_TERMS));
        }
        Ok(())
    }

    fn note_empty(&mut self, nodes: &[Node], path: &str) {
        if nodes.is_empty() {
            self.empty.push(path.to_owned());
        }
    }
}

fn too_large(path: &str, actual: usize, unit: &str, limit: usize) -> Error {
    let error = Error::new(Code::TextQueryTooLarge).with("path", path).with("actual", actual);
    error.with("unit", unit).with("limit", limit)
}
