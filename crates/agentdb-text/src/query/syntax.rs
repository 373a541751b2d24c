//! The query syntax: from characters to the tree that JSON is read into, too.

use agentdb_types::{Code, Error, Result};

use super::json::invalid;
use super::{Boolean, Boost, Fuzzy, Match, Operator, Phrase, Prefix, QUERY_DEPTH, Query, Syntax};

/// Reads a query in the syntax. `path` is where it stands, for errors; `depth` how deep it may be nested.
///
/// # Errors
/// [`Code::TextQueryInvalid`] with the place in the text, [`Code::TextQueryTooLarge`] if it is nested too deep.
pub(crate) fn parse(syntax: &Syntax, path: &str, depth: usize) -> Result<Query> {
    let text: Vec<char> = syntax.query.chars().collect();
    let mut parser = Parser { text, at: 0, path, fields: syntax.fields.clone() };
    parser.clauses(depth, false)
}

struct Parser<'a> {
    text: Vec<char>,
    at: usize,
    path: &'a str,
    /// The fields of words without a field of their own.
    fields: Option<Vec<String>>,
}

/// What is to be true of a clause.
#[derive(Clone, Copy, PartialEq)]
enum Occur {
    Should,
    Must,
    Not,
}

/// What stands between two clauses.
#[derive(Clone, Copy, PartialEq)]
enum Joint {
    None,
    And,
    Or,
}

