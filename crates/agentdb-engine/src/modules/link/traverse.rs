//! `link.traverse`.

use std::collections::HashSet;
use std::rc::Rc;

use agentdb_types::{Code, Error, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::adjacent::{Adjacent, Direction, Selection, Side};
use super::end::{End, Named, Records};
use super::{Place, check_types, node};
use crate::Snapshot;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};

/// Follows links from record to record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Traverse {
    /// The collection of the records that it starts from.
    pub collection: String,
    /// Those records, 1 to 100.
    pub records: Vec<String>,
    /// Which links are followed: those that go out if not given.
    #[serde(default)]
    pub direction: Direction,
    /// Only links of these types, up to 100; of all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// How many links a path has at most, up to 10; 1 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<usize>,
    /// Which records are told: those whose payload matches (docs/filters.md). Others are passed through all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// Which records are passed through: those whose payload matches. Others may be told, and nothing behind them is. It goes
    /// on from those that it starts from in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Value>,
    /// How many records are told at most, up to 1,000; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A record that was reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hit {
    /// Its collection.
    pub collection: String,
    /// The record.
    pub record: String,
    /// How many links away it is, by the shortest path.
    pub depth: usize,
    /// The path that led there, one of the shortest.
    pub path: Vec<Step>,
    /// Its payload.
    pub payload: Map<String, Value>,
}

/// A step of a path: a record, and the link to the next one, or to the record that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The collection of the record that the step leaves.
    pub collection: String,
    /// That record.
    pub record: String,
    /// Which way the link goes, seen from there.
    pub direction: Side,
    /// The type of the link.
    #[serde(rename = "type")]
    pub link_type: String,
}

/// The answer to [`Traverse`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Traversed {
    /// The records that were reached, each once, the nearest first; never those that it started from.
    pub items: Vec<Hit>,
    /// Whether there may be more: there was no room for them, or the traversal had looked at 10,000 records or 100,000 links.
    pub more: bool,
}

impl Traverse {
    /// The records that one link leads to from any of these.
    pub fn new(collection: impl Into<String>, records: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Traverse {
            collection: collection.into(),
            records: records.into_iter().map(Into::into).collect(),
            direction: Direction::Out,
            types: Vec::new(),
            depth: None,
            filter: None,
            through: None,
            limit: None,
        }
    }

    fn check(&self) -> Result<(usize, usize)> {
        let between = |field: &str, given: usize, limit: usize| {
            let reason = format_args!("{given} was given, it must be between 1 and {limit}");
            let refused = || Error::new(Code::InvalidValue).with("field", field).with("reason", reason);
            (1..=limit).contains(&given).then_some(given).ok_or_else(refused)
        };
        between("the number of records", self.records.len(), limits::TRAVERSAL_STARTS)?;
        let depth = between("depth", self.depth.unwrap_or(1), limits::TRAVERSAL_DEPTH)?;
        let limit = between("limit", self.limit.unwrap_or(limits::PAGE_DEFAULT), limits::TRAVERSAL_HITS)?;
        Ok((depth, limit))
    }
}

impl Request for Traverse {
    type Response = Traversed;
    const ABOUT: About = About {
        name: "link.traverse",
        doc: "Follows links from records, breadth first, up to a depth, and tells each record that it comes to once, with the path that led there. Filters say which records are told, and which are passed through. The work is bounded, and the answer says whether there may be more.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "link.read",
        resource: &["collection", "records"],
        sensitive: &["items", "filter", "through"],
        errors: &[
            Code::CollectionNotFound,
            Code::RecordNotFound,
            Code::FilterTypeMismatch,
            Code::InvalidValue,
        ],
    };
}

/// The places of the filters.
const TOLD: usize = 0;
const THROUGH: usize = 1;

impl ReadRequest for Traverse {
    fn read(&self, snapshot: &Snapshot) -> Result<Traversed> {
        let (depth, limit) = self.check()?;
        let selection = Selection { direction: self.direction, types: check_types(&self.types)? };
        let ends = Records::new(snapshot, &[self.filter.as_ref(), self.through.as_ref()])?;
        let mut walk = Walk {
            ends,
            limit,
            visited: Vec::new(),
            known: HashSet::new(),
            looked_at: (0, 0),
            traversed: Traversed { items: Vec::new(), more: false },
        };
        let mut level = Vec::new();
        for record in &self.records {
            let start = Named::from(&self.collection, record).find(snapshot)?;
            // What never had a link leads nowhere.
            if let Some(node) = node::of(snapshot, &start.key)?
                && walk.known.insert(node)
            {
                level.push(walk.visit(self.collection.as_str().into(), start.place(node), None));
            }
        }
        for depth in 1..=depth {
            let mut next = Vec::new();
            for at in level {
                let node = walk.visited[at].place.node;
                selection.scan(snapshot, node, None, &mut |link| walk.follow(at, depth, link, &mut next))?;
                if walk.traversed.more {
                    return Ok(walk.traversed);
                }
            }
            level = next;
        }
        Ok(walk.traversed)
    }
}

/// A traversal under way.
struct Walk<'a> {
    ends: Records<'a>,
    limit: usize,
    visited: Vec<Visited>,
    known: HashSet<u64>,
    /// How many records, and links.
    looked_at: (usize, usize),
    traversed: Traversed,
}

/// A record that may be on a path.
struct Visited {
    collection: Rc<str>,
    place: Place,
    /// The one before, and the link that led from there.
    before: Option<(usize, Side, String)>,
}

impl Walk<'_> {
    fn visit(&mut self, collection: Rc<str>, place: Place, before: Option<(usize, Side, String)>) -> usize {
        self.visited.push(Visited { collection, place, before });
        self.visited.len() - 1
    }

    /// Goes along a link; returns whether to go on.
    fn follow(&mut self, at: usize, depth: usize, link: Adjacent, next: &mut Vec<usize>) -> Result<bool> {
        self.looked_at.1 += 1;
        if self.looked_at.1 > limits::TRAVERSAL_LINKS {
            self.traversed.more = true;
            return Ok(false);
        }
        if !self.known.insert(link.other.node) {
            return Ok(true);
        }
        self.looked_at.0 += 1;
        if self.looked_at.0 > limits::TRAVERSAL_RECORDS {
            self.traversed.more = true;
            return Ok(false);
        }
        let Some(end) = self.ends.at(&link.other)? else { return Ok(true) };
        let (told, through) = (end.matches(TOLD), end.matches(THROUGH));
        if told && self.traversed.items.len() == self.limit {
            self.traversed.more = true;
            return Ok(false);
        }
        if told || through {
            let before = Some((at, link.side, link.link_type));
            let here = self.visit(end.collection.clone(), link.other, before);
            if told {
                self.tell(here, depth, end);
            }
            if through {
                next.push(here);
            }
        }
        Ok(true)
    }

    fn tell(&mut self, here: usize, depth: usize, end: End) {
        let mut path = Vec::with_capacity(depth);
        let mut at = &self.visited[here];
        while let Some((before, direction, link_type)) = &at.before {
            at = &self.visited[*before];
            path.push(Step {
                collection: at.collection.to_string(),
                record: at.place.record.clone(),
                direction: *direction,
                link_type: link_type.clone(),
            });
        }
        path.reverse();
        let Value::Object(payload) = end.payload else { return };
        let (collection, record) = (end.collection.to_string(), self.visited[here].place.record.clone());
        self.traversed.items.push(Hit { collection, record, depth, path, payload });
    }
}
