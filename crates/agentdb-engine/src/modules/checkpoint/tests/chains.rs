//! Whatever is copied, pruned, deleted by run and let go by retention: what is to stay reads as a model that forgets nothing
//! says, delta channels included, and nothing stays that nobody needs.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{ChannelWrite, DeleteRuns, Get, History, List, Prune, Put, PutWrites};
use crate::modules::checkpoint::thread::Copy;
use crate::modules::retention::{Noun, Set};
use crate::modules::testing::TestDb;
use crate::{Table, Task};

const THREADS: [&str; 3] = ["t", "u", "v"];
const DELTAS: [&str; 2] = ["a", "b"];
const SECOND: u64 = 1_000_000;

#[derive(Clone, Debug)]
enum Step {
    /// The parent counts back from the latest; the bits tell which delta channels have a value, and which are declared.
    Put {
        thread: usize,
        back: usize,
        seeds: u8,
        deltas: u8,
        run: u8,
    },
    Write {
        thread: usize,
        back: usize,
        channel: usize,
    },
    Copy(usize, usize),
    Prune(usize),
    DeleteRun(u8),
    Retain {
        latest: Option<u64>,
        age: Option<u64>,
    },
    Pass(u64),
    Reopen,
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    let thread = 0..THREADS.len();
    prop_oneof![
        12 => (thread.clone(), 0..4usize, 0..8u8, 0..4u8, 0..4u8).prop_map(|(thread, back, seeds, deltas, run)| {
            // Most have no value of their own.
            Step::Put { thread, back, seeds: if seeds < 4 { seeds } else { 0 }, deltas, run }
        }),
        6 => (thread.clone(), 0..4usize, 0..2usize)
            .prop_map(|(thread, back, channel)| Step::Write { thread, back, channel }),
        1 => (thread.clone(), thread.clone()).prop_map(|(from, to)| Step::Copy(from, to)),
        1 => thread.prop_map(Step::Prune),
        1 => (0..3u8).prop_map(Step::DeleteRun),
        2 => (proptest::option::of(1..4u64), proptest::option::of(1..8u64))
            .prop_map(|(latest, age)| Step::Retain { latest, age }),
        2 => (1..4u64).prop_map(Step::Pass),
        1 => Just(Step::Reopen),
    ]
}

/// A checkpoint as it was put, and what was written behind it.
#[derive(Clone)]
struct Model {
    parent: Option<String>,
    x: u64,
    deltas: BTreeSet<&'static str>,
    seeds: BTreeMap<&'static str, Value>,
    writes: Vec<(&'static str, u64)>,
    run: u8,
    created: u64,
}

/// A thread that forgets nothing.
#[derive(Clone, Default)]
struct Thread {
    all: BTreeMap<String, Model>,
    /// What is there.
    present: BTreeSet<String>,
    /// What was to stay ever since it was put, and which of its delta channels must read as they always did: all that they add
    /// up from was kept for its sake, or for that of its parent before.
    whole: BTreeMap<String, BTreeSet<&'static str>>,
}

impl Thread {
    /// The ancestors down to the first that has a value for a channel, nearest first.
    fn line(&self, id: &str, channel: &str) -> Vec<&String> {
        let (mut line, mut at) = (Vec::new(), &self.all[id]);
        while !at.seeds.contains_key(channel)
            && let Some((parent, found)) =
                at.parent.as_ref().and_then(|parent| self.all.get_key_value(parent))
        {
            line.push(parent);
            at = found;
        }
        line
    }

    /// What a channel adds up to behind its nearest ancestor that has a value.
    fn history(&self, id: &str, channel: &str) -> (Option<Value>, Vec<Value>) {
        let (mut writes, mut seed) = (Vec::new(), None);
        let mut at = &self.all[id];
        while let Some(parent) = at.parent.as_ref().and_then(|parent| self.all.get(parent)) {
            at = parent;
            writes.extend(at.writes.iter().rev().filter(|(of, _)| *of == channel).map(|(_, n)| json!(n)));
            if let Some(value) = at.seeds.get(channel) {
                seed = Some(value.clone());
                break;
            }
        }
        writes.reverse();
        (seed, writes)
    }

