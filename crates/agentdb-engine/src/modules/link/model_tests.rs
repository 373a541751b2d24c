//! Links held against a model that knows no nodes.

use std::collections::{BTreeMap, BTreeSet};

use agentdb_env::sim::Random;
use agentdb_types::Lsn;
use serde_json::{Value, json};

use super::node::Place;
use super::{Hit, Listed, Step, Traversed};
use crate::modules::testing::TestDb;
use crate::read::{Page, Read};
use crate::{Batch, Table, Task, WriteOptions};

type Name = (String, String);

#[derive(Default)]
struct Model {
    /// Payload and end of each record, by collection and id.
    records: BTreeMap<String, BTreeMap<String, (u64, Option<i64>)>>,
    /// From, type, to: payload and version.
    links: BTreeMap<(Name, String, Name), (u64, Lsn)>,
}

impl Model {
    fn is_there(&self, (collection, record): &Name) -> bool {
        self.records.get(collection).is_some_and(|records| records.contains_key(record))
    }

    /// Links of what is not there go, too.
    fn settle(&mut self, now: i64) {
        for records in self.records.values_mut() {
            records.retain(|_, (_, expires)| expires.is_none_or(|expires| expires > now));
        }
        let links = std::mem::take(&mut self.links);
        let there = links.into_iter().filter(|((from, _, to), _)| self.is_there(from) && self.is_there(to));
        self.links = there.collect();
    }

    fn rename(&mut self, from: &str, to: &str) {
        let records = self.records.remove(from).unwrap();
        self.records.insert(to.to_owned(), records);
        let renamed = |(collection, record): Name| {
            (if collection == from { to.to_owned() } else { collection }, record)
        };
        let links = std::mem::take(&mut self.links);
        let links = links.into_iter().map(|((a, t, b), link)| ((renamed(a), t, renamed(b)), link));
        self.links = links.collect();
    }

    fn payload(&self, (collection, record): &Name) -> u64 {
        self.records[collection][record].0
    }

    /// Direction, type, other record.
    fn adjacent(&self, of: &Name, direction: &str, types: &[&str]) -> BTreeSet<(&str, &str, &Name)> {
        let mut adjacent = BTreeSet::new();
        for (from, link_type, to) in self.links.keys() {
            if !types.is_empty() && !types.contains(&link_type.as_str()) {
                continue;
            }
            if from == of && direction != "in" {
                adjacent.insert(("out", link_type.as_str(), to));
            }
            if to == of && direction != "out" {
                adjacent.insert(("in", link_type.as_str(), from));
            }
        }
        adjacent
    }

    /// The depth of each record that is reached, the starts included.
    fn reached(&self, asked: &Asked) -> BTreeMap<Name, usize> {
        let mut depths: BTreeMap<Name, usize> = asked.starts.iter().map(|start| (start.clone(), 0)).collect();
        for depth in 1..=asked.depth {
            let level: Vec<Name> =
                depths.iter().filter(|(_, at)| **at == depth - 1).map(|(n, _)| n.clone()).collect();
            for at in level {
                if depth > 1 && !asked.passes(self.payload(&at)) {
                    continue;
                }
                for (_, _, other) in self.adjacent(&at, asked.direction, &asked.types) {
                    depths.entry(other.clone()).or_insert(depth);
                }
            }
        }
        depths
    }
}

/// What a traversal is asked.
struct Asked {
    starts: Vec<Name>,
    direction: &'static str,
    types: Vec<&'static str>,
    depth: usize,
    told: Option<u64>,
    through: Option<u64>,
}

impl Asked {
    fn passes(&self, payload: u64) -> bool {
        self.through.is_none_or(|least| payload >= least)
    }

    fn tells(&self, payload: u64) -> bool {
        self.told.is_none_or(|least| payload >= least)
    }

    fn request(&self, limit: usize) -> Value {
        let filter = |least: Option<u64>| least.map(|least| json!({"n": {"$gte": least}}));
        let mut request = json!({
            "collection": self.starts[0].0, "records": self.starts.iter().map(|(_, r)| r).collect::<Vec<_>>(),
            "direction": self.direction, "types": self.types, "depth": self.depth, "limit": limit,
        });
        for (field, filter) in [("filter", filter(self.told)), ("through", filter(self.through))] {
            if let Some(filter) = filter {
                request[field] = filter;
            }
        }
        request
    }
}

pub(super) fn call(db: &TestDb, operation: &str, request: Value) -> agentdb_types::Result<Value> {
    let options = WriteOptions::default();
    Ok(db.engine().call_json(db.namespace, operation, request, options, Lsn::ZERO)?.response)
}

