//! Links between records. A record has a node from its first link on; a link is there if the records of both of its nodes are.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use agentdb_types::Code;
use serde_json::{Map, Value, json};

use super::filter::matches;
use super::record::Record;
use super::{
    Decision, Moment, Namespace, check_id, check_name, check_value, given_map, given_text, text, time,
};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Link {
    payload: Map<String, Value>,
    created: i64,
    pub(super) version: u64,
}

/// From a node, of a type, to a node.
pub(crate) type Links = BTreeMap<(u64, String, u64), Rc<Link>>;

/// Where the record of a node is.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) collection: &'a str,
    number: u64,
    pub(crate) id: &'a str,
    record: &'a Record,
}

/// Records by their nodes.
pub(crate) type Nodes<'a> = BTreeMap<u64, At<'a>>;

/// A link, seen from a node: which way it goes, its type, and the node at the other end.
type Adjacent<'a> = (&'static str, &'a str, u64, &'a Link);

/// What is asked of a traversal.
pub(crate) struct Asked<'a> {
    pub(crate) collection: &'a str,
    pub(crate) records: Vec<&'a str>,
    pub(crate) direction: &'static str,
    pub(crate) types: Vec<&'a str>,
    pub(crate) depth: usize,
    pub(crate) filter: Option<Value>,
    pub(crate) through: Option<Value>,
    pub(crate) limit: usize,
}

impl Link {
    pub(crate) fn entry(&self) -> Value {
        json!({"payload": self.payload, "version": self.version, "created": time(self.created)})
    }
}