    /// Everything but what these need goes.
    fn keep(&mut self, roots: &BTreeSet<String>) {
        let mut needed = roots.clone();
        for root in roots {
            for channel in &self.all[root].deltas {
                // What is gone ends a line.
                let line = self.line(root, channel);
                needed.extend(line.into_iter().take_while(|id| self.present.contains(*id)).cloned());
            }
        }
        self.present.retain(|id| needed.contains(id));
        self.whole.retain(|id, _| roots.contains(id));
    }

    fn retain(&mut self, latest: Option<u64>, age: Option<u64>, now: u64) {
        let newest = self.present.iter().rev().take(latest.map_or(usize::MAX, |n| n as usize));
        let young = |id: &String| age.is_none_or(|age| self.all[id].created + age * SECOND > now);
        let roots = newest.enumerate().filter(|(n, id)| *n == 0 || young(id)).map(|(_, id)| id.clone());
        let roots = roots.collect();
        self.keep(&roots);
    }
}

fn check(db: &TestDb, model: &BTreeMap<&'static str, Thread>) -> Result<(), TestCaseError> {
    for (name, thread) in model {
        let listed = db.read(List::new(*name)).unwrap().items;
        let found: BTreeSet<String> = listed.into_iter().map(|entry| entry.checkpoint).collect();
        prop_assert_eq!(&found, &thread.present, "{}", name);
        for (id, channels) in &thread.whole {
            let at = Some(id.clone());
            let entry = db.read(Get { checkpoint: at.clone(), ..Get::new(*name) }).unwrap();
            prop_assert_eq!(&entry.values["x"], &json!(thread.all[id].x));
            for channel in channels {
                let channels = vec![(*channel).to_owned()];
                let read = History {
                    thread: (*name).into(),
                    checkpoint: at.clone(),
                    channels,
                    ..History::default()
                };
                let read = db.read(read).unwrap().channels.remove(*channel).unwrap();
                let writes: Vec<Value> = read.writes.into_iter().map(|write| write.value.unwrap()).collect();
                // Of one that has a value itself, nobody asks what it adds up to.
                if !thread.all[id].seeds.contains_key(channel) {
                    prop_assert_eq!(
                        (read.seed, writes),
                        thread.history(id, channel),
                        "{} {} {}",
                        name,
                        id,
                        channel
                    );
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_to_stay_reads_as_it_always_did(steps in prop::collection::vec(step(), 1..80)) {
        let mut db = TestDb::new(5);
        let mut model: BTreeMap<&'static str, Thread> = BTreeMap::new();
        let (mut clock, mut now, mut policy) = (0, 0, (None, None));
        for step in steps {
            match step {
                Step::Put { thread, back, seeds, deltas, run } => {
                    clock += 1;
                    let name = THREADS[thread];
                    let thread = model.entry(name).or_default();
                    let parent = thread.present.iter().rev().nth(back).cloned();
                    let of = |bits: u8| DELTAS.into_iter().enumerate().filter(move |(n, _)| bits >> n & 1 == 1).map(|(_, c)| c);
                    let put = Model {
                        parent: parent.clone(), x: clock / 2, deltas: of(deltas).collect(),
                        seeds: of(seeds).map(|channel| (channel, json!([clock]))).collect(),
                        writes: Vec::new(), run, created: now,
                    };
                    let id = format!("{clock:06}");
                    let counters: Map<String, Value> = put.deltas.iter().map(|c| ((*c).to_owned(), json!([1, 1]))).collect();
                    let mut values: Map<String, Value> = put.seeds.iter().map(|(c, v)| ((*c).to_owned(), v.clone())).collect();
                    let mut versions: Map<String, Value> = DELTAS.into_iter().map(|c| (c.to_owned(), json!(clock))).collect();
                    values.insert("x".into(), json!(put.x));
                    versions.insert("x".into(), json!(put.x));
                    db.write(Put {
                        checkpoint: Some(id.clone()), parent: parent.clone(), versions, values,
                        metadata: Map::from_iter([
                            ("counters_since_delta_snapshot".to_owned(), Value::Object(counters)),
                            ("run_id".to_owned(), json!(format!("r{run}"))),
                        ]),
                        ..Put::new(name)
                    }).unwrap();
                    let adds_up = |channel: &&&str| parent.as_ref().is_none_or(|parent| {
                        thread.all[parent].seeds.contains_key(**channel)
                            || thread.whole.get(parent).is_some_and(|channels| channels.contains(**channel))
                    });
                    let channels = put.deltas.iter().filter(adds_up).copied().collect();
                    thread.whole.insert(id.clone(), channels);
                    thread.present.insert(id.clone());
                    thread.all.insert(id, put);
                }
                Step::Write { thread, back, channel } => {
                    clock += 1;
                    let (name, channel) = (THREADS[thread], DELTAS[channel]);
                    let Some(thread) = model.get_mut(name) else { continue };
                    let Some(id) = thread.present.iter().rev().nth(back).cloned() else { continue };
                    let write = ChannelWrite { channel: channel.into(), value: json!(clock), ..ChannelWrite::default() };
                    db.write(PutWrites {
                        thread: name.into(), checkpoint: id.clone(), task: format!("{clock:06}"), writes: vec![write],
                        ..PutWrites::default()
                    }).unwrap();
                    thread.all.get_mut(&id).unwrap().writes.push((channel, clock));
                }
                Step::Copy(from, to) => {
                    let (from, to) = (THREADS[from], THREADS[to]);
                    if model.contains_key(from) && !model.contains_key(to) {
                        db.write(Copy { thread: from.into(), to: to.into(), at: None }).unwrap();
                        model.insert(to, model[from].clone());
                    }
                }
                Step::Prune(thread) => {
                    let name = THREADS[thread];
                    let prune = Prune { threads: vec![name.into()], limit: Some(7), ..Prune::default() };
                    while db.write(prune.clone()).unwrap().response.more {}
                    if let Some(thread) = model.get_mut(name) {
                        let latest = thread.present.last().cloned().into_iter().collect();
                        thread.keep(&latest);
                    }
                }
                Step::DeleteRun(run) => {
                    db.write(DeleteRuns { runs: vec![format!("r{run}")] }).unwrap();
                    for thread in model.values_mut() {
                        let roots = thread.present.iter().filter(|id| thread.all[*id].run != run).cloned().collect();
                        thread.keep(&roots);
                    }
                }
                Step::Retain { latest, age } => {
                    policy = (latest, age);
                    let number = |n: Option<u64>| Some(n.map(|n| NonZeroU64::new(n).unwrap()));
                    let max_age_us = number(age.map(|age| age * SECOND));
                    db.write(Set { max_age_us, keep_latest: number(latest), ..Set::new(Noun::Checkpoint) }).unwrap();
                }
                Step::Pass(seconds) => {
                    // Rounds lie a second apart.
                    now += seconds * SECOND;
                    db.world.advance_us(seconds * SECOND);
                    db.run(Task::Retain);
                    if policy != (None, None) {
                        model.values_mut().for_each(|thread| thread.retain(policy.0, policy.1, now));
                    }
                }
                Step::Reopen => {
                    db.drain();
                    db.reopen().unwrap();
                }
            }
            check(&db, &model)?;
        }
        // What nobody refers to is gone.
        let threads = model.len();
        for name in THREADS {
            db.write(crate::modules::checkpoint::thread::Delete { thread: name.into() }).unwrap();
        }
        db.run(Task::Sweep);
        for table in [Table::Checkpoint, Table::CheckpointWrite, Table::ChannelVersion, Table::ChannelContent,
            Table::ChannelContentCount]
        {
            prop_assert_eq!(db.rows(table), 0, "{} of {} threads", table.name(), threads);
        }
    }
}
