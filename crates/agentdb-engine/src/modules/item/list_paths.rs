//! `item.list_paths`.

use agentdb_types::{Code, Error, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::path::{check_part, items_at, parts, start};
use super::row::is_live;
use crate::key::Key;
use crate::modules::check_page;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::{Page, Read};
use crate::{Snapshot, Table, cursor};

/// Rows of a path that are passed one by one before the rest is jumped over: a jump costs about as much.
const ROW_BY_ROW: usize = 8;

/// Lists the paths that have items.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListPaths {
    /// What the paths must match, each of these; up to 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Deeper paths are cut to so many segments, and listed once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_depth: Option<usize>,
    /// How many at most; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// How many to pass over first.
    #[serde(default)]
    pub offset: usize,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// From the last to the first.
    #[serde(default)]
    pub reverse: bool,
}

/// What a path must match. `*` stands for any one segment; every other segment for itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The path starts so.
    Prefix(Vec<String>),
    /// The path ends so.
    Suffix(Vec<String>),
}

/// A path that has items, or the start of some.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListedPath {
    /// The segments.
    pub path: Vec<String>,
}

/// The answer to [`ListPaths`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PathsListed {
    /// The paths, segment by segment in the byte order of segments.
    pub items: Vec<ListedPath>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

const ANY: &str = "*";

impl Condition {
    fn check(&self) -> Result<()> {
        match self {
            Condition::Prefix(pattern) => check_part("prefix", pattern),
            Condition::Suffix(pattern) => check_part("suffix", pattern),
        }
    }

    fn matches(&self, path: &[String]) -> bool {
        let like = |segment: &String, pattern: &String| pattern == ANY || segment == pattern;
        match self {
            Condition::Prefix(pattern) => {
                path.len() >= pattern.len() && path.iter().zip(pattern).all(|(s, p)| like(s, p))
            }
            Condition::Suffix(pattern) => {
                let pairs = path.iter().rev().zip(pattern.iter().rev());
                path.len() >= pattern.len() && pairs.into_iter().all(|(s, p)| like(s, p))
            }
        }
    }

    /// The segments that every match starts with.
    fn literal(&self) -> &[String] {
        match self {
            Condition::Prefix(pattern) => {
                let end = pattern.iter().position(|segment| segment == ANY).unwrap_or(pattern.len());
                &pattern[..end]
            }
            Condition::Suffix(_) => &[],
        }
    }
}

impl Request for ListPaths {
    type Response = PathsListed;
    const ABOUT: About = About {
        name: "item.list_paths",
        doc: "Lists the paths that have items, those that match all conditions, cut to a depth if asked, page by page. The conditions are those of whole paths, before they are cut.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "item.read",
        resource: &[],
        sensitive: &[],
        errors: &[Code::PathLength, Code::IdEmpty, Code::IdTooLong, Code::PageTooLarge, Code::InvalidCursor],
    };
}

impl ListPaths {
    fn check(&self) -> Result<()> {
        let invalid = |field: &str, reason: &str| {
            Error::new(Code::InvalidValue).with("field", field).with("reason", reason)
        };
        if self.conditions.len() > limits::PATH_SEGMENTS {
            return Err(invalid("conditions", "there are more than 32"));
        }
        if self.max_depth == Some(0) {
            return Err(invalid("max_depth", "a path has at least one segment"));
        }
        self.conditions.iter().try_for_each(Condition::check)
    }

    /// A path as it is listed.
    fn cut<'a>(&self, path: &'a [String]) -> &'a [String] {
        &path[..path.len().min(self.max_depth.unwrap_or(path.len()))]
    }

    /// What the keys start with that are passed over once a path has been listed.
    fn listed(&self, rows: &dyn Read, path: &[String]) -> Key {
        if self.max_depth == Some(path.len()) { start(rows, path) } else { items_at(rows, path) }
    }
}

impl ReadRequest for ListPaths {
    fn read(&self, snapshot: &Snapshot) -> Result<PathsListed> {
        self.check()?;
        let limit = self.limit.unwrap_or(limits::PAGE_DEFAULT);
        check_page(limit)?;
        let longest = self.conditions.iter().map(Condition::literal).max_by_key(|literal| literal.len());
        let prefix = start(snapshot, longest.unwrap_or_default());
        let mut walk = Walk { from: prefix.clone(), to: prefix.after_prefix(), reverse: self.reverse };
        // A cursor holds what is to be passed over, which may start before the list does: it is bound to the whole table.
        let table = snapshot.key(Table::Item);
        if let Some(cursor) = &self.cursor {
            walk.pass(cursor::decode(&table, cursor)?);
        }
        let (mut items, mut last, mut more, mut left) = (Vec::new(), None, false, self.offset);
        walk.each(snapshot, &mut |path| {
            if !self.conditions.iter().all(|condition| condition.matches(&path)) {
                return Ok(Some(items_at(snapshot, &path)));
            }
            let path = self.cut(&path);
            let listed = self.listed(snapshot, path);
            if left > 0 {
                left -= 1;
            } else if items.len() == limit {
                more = true;
                return Ok(None);
            } else {
                items.push(ListedPath { path: path.to_vec() });
                last = Some(listed.clone());
            }
            Ok(Some(listed))
        })?;
        let cursor = last.filter(|_| more).map(|last| cursor::encode(&table, &last));
        Ok(PathsListed { items, cursor })
    }
}

/// The keys that are still to be walked.
struct Walk {
    from: Key,
    to: Option<Key>,
    reverse: bool,
}

impl Walk {
    /// Calls `visit` with paths that have an item that has not expired; it answers what the keys start with that are passed
    /// over next, or nothing to end.
    fn each(
        &mut self,
        rows: &dyn Read,
        visit: &mut dyn FnMut(Vec<String>) -> Result<Option<Key>>,
    ) -> Result<()> {
        let direction = if self.reverse { Page::Backward } else { Page::Forward };
        loop {
            let (mut passed, mut in_it): (Option<Key>, usize) = (None, 0);
            rows.scan(&self.from, self.to.as_ref(), direction, &mut |key, row| {
                if passed.as_ref().is_some_and(|start| key.as_bytes().starts_with(start.as_bytes())) {
                    in_it += 1;
                    return Ok(in_it <= ROW_BY_ROW);
                }
                if is_live(rows, &key, &row)? {
                    (passed, in_it) = (visit(parts(&key)?.0)?, 0);
                    return Ok(passed.is_some());
                }
                Ok(true)
            })?;
            match passed {
                Some(start) if in_it > ROW_BY_ROW => self.pass(start),
                _ => return Ok(()),
            }
        }
    }

    /// Goes on behind all keys that start so.
    fn pass(&mut self, start: Key) {
        if self.reverse {
            self.to = Some(self.to.take().map_or(start.clone(), |to| to.min(start)));
        } else {
            // Every key has an end, since no table has the last number.
            let end = start.after_prefix().unwrap_or(start);
            self.from = std::mem::take(&mut self.from).max(end);
        }
    }
}