pub(super) fn ok(db: &TestDb, operation: &str, request: Value) -> Value {
    call(db, operation, request.clone()).unwrap_or_else(|err| panic!("{operation} {request}: {err:?}"))
}

fn now(db: &TestDb) -> i64 {
    db.engine().snapshot(db.namespace).unwrap().now().micros()
}

pub(super) fn list(db: &TestDb, request: Value, limit: usize) -> Listed {
    let mut all = Listed { items: Vec::new(), cursor: None };
    let mut request = request;
    request["limit"] = json!(limit);
    loop {
        let page: Listed = serde_json::from_value(ok(db, "link.list", request.clone())).unwrap();
        assert!(page.items.len() <= limit && (page.cursor.is_none() || page.items.len() == limit));
        all.items.extend(page.items);
        match page.cursor {
            Some(cursor) => request["cursor"] = json!(cursor),
            None => return all,
        }
    }
}

fn compare_lists(db: &TestDb, model: &Model, random: &mut Random) {
    for (collection, records) in &model.records {
        for record in records.keys() {
            let name = (collection.clone(), record.clone());
            for direction in ["out", "in", "both"] {
                let types: Vec<&str> = ["x", "y"].into_iter().filter(|_| random.below(3) == 0).collect();
                let least = (random.below(3) == 0).then(|| random.below(4));
                let mut request = json!({"collection": collection, "record": record, "direction": direction, "types": types});
                if let Some(least) = least {
                    request["filter"] = json!({"n": {"$gte": least}});
                }
                let limit = 1 + random.below(4) as usize;
                let listed = list(db, request.clone(), limit).items;
                let found: Vec<_> = listed
                    .iter()
                    .map(|l| {
                        let way = if l.direction == super::Side::Out { "out" } else { "in" };
                        (way.to_owned(), l.link_type.clone(), (l.collection.clone(), l.record.clone()))
                    })
                    .collect();
                let mut sorted = found.clone();
                sorted.sort_by_key(|(way, link_type, _)| (way == "in", link_type.clone()));
                assert_eq!(found, sorted);
                // Within a type and a collection by the ids.
                let mut last = BTreeMap::new();
                for (way, link_type, (collection, record)) in &found {
                    let before = last.insert((way, link_type, collection), record);
                    assert!(before.is_none_or(|before| before < record), "{found:?}");
                }
                let expected = model.adjacent(&name, direction, &types);
                let expected: BTreeSet<_> = expected
                    .into_iter()
                    .filter(|(_, _, other)| least.is_none_or(|least| model.payload(other) >= least))
                    .map(|(way, link_type, other)| (way.to_owned(), link_type.to_owned(), other.clone()))
                    .collect();
                assert_eq!(found.len(), expected.len(), "{request}");
                assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "{request}");
                for link in listed {
                    let other = (link.collection, link.record);
                    let (from, to) = match link.direction {
                        super::Side::Out => (name.clone(), other),
                        super::Side::In => (other, name.clone()),
                    };
                    let (payload, version) = model.links[&(from, link.link_type, to)];
                    assert_eq!((&link.payload["p"], link.version), (&json!(payload), version));
                }
            }
        }
    }
    for ((from, link_type, to), (payload, version)) in &model.links {
        let got = ok(
            db,
            "link.get",
            json!({"collection": from.0, "record": from.1, "type": link_type, "to_collection": to.0, "to": to.1}),
        );
        assert_eq!((&got["payload"]["p"], &got["version"]), (&json!(payload), &json!(version)));
    }
}

fn check_path(model: &Model, asked: &Asked, hit: &Hit) {
    assert_eq!(hit.path.len(), hit.depth);
    let mut at: Option<Name> = None;
    for (number, Step { collection, record, direction, link_type }) in hit.path.iter().enumerate() {
        let here = (collection.clone(), record.clone());
        assert!(if number == 0 { asked.starts.contains(&here) } else { asked.passes(model.payload(&here)) });
        assert!(at.is_none_or(|at| at == here));
        let next = match hit.path.get(number + 1) {
            Some(step) => (step.collection.clone(), step.record.clone()),
            None => (hit.collection.clone(), hit.record.clone()),
        };
        let way = if *direction == super::Side::Out { "out" } else { "in" };
        let adjacent = model.adjacent(&here, asked.direction, &asked.types);
        assert!(adjacent.contains(&(way, link_type.as_str(), &next)), "{hit:?}");
        at = Some(next);
    }
}