impl Parser<'_> {
    /// Clauses up to the end, or to the bracket that ends a group.
    fn clauses(&mut self, depth: usize, group: bool) -> Result<Query> {
        if depth == 0 {
            let error = Error::new(Code::TextQueryTooLarge).with("path", self.path);
            return Err(error
                .with("actual", QUERY_DEPTH + 1)
                .with("unit", "levels or more")
                .with("limit", QUERY_DEPTH));
        }
        let mut clauses: Vec<(Occur, Query)> = Vec::new();
        loop {
            self.space();
            match self.peek() {
                None if group => return Err(self.wrong("a `(` is not closed")),
                Some(')') if !group => return Err(self.wrong("a `)` that nothing opens")),
                None => break,
                Some(')') => {
                    self.at += 1;
                    break;
                }
                Some(_) => self.clause(&mut clauses, depth)?,
            }
        }
        if group && clauses.is_empty() {
            return Err(self.wrong("the group is empty"));
        }
        self.combine(clauses)
    }

    fn clause(&mut self, clauses: &mut Vec<(Occur, Query)>, depth: usize) -> Result<()> {
        let joint = self.joint();
        if joint != Joint::None && clauses.is_empty() {
            return Err(self.wrong("nothing stands before the operator"));
        }
        self.space();
        let mut occur = if joint == Joint::And { Occur::Must } else { Occur::Should };
        if self.word("NOT") || self.sign('-') || self.sign('!') {
            occur = Occur::Not;
        } else if self.sign('+') {
            occur = Occur::Must;
        }
        if joint == Joint::And
            && let Some((last @ Occur::Should, _)) = clauses.last_mut()
        {
            *last = Occur::Must;
        }
        self.space();
        let query = self.boosted(depth)?;
        clauses.push((occur, query));
        Ok(())
    }

    fn joint(&mut self) -> Joint {
        if self.word("AND") || self.word("&&") {
            Joint::And
        } else if self.word("OR") || self.word("||") {
            Joint::Or
        } else {
            Joint::None
        }
    }

    fn combine(&self, clauses: Vec<(Occur, Query)>) -> Result<Query> {
        let mut boolean = Boolean::default();
        let only = clauses.len() == 1;
        for (occur, query) in clauses {
            match occur {
                Occur::Should if only => return Ok(query),
                Occur::Should => boolean.should.push(query),
                Occur::Must => boolean.must.push(query),
                Occur::Not => boolean.must_not.push(query),
            }
        }
        if boolean == Boolean::default() {
            return Ok(Query::Text(String::new()));
        }
        if boolean.must.is_empty() && boolean.should.is_empty() {
            return Err(self.wrong("everything is forbidden and nothing asked for"));
        }
        Ok(Query::Boolean(boolean))
    }

    /// A word, a phrase or a group, with its field before and its factor behind it.
    fn boosted(&mut self, depth: usize) -> Result<Query> {
        let query = self.primary(depth)?;
        if !self.sign('^') {
            return Ok(query);
        }
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit() || c == '.') {
            self.at += 1;
        }
        let number: String = self.text[start..self.at].iter().collect();
        // Whatever goes on behind the number is no part of it, and no word of its own either.
        match number.parse() {
            Ok(by) if self.ends() => Ok(Query::Boost(Boost { query: Box::new(query), by })),
            _ => Err(self.wrong("`^` needs a number behind it, as 2 or 0.5")),
        }
    }

    fn primary(&mut self, depth: usize) -> Result<Query> {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                self.clauses(depth - 1, true)
            }
            Some('"') => self.phrase(),
            Some(':') => Err(self.wrong("`:` needs the name of a field before it")),
            Some('^' | '~' | '*') => Err(self.wrong("the sign needs a word before it")),
            Some('[' | '{') => {
                Err(self.wrong("ranges are not known here: put a `\\` before the bracket to search for it"))
            }
            None | Some(')') => Err(self.wrong("a word, a phrase or a group is missing")),
            Some(_) if ["AND", "OR", "NOT", "&&", "||"].iter().any(|word| self.word(word)) => {
                Err(self.wrong("an operator stands where a word is to be"))
            }
            Some(_) => self.term(Some(depth)),
        }
    }

    fn phrase(&mut self) -> Result<Query> {
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(self.wrong("a `\"` is not closed")),
                Some('"') => break,
                Some('\\') => text.push(self.escaped()?),
                Some(c) => text.push(c),
            }
        }
        let slop = if self.sign('~') {
            let slop = self.number()?.ok_or_else(|| self.wrong("`~` behind a phrase needs a number"))?;
            if !self.ends() && self.peek() != Some('^') {
                return Err(self.wrong("`~` behind a phrase needs a whole number"));
            }
            slop
        } else {
            0
        };
        Ok(Query::Phrase(Phrase { text, fields: self.fields.clone(), slop }))
    }

    /// A word, or a field with what is to be found in it if `depth` says that there may be one.
    fn term(&mut self, depth: Option<usize>) -> Result<Query> {
        let mut text = String::new();
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    self.at += 1;
                    text.push(self.escaped()?);
                    continue;
                }
                ':' => {
                    let Some(depth) = depth else {
                        return Err(self.wrong("a field stands behind a field"));
                    };
                    self.at += 1;
                    return self.of_field(text, depth);
                }
                '(' | ')' | '"' | '^' | '~' | '*' => break,
                c if c.is_whitespace() => break,
                c => text.push(c),
            }
            self.at += 1;
        }
        let fields = self.fields.clone();
        if self.sign('*') {
            if self.peek().is_some_and(|c| !c.is_whitespace() && c != ')' && c != '^') {
                return Err(self.wrong("`*` stands only at the end of a word"));
            }
            return Ok(Query::Prefix(Prefix { text, fields }));
        }
        if self.sign('~') {
            let distance = self.number()?.unwrap_or(2);
            let distance = u8::try_from(distance).map_err(|_| self.wrong("the distance is 1 or 2"))?;
            if !self.ends() && self.peek() != Some('^') {
                return Err(
                    self.wrong("`~` behind a word stands at its end, with a distance of 1 or 2 or without")
                );
            }
            return Ok(Query::Fuzzy(Fuzzy { term: text, fields, distance, prefix_length: 0 }));
        }
        Ok(Query::Match(Match { text, fields, operator: Operator::All, ..Match::default() }))
    }

    /// What stands behind `field:`.
    fn of_field(&mut self, field: String, depth: usize) -> Result<Query> {
        if self.peek().is_none_or(|c| c.is_whitespace() || c == ':') {
            return Err(self.wrong("`:` needs a word, a phrase or a group behind it, or a `\\` before it"));
        }
        let outer = self.fields.replace(vec![field]);
        let query = match self.peek() {
            Some('(' | '"' | '^' | '~' | '*' | '[' | '{' | ')') => self.primary(depth),
            _ => self.term(None),
        };
        self.fields = outer;
        query
    }

    fn number(&mut self) -> Result<Option<u32>> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        let digits: String = self.text[start..self.at].iter().collect();
        if digits.is_empty() {
            return Ok(None);
        }
        digits.parse().map(Some).map_err(|_| self.wrong("the number is too large"))
    }

    fn escaped(&mut self) -> Result<char> {
        self.next().ok_or_else(|| self.wrong("nothing stands behind the last `\\`"))
    }

    /// Takes an operator that is a word of its own.
    fn word(&mut self, word: &str) -> bool {
        let end = self.at + word.chars().count();
        let ends = self.text.get(end).is_none_or(|c| c.is_whitespace() || "()\"+-!".contains(*c));
        let found =
            ends && self.text.get(self.at..end).is_some_and(|text| text.iter().copied().eq(word.chars()));
        if found {
            self.at = end;
        }
        found
    }

    /// Whether a clause may end here.
    fn ends(&self) -> bool {
        self.peek().is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')' | '"'))
    }

    fn sign(&mut self, sign: char) -> bool {
        let found = self.peek() == Some(sign);
        self.at += usize::from(found);
        found
    }

    fn space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn wrong(&self, reason: &str) -> Error {
        invalid(self.path, format_args!("at character {}: {reason}", self.at))
    }
}
