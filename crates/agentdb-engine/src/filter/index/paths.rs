//! The paths that occur in payloads, as a tree of names, with what is known of each field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::super::{FieldType, Fields};
use super::field_index::FieldIndex;

/// A field, and the fields within it.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) field: FieldIndex,
    /// The declared type.
    pub(super) kind: Option<FieldType>,
    /// Whether values are indexed; else it is only known which records have the field.
    pub(super) indexed: bool,
    /// Whether every field within is a node of its own.
    whole: bool,
    /// If not: the names of those that are, since they, or fields within them, are declared.
    declared: BTreeSet<String>,
    within: BTreeMap<Box<str>, Node>,
}

/// What is known of a path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known<'a> {
    /// All of it.
    Field(&'a Node),
    /// No record has it.
    Nowhere,
    /// It lies within this field, which is not indexed: only records that have that one can have it.
    Within(&'a Node),
}

impl Node {
    /// The node above all fields.
    pub(super) fn root() -> Node {
        Node { indexed: true, whole: true, ..Node::default() }
    }

    /// Adds the fields of an object. `path` is that of this node, and is so again afterwards.
    pub(super) fn insert(
        &mut self,
        fields: &Fields,
        path: &mut String,
        ordinal: u32,
        object: &Map<String, Value>,
    ) {
        let end = path.len();
        for (name, value) in named(object) {
            path.extend((end > 0).then_some("."));
            path.push_str(name);
            if let Some(node) = self.child(fields, path, name) {
                node.field.exists.insert(ordinal);
                if node.indexed {
                    node.field.insert(ordinal, value, node.kind);
                }
                if let Value::Object(object) = value {
                    node.insert(fields, path, ordinal, object);
                }
            }
            path.truncate(end);
        }
    }

    /// Takes the fields of an object out; nodes of fields that no record has any more go.
    pub(super) fn remove(&mut self, ordinal: u32, object: &Map<String, Value>) {
        for (name, value) in named(object) {
            let Some(node) = self.within.get_mut(name) else { continue };
            node.field.exists.remove(ordinal);
            if node.field.exists.is_empty() {
                self.within.remove(name);
                continue;
            }
            if node.indexed {
                node.field.remove(ordinal, value, node.kind);
            }
            if let Value::Object(object) = value {
                node.remove(ordinal, object);
            }
        }
    }

    /// What is known of a path.
    pub(super) fn find<'a>(&'a self, path: &[String]) -> Known<'a> {
        let mut node = self;
        for name in path {
            match node.within.get(name.as_str()) {
                Some(child) => node = child,
                None if node.whole || node.declared.contains(name) => return Known::Nowhere,
                None => return Known::Within(node),
            }
        }
        Known::Field(node)
    }

    /// Bytes on the heap, about.
    pub(super) fn bytes(&self) -> usize {
        let names = self.within.keys().map(|name| name.len() + 16).sum::<usize>();
        let nodes = self.within.values().map(|node| size_of::<Node>() + node.bytes()).sum::<usize>();
        self.field.bytes() + names + nodes
    }

    /// The node of a field within, made if it is not there; none if nothing is to be known of the field.
    fn child(&mut self, fields: &Fields, path: &str, name: &str) -> Option<&mut Node> {
        if !self.within.contains_key(name) {
            let declared = fields.get(path);
            let indexed = declared.map_or(self.whole, |f| f.indexed);
            if !indexed && declared.is_none() && !self.declared.contains(name) {
                return None;
            }
            let kind = declared.map(|f| f.kind);
            // The parts of a point are found by the point.
            let whole = indexed && kind != Some(FieldType::Geo);
            let below = if whole { BTreeSet::new() } else { fields.names_below(path) };
            let node = Node { kind, indexed, whole, declared: below, ..Node::default() };
            self.within.insert(name.into(), node);
        }
        self.within.get_mut(name)
    }
}

/// The members of an object that a path can name.
fn named(object: &Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    object.iter().map(|(n, v)| (n.as_str(), v)).filter(|(name, _)| !name.is_empty() && !name.contains('.'))
}