fn compare_traversals(db: &TestDb, model: &Model, random: &mut Random) {
    let Some((collection, records)) = model.records.iter().nth(random.below(2) as usize) else { return };
    let starts: Vec<Name> = records
        .keys()
        .filter(|_| random.below(3) == 0)
        .map(|record| (collection.clone(), record.clone()))
        .collect();
    if starts.is_empty() {
        return;
    }
    let least = |random: &mut Random| (random.below(2) == 0).then(|| random.below(4));
    let asked = Asked {
        starts,
        direction: ["out", "in", "both"][random.below(3) as usize],
        types: ["x", "y"].into_iter().filter(|_| random.below(3) == 0).collect(),
        depth: 1 + random.below(5) as usize,
        told: least(random),
        through: least(random),
    };
    let traverse = |limit: usize| -> Traversed {
        serde_json::from_value(ok(db, "link.traverse", asked.request(limit))).unwrap()
    };
    let all = traverse(1_000);
    let depths = model.reached(&asked);
    let expected: BTreeMap<Name, usize> =
        depths.into_iter().filter(|(name, depth)| *depth > 0 && asked.tells(model.payload(name))).collect();
    let found: Vec<(Name, usize)> =
        all.items.iter().map(|hit| ((hit.collection.clone(), hit.record.clone()), hit.depth)).collect();
    assert!(found.is_sorted_by_key(|(_, depth)| *depth));
    assert_eq!((found.len(), all.more), (expected.len(), false));
    assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), expected);
    for hit in &all.items {
        check_path(model, &asked, hit);
        let name = (hit.collection.clone(), hit.record.clone());
        assert_eq!(hit.payload["n"], json!(model.payload(&name)));
    }
    let limit = 1 + random.below(4) as usize;
    let some = traverse(limit);
    assert_eq!(some.items[..], all.items[..limit.min(all.items.len())]);
    assert_eq!(some.more, all.items.len() > limit);
}

/// Every row belongs to a record that is there, and no other way round is anything missing.
fn check_rows(db: &TestDb, model: &Model) {
    db.run(Task::Sweep);
    assert_eq!(db.rows(Table::Garbage), 0);
    assert_eq!(db.rows(Table::Link), model.links.len());
    assert_eq!(db.rows(Table::LinkBack), model.links.len());
    let snapshot = db.engine().snapshot(db.namespace).unwrap();
    let mut nodes = 0;
    snapshot
        .scan_prefix(&snapshot.key(Table::Node), Page::Forward, &mut |key, row| {
            let Place { collection, record, .. } = Place::of(&key, super::node::number(&row)?)?;
            let name = crate::numbers::name_of(&snapshot, crate::sweep::Remains::Collection, collection)?;
            assert!(model.is_there(&(name.unwrap(), record)));
            nodes += 1;
            Ok(true)
        })
        .unwrap();
    assert!(nodes <= model.records.values().map(BTreeMap::len).sum::<usize>());
}

struct Play {
    db: TestDb,
    model: Model,
    random: Random,
    /// Versions of links that a batch under way has put.
    batch: Vec<(&'static str, Value)>,
}

impl Play {
    fn name(&mut self) -> Name {
        let collections: Vec<&String> = self.model.records.keys().collect();
        let collection = collections[self.random.below(collections.len() as u64) as usize].clone();
        (collection, format!("r{}", self.random.below(6)))
    }

