//! Each case of `langgraph-checkpoint-conformance` 0.0.2, and of the delta channels of its repository, under its name; and
//! threads against a plain model.

mod chains;
mod copy_thread;
mod delete_for_runs;
mod delete_thread;
mod delta_channels;
mod get_tuple;
mod list;
mod model;
mod prune;
mod put;
mod put_writes;

use std::cell::Cell;

use agentdb_types::{Code, Result};
use serde_json::{Map, Value, json};

use super::thread::{Copied, Copy, Delete, Prune, Pruned, Strategy};
use super::{
    ChannelHistory, ChannelWrite, DeleteRuns, Entry, Get, History, List, Put, PutWrites, RunsDeleted,
};
use crate::modules::testing::TestDb;

/// A saver as the suite sees it. A place is thread, namespace and checkpoint.
struct Saver {
    db: TestDb,
    ids: Cell<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Config {
    thread: String,
    namespace: String,
    checkpoint: Option<String>,
}

impl Config {
    fn id(&self) -> &str {
        self.checkpoint.as_deref().unwrap()
    }
}

fn config(thread: &str, namespace: &str) -> Config {
    Config { thread: thread.into(), namespace: namespace.into(), checkpoint: None }
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn metadata(source: &str, step: i64) -> Value {
    json!({"source": source, "step": step, "parents": {}})
}

impl Saver {
    fn new() -> Self {
        Saver { db: TestDb::new(1), ids: Cell::new(0) }
    }

    fn next_id(&self) -> String {
        self.ids.set(self.ids.get() + 1);
        format!("1f0-{:08}", self.ids.get())
    }

    /// Puts a checkpoint whose parent is the one that the place names.
    fn put(&self, at: &Config, values: Value, versions: Value, metadata: Value) -> Config {
        let id = self.next_id();
        self.put_as(at, &id, values, versions, metadata)
    }

    fn put_as(&self, at: &Config, id: &str, values: Value, versions: Value, metadata: Value) -> Config {
        let put = Put {
            namespace: at.namespace.clone(),
            checkpoint: Some(id.into()),
            parent: at.checkpoint.clone(),
            values: map(values),
            versions: map(versions),
            metadata: map(metadata),
            data: map(json!({"v": 1, "ts": "2026-01-01T00:00:00Z", "versions_seen": {}})),
            ..Put::new(at.thread.clone())
        };
        let stored = self.db.write(put).unwrap().response;
        Config { thread: stored.thread, namespace: stored.namespace, checkpoint: Some(stored.checkpoint) }
    }

    /// Puts `count` checkpoints, one behind the other.
    fn chain(&self, thread: &str, namespace: &str, count: i64) -> Vec<Config> {
        let mut at = config(thread, namespace);
        let mut stored = Vec::new();
        for step in 0..count {
            at = self.put(&at, json!({}), json!({}), metadata("loop", step));
            stored.push(at.clone());
        }
        stored
    }

    fn put_writes(&self, at: &Config, writes: Value, task: &str) {
        self.put_writes_at(at, writes, task, "");
    }

    fn put_writes_at(&self, at: &Config, writes: Value, task: &str, path: &str) {
        let writes = writes.as_array().unwrap().iter();
        let request = PutWrites {
            thread: at.thread.clone(),
            namespace: at.namespace.clone(),
            checkpoint: at.id().into(),
            task: task.into(),
            path: path.into(),
            writes: writes
                .map(|write| ChannelWrite {
                    channel: write[0].as_str().unwrap().into(),
                    value: write[1].clone(),
                    ..ChannelWrite::default()
                })
                .collect(),
        };
        self.db.write(request).unwrap();
    }

    fn get(&self, at: &Config) -> Option<Entry> {
        let get = Get {
            thread: at.thread.clone(),
            namespace: at.namespace.clone(),
            checkpoint: at.checkpoint.clone(),
        };
        match self.db.read(get) {
            Ok(entry) => Some(entry),
            Err(err) => {
                assert_eq!(err.code(), Code::CheckpointNotFound);
                None
            }
        }
    }

    fn list(&self, at: &Config) -> Vec<Entry> {
        self.list_with(at, json!({}), None, None)
    }

    fn list_with(
        &self,
        at: &Config,
        filter: Value,
        before: Option<&str>,
        limit: Option<usize>,
    ) -> Vec<Entry> {
        let list = List {
            namespace: Some(at.namespace.clone()),
            filter: map(filter),
            before: before.map(str::to_owned),
            limit,
            ..List::new(at.thread.clone())
        };
        self.db.read(list).unwrap().items
    }

    fn ids(&self, at: &Config) -> Vec<String> {
        self.list(at).into_iter().map(|entry| entry.checkpoint).collect()
    }

    fn delete_thread(&self, thread: &str) {
        self.db.write(Delete { thread: thread.into() }).unwrap();
    }

    fn delete_for_runs(&self, runs: &[&str]) -> RunsDeleted {
        let runs = runs.iter().map(|run| run.to_string()).collect();
        self.db.write(DeleteRuns { runs }).unwrap().response
    }

    fn copy_thread(&self, thread: &str, to: &str) -> Result<Copied> {
        self.copy_thread_at(thread, to, None)
    }

    fn copy_thread_at(&self, thread: &str, to: &str, at: Option<String>) -> Result<Copied> {
        self.db.write(Copy { thread: thread.into(), to: to.into(), at }).map(|done| done.response)
    }

    fn prune(&self, threads: &[&str], strategy: Strategy) -> Pruned {
        let threads = threads.iter().map(|thread| thread.to_string()).collect();
        self.db.write(Prune { threads, strategy, limit: None }).unwrap().response
    }

    fn history(&self, at: &Config, channels: &[&str]) -> Vec<ChannelHistory> {
        let history = History {
            thread: at.thread.clone(),
            namespace: at.namespace.clone(),
            checkpoint: at.checkpoint.clone(),
            channels: channels.iter().map(|channel| channel.to_string()).collect(),
        };
        let mut found = self.db.read(history).unwrap().channels;
        assert_eq!(found.len(), channels.len());
        channels.iter().map(|channel| found.remove(*channel).unwrap()).collect()
    }
}

/// Task, channel and value of the writes behind a checkpoint.
fn written(entry: &Entry) -> Vec<(String, String, Value)> {
    let writes = entry.writes.iter();
    writes.map(|w| (w.task.clone(), w.channel.clone(), w.value.clone().unwrap())).collect()
}