impl Namespace {
    /// The records that have nodes, expired ones included.
    pub(crate) fn nodes(&self) -> Nodes<'_> {
        let mut nodes = Nodes::new();
        for (collection, of) in &*self.collections {
            for (id, record) in &of.records {
                let at = At { collection, number: of.number, id, record };
                nodes.extend(record.node.map(|node| (node, at)));
            }
        }
        nodes
    }

    /// Those that have not expired.
    pub(crate) fn live_nodes(&self, now: i64) -> Nodes<'_> {
        let mut nodes = self.nodes();
        nodes.retain(|_, at| at.record.live(now));
        nodes
    }

    /// The links that are there.
    pub(crate) fn links_among<'a>(
        &'a self,
        nodes: &'a Nodes<'_>,
    ) -> impl Iterator<Item = (&'a (u64, String, u64), &'a Rc<Link>)> {
        let there = |key: &(u64, String, u64)| nodes.contains_key(&key.0) && nodes.contains_key(&key.2);
        self.links.iter().filter(move |(key, _)| there(key))
    }

    /// Forgets links of records that are gone.
    pub(super) fn purge_links(&mut self) {
        let nodes: BTreeSet<u64> = self.nodes().into_keys().collect();
        if self.links.keys().any(|(from, _, to)| !nodes.contains(from) || !nodes.contains(to)) {
            Rc::make_mut(&mut self.links)
                .retain(|(from, _, to), _| nodes.contains(from) && nodes.contains(to));
        }
    }

    /// The links of a node in the order in which they are told.
    fn adjacent<'a>(
        &'a self,
        nodes: &Nodes<'_>,
        node: u64,
        direction: &str,
        types: &[&str],
    ) -> Vec<Adjacent<'a>> {
        let mut found = Vec::new();
        for ((from, link_type, to), link) in &*self.links {
            let there = nodes.contains_key(from) && nodes.contains_key(to);
            if !there || !types.is_empty() && !types.contains(&link_type.as_str()) {
                continue;
            }
            if *from == node && direction != "in" {
                found.push(("out", link_type.as_str(), *to, &**link));
            }
            if *to == node && direction != "out" {
                found.push(("in", link_type.as_str(), *from, &**link));
            }
        }
        found.sort_by_key(|(side, link_type, other, _)| {
            (*side == "in", *link_type, nodes[other].number, nodes[other].id.to_owned())
        });
        found
    }

    /// The links of a record as they are told.
    pub(crate) fn listed(
        &self,
        nodes: &Nodes<'_>,
        record: &Record,
        (direction, types): (&str, &[&str]),
        filter: &Value,
    ) -> Vec<Value> {
        let Some(node) = record.node else { return Vec::new() };
        let adjacent = self.adjacent(nodes, node, direction, types).into_iter();
        let matching = adjacent.filter(|(_, _, other, _)| passes(filter, nodes[other].record));
        let told = matching.map(|(side, link_type, other, link)| {
            let mut entry = link.entry();
            let at = nodes[&other];
            (entry["direction"], entry["type"]) = (json!(side), json!(link_type));
            (entry["collection"], entry["record"]) = (json!(at.collection), json!(at.id));
            entry
        });
        told.collect()
    }

    /// What a traversal tells.
    pub(crate) fn traversed(&self, nodes: &Nodes<'_>, asked: &Asked<'_>) -> Value {
        let mut known = BTreeSet::new();
        let mut level: Vec<(u64, Vec<Value>)> = Vec::new();
        for record in &asked.records {
            let node = self.collections.get(asked.collection).and_then(|of| of.records.get(*record)?.node);
            level.extend(node.filter(|node| known.insert(*node)).map(|node| (node, Vec::new())));
        }
        let mut items = Vec::new();
        for depth in 1..=asked.depth {
            let mut next = Vec::new();
            for (node, path) in level {
                let here = nodes[&node];
                for (side, link_type, other, _) in self.adjacent(nodes, node, asked.direction, &asked.types) {
                    if !known.insert(other) {
                        continue;
                    }
                    let at = nodes[&other];
                    let mut path = path.clone();
                    path.push(json!({
                        "collection": here.collection, "record": here.id, "direction": side, "type": link_type,
                    }));
                    if asked.filter.as_ref().is_none_or(|filter| passes(filter, at.record)) {
                        if items.len() == asked.limit {
                            return json!({"items": items, "more": true});
                        }
                        items.push(json!({
                            "collection": at.collection, "record": at.id, "depth": depth, "path": path,
                            "payload": at.record.payload(),
                        }));
                    }
                    if asked.through.as_ref().is_none_or(|through| passes(through, at.record)) {
                        next.push((other, path));
                    }
                }
            }
            level = next;
        }
        json!({"items": items, "more": false})
    }

    /// A record by its names, whether or not it is there.
    fn end(&self, collection: &str, id: &str, now: i64) -> Result<Option<&Rc<Record>>, Code> {
        check_id(id)?;
        check_name(collection)?;
        let of = self.collections.get(collection).ok_or(Code::CollectionNotFound)?;
        Ok(of.records.get(id).filter(|record| record.live(now)))
    }

    /// The node of a record that is there.
    fn allot(&mut self, collection: &str, id: &str) -> u64 {
        let fresh = self.nodes_created + 1;
        let of = Rc::make_mut(&mut self.collections).get_mut(collection);
        let Some(record) = of.and_then(|of| Rc::make_mut(of).records.get_mut(id)) else { return 0 };
        if let Some(node) = record.node {
            return node;
        }
        Rc::make_mut(record).node = Some(fresh);
        self.nodes_created = fresh;
        fresh
    }

    pub(super) fn link_operation(&mut self, name: &str, fields: &Value, moment: &Moment<'_>) -> Decision {
        let link_type = text(fields, "type");
        check_id(&link_type)?;
        let (collection, record, to) =
            (text(fields, "collection"), text(fields, "record"), text(fields, "to"));
        let to_collection = given_text(fields, "to_collection").unwrap_or_else(|| collection.clone());
        let now = moment.now;
        if name == "link.delete" {
            let from = self.end(&collection, &record, now)?.and_then(|record| record.node);
            let to = self.end(&to_collection, &to, now)?.and_then(|record| record.node);
            let (Some(from), Some(to)) = (from, to) else { return Ok((json!({"deleted": false}), false)) };
            let deleted = self.links.contains_key(&(from, link_type.clone(), to));
            if deleted {
                Rc::make_mut(&mut self.links).remove(&(from, link_type, to));
            }
            return Ok((json!({"deleted": deleted}), deleted));
        }
        let payload = given_map(fields, "payload");
        check_value(&Value::Object(payload.clone()))?;
        self.end(&collection, &record, now)?.ok_or(Code::RecordNotFound)?;
        self.end(&to_collection, &to, now)?.ok_or(Code::RecordNotFound)?;
        let key = (self.allot(&collection, &record), link_type, self.allot(&to_collection, &to));
        let before = self.links.get(&key);
        let created = before.is_none();
        let link = Link { payload, created: before.map_or(now, |link| link.created), version: moment.lsn };
        Rc::make_mut(&mut self.links).insert(key, Rc::new(link));
        Ok((json!({"version": moment.lsn, "created": created}), true))
    }

    /// The link of these names, if it is there.
    pub(crate) fn link(&self, fields: &Value, now: i64) -> Option<&Rc<Link>> {
        let end = |collection: &str, record: &str| {
            self.end(&text(fields, collection), &text(fields, record), now).ok()??.node
        };
        let key = (end("collection", "record")?, text(fields, "type"), end("to_collection", "to")?);
        self.links.get(&key)
    }
}

fn passes(filter: &Value, record: &Record) -> bool {
    matches(filter, &Value::Object(record.payload().clone()))
}

/// A link as a feed tells it.
pub(super) fn told(nodes: &Nodes<'_>, (from, link_type, to): &(u64, String, u64)) -> Value {
    let (from, to) = (nodes[from], nodes[to]);
    json!({
        "noun": "link", "collection": from.collection, "record": from.id, "type": link_type,
        "to_collection": to.collection, "to": to.id,
    })
}

/// Records that had links and are gone, but not with their whole collection: under the name that this has now.
pub(super) fn left(before: &Namespace, after: &Namespace) -> Vec<Value> {
    let there = after.nodes();
    let gone = before.nodes().into_iter().filter(|(node, _)| !there.contains_key(node));
    let named = gone.filter_map(|(_, at)| {
        let (collection, _) = after.collections.iter().find(|(_, of)| of.number == at.number)?;
        Some(json!({"noun": "links", "collection": collection, "record": at.id}))
    });
    named.collect()
}