    /// Puts one request into the batch, and what it does into the model.
    fn act(&mut self, now: i64) {
        let name = self.name();
        let (collection, record) = name.clone();
        let request = json!({"collection": collection, "record": record});
        match self.random.below(24) {
            0..=4 => {
                let n = self.random.below(4);
                let ttl = (self.random.below(6) == 0).then(|| 1 + self.random.below(30_000) as i64);
                let mut request = request;
                request["payload"] = json!({"n": n});
                if let Some(ttl) = ttl {
                    request["ttl_us"] = json!(ttl);
                }
                let record = (n, ttl.map(|ttl| now + ttl));
                self.model.records.get_mut(&name.0).unwrap().insert(name.1, record);
                self.batch.push(("record.put", request));
            }
            5 => {
                if let Some((n, _)) = self.model.records.get_mut(&name.0).and_then(|r| r.get_mut(&name.1)) {
                    *n = self.random.below(4);
                    let mut request = request;
                    request["payload"] = json!({"n": *n});
                    self.batch.push(("record.patch", request));
                }
            }
            6 => {
                self.model.records.get_mut(&name.0).unwrap().remove(&name.1);
                self.batch.push(("record.delete", request));
            }
            7 if self.random.below(8) == 0 => {
                self.model.records.get_mut(&name.0).unwrap().clear();
                self.batch.push(("collection.truncate", json!({"collection": name.0})));
            }
            8 if self.random.below(8) == 0 => {
                self.model.records.get_mut(&name.0).unwrap().clear();
                let collection = json!({"collection": name.0});
                self.batch.push(("collection.delete", collection.clone()));
                self.batch.push(("collection.create", collection));
            }
            9 => {
                let to = self.name();
                let link_type = ["x", "y"][self.random.below(2) as usize];
                self.model.links.remove(&(name.clone(), link_type.into(), to.clone()));
                self.batch.push(("link.delete", json!({"collection": name.0, "record": name.1, "type": link_type, "to_collection": to.0, "to": to.1})));
            }
            _ => {
                let to = self.name();
                if !self.model.is_there(&name) || !self.model.is_there(&to) {
                    return;
                }
                let link_type = ["x", "y"][self.random.below(2) as usize];
                let payload = self.random.below(100);
                let mut request = json!({"collection": name.0, "record": name.1, "type": link_type, "to": to.1, "payload": {"p": payload}});
                if to.0 != name.0 || self.random.below(2) == 0 {
                    request["to_collection"] = json!(to.0);
                }
                self.model.links.insert((name, link_type.into(), to), (payload, Lsn::ZERO));
                self.batch.push(("link.put", request));
            }
        }
        self.model.settle(now);
    }

    fn write(&mut self) {
        let now = now(&self.db);
        self.model.settle(now);
        for _ in 0..1 + self.random.below(3) {
            self.act(now);
        }
        let mut batch = Batch::new();
        for (operation, request) in std::mem::take(&mut self.batch) {
            batch.push_json(self.db.engine(), operation, request).unwrap();
        }
        if batch.is_empty() {
            return;
        }
        let options = WriteOptions::default();
        let pending = self.db.engine().write_batch(self.db.namespace, batch, options).unwrap();
        let lsn = pending.wait().unwrap().lsn;
        for (_, version) in self.model.links.values_mut().filter(|(_, version)| *version == Lsn::ZERO) {
            *version = lsn;
        }
    }

    fn step(&mut self) {
        match self.random.below(40) {
            0 => {
                let (from, _) = self.name();
                let to = ["one", "two", "three", "four"][self.random.below(4) as usize];
                if !self.model.records.contains_key(to) {
                    ok(&self.db, "collection.rename", json!({"collection": from, "to": to}));
                    self.model.rename(&from, to);
                }
            }
            1 => self.db.run(Task::Sweep),
            2 => self.db.drain(),
            3 => self.db.reopen().unwrap(),
            4 => {
                let (collection, _) = self.name();
                let least = 2 + self.random.below(2);
                let now = now(&self.db);
                self.model.settle(now);
                ok(
                    &self.db,
                    "record.delete_where",
                    json!({"collection": collection, "filter": {"n": {"$gte": least}}}),
                );
                self.model.records.get_mut(&collection).unwrap().retain(|_, (n, _)| *n < least);
                self.model.settle(now);
            }
            5..=8 => {
                self.db.world.advance_us(self.random.below(3_000));
            }
            _ => self.write(),
        }
    }
}

#[test]
fn links_are_those_of_a_model_that_knows_no_nodes() {
    for seed in 0..6 {
        let mut play = Play {
            db: TestDb::new(seed),
            model: Model::default(),
            random: Random::new(seed),
            batch: Vec::new(),
        };
        for collection in ["one", "two"] {
            ok(&play.db, "collection.create", json!({"collection": collection}));
            play.model.records.insert(collection.into(), BTreeMap::new());
        }
        let mut met = 0;
        for round in 0..400 {
            play.step();
            met += play.model.links.len();
            if round % 4 == 0 {
                let now = now(&play.db);
                play.model.settle(now);
                let Play { db, model, random, .. } = &mut play;
                compare_lists(db, model, random);
                compare_traversals(db, model, random);
            }
        }
        let Play { db, mut model, .. } = play;
        assert!(met > 1_200, "{met}");
        // Everything that expires has.
        db.world.advance_us(40_000);
        model.settle(now(&db));
        check_rows(&db, &model);
        for collection in model.records.keys() {
            ok(&db, "collection.delete", json!({"collection": collection}));
        }
        db.run(Task::Sweep);
        for table in [Table::Garbage, Table::Node, Table::Link, Table::LinkBack] {
            assert_eq!(db.rows(table), 0, "{table:?}");
        }
        assert_eq!(db.engine().verify(&mut |_| {}).unwrap().problems, []);
    }
}
