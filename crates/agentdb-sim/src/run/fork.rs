//! Forks of namespaces while their sources are written: when one is done, its rows are those that the source had when it was
//! begun.

use std::collections::{BTreeMap, BTreeSet};

use agentdb_engine::modules::job::{Cancel, Entry, Kind, State};
use agentdb_engine::modules::namespace::{Fork, Forked};
use agentdb_engine::{Engine, Key, NamespaceId, Page, Read, Table, Task};
use agentdb_types::Code;

use super::Sim;
use super::job::{Wanted, ask};
use crate::check::{Check, FORK};

/// Rows behind the number of their namespace.
type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// The forks of a run, by name.
#[derive(Default)]
pub(super) struct Forks {
    begun: u64,
    /// What each must have, and the LSN at which it was begun.
    expected: BTreeMap<String, (Rows, u64)>,
    /// Those that are done, and had it.
    compared: BTreeSet<String>,
}

const NUMBER: usize = 8;
const TIME: usize = 8;

/// Where the key of the row that expires starts in a note of it, behind the table.
const ROW_AT: usize = 1 + TIME;

fn table(key: &[u8]) -> Option<Table> {
    key.first().copied().and_then(Table::from_number)
}

/// A row as a fork must have it; `None` if it must not.
fn translated(mut key: Vec<u8>, body: Vec<u8>, target: u64) -> Option<(Vec<u8>, Vec<u8>)> {
    let left_out = |key: &[u8]| {
        matches!(
            table(key),
            Some(
                Table::History
                    | Table::Idempotency
                    | Table::BlobGarbage
                    | Table::BlobDue
                    | Table::Import
                    | Table::Retention
                    | Table::Fork
            )
        )
    };
    if left_out(&key) {
        return None;
    }
    if table(&key) == Some(Table::Expiry) {
        if left_out(&key[ROW_AT + NUMBER..]) {
            return None;
        }
        key[ROW_AT..ROW_AT + NUMBER].copy_from_slice(&target.to_be_bytes());
    }
    Some((key, body))
}

fn rows(engine: &Engine, namespace: NamespaceId) -> agentdb_types::Result<Rows> {
    let snapshot = engine.snapshot(namespace)?;
    let mut rows = Rows::new();
    snapshot.scan_prefix(&Key::namespace(namespace), Page::Forward, &mut |key, row| {
        rows.insert(key.as_bytes()[NUMBER..].to_vec(), row.body.to_vec());
        Ok(true)
    })?;
    Ok(rows)
}

impl Sim {
    pub(super) fn begin_fork(&mut self) -> Check {
        self.sequence_all()?;
        if self.broken || self.world.is_off() {
            return Ok(());
        }
        let engine = self.engine()?;
        self.learn_names(&engine)?;
        let alive: Vec<u64> = self.alive(&self.model).collect();
        let source = alive[self.dice.below(alive.len() as u64) as usize];
        let name = self.model.names.iter().find(|(_, number)| **number == source);
        let namespace = name.map_or("default", |(name, _)| name).to_owned();
        let before = match rows(&engine, self.handles[&source]) {
            Ok(before) => before,
            Err(err) => return self.excuse("reading what is to be forked", &err),
        };
        let mut allotted = self.model.clone();
        let target = allotted.allot();
        let expected = before.into_iter().filter_map(|(key, body)| translated(key, body, target)).collect();
        self.forks.begun += 1;
        let to = format!("{FORK}{}", self.forks.begun);
        self.forks.expected.insert(to.clone(), (expected, self.model.lsn + 1));
        let (before, mut begun, mut refused) = (self.model.lsn, None, false);
        self.own_work("beginning a fork", |engine| match engine.begin_fork(&Fork { name: namespace, to }) {
            Err(err) if err.code() == Code::ForkRunning => {
                refused = true;
                Ok(false)
            }
            other => {
                begun = Some(other?);
                Ok(true)
            }
        })?;
        if refused {
            self.forks.expected.remove(&format!("{FORK}{}", self.forks.begun));
            self.report.count("refused namespace.fork", 1);
            return Ok(());
        }
        for (model, _) in self.history.range_mut(before + 1..).map(|(_, moment)| moment) {
            model.allot();
        }
        match begun {
            Some(job) => {
                self.model.allot();
                self.begun.jobs.insert(job, Wanted::Active);
                self.report.count("forks begun", 1);
            }
            None => self.begun.unsure = true,
        }
        Ok(())
    }

    /// A job is seen to have ended: if it was a fork that is done, that is compared.
    pub(super) fn forked(&mut self, engine: &Engine, entry: &Entry) -> Check {
        if entry.kind != Kind::Fork || entry.state != State::Done {
            return Ok(());
        }
        let name = entry.request["to"].as_str().unwrap_or_default().to_owned();
        let forked: Forked = serde_json::from_value(entry.result.clone().unwrap_or_default())
            .map_err(|e| format!("{entry:?}: {e}"))?;
        if self.forks.compared.contains(&name) {
            return Ok(());
        }
        let (expected, begun) = self.forks.expected.remove(&name).ok_or("a fork that nobody began")?;
        self.forks.compared.insert(name.clone());
        let found = engine.namespace(&name).and_then(|handle| rows(engine, handle));
        let mut found = match found {
            Ok(found) => found,
            Err(err) => return self.excuse("reading a fork", &err),
        };
        found.retain(|key, _| !matches!(table(key), Some(Table::Retention | Table::Fork)));
        if found != expected || forked.lsn.0 != begun {
            return Err(format!(
                "the fork {forked:?}, begun at LSN {begun}: {}",
                difference(&found, &expected)
            ));
        }
        self.report.count("done namespace.fork", 1);
        self.report.count("rows forked", found.len() as u64);
        Ok(())
    }

    /// Whether a fork may be under way.
    pub(super) fn is_forking(&self) -> bool {
        !self.forks.expected.is_empty() && self.begun.jobs.values().any(|wanted| *wanted == Wanted::Active)
    }

    /// Goes on with it, a little.
    pub(super) fn go_on_forking(&mut self) -> Check {
        self.maintain(Task::Work)?;
        if self.broken || self.world.is_off() { Ok(()) } else { self.check_jobs() }
    }

    /// Gives up the forks under way.
    pub(super) fn cancel_forks(&mut self) -> Check {
        let unended = |wanted: &Wanted| !matches!(wanted, Wanted::Done | Wanted::Failed | Wanted::Cancelled);
        let jobs: Vec<u64> =
            self.begun.jobs.iter().filter(|(_, wanted)| unended(wanted)).map(|(job, _)| *job).collect();
        for job in jobs {
            if self.broken || self.world.is_off() {
                return Ok(());
            }
            let engine = self.engine()?;
            match engine.job(job) {
                Ok(entry) if entry.kind == Kind::Fork && entry.ended.is_none() => {}
                Ok(_) => continue,
                Err(err) => return self.excuse("reading a job", &err),
            }
            let mut cancelled = false;
            self.own_work("cancel", |engine| {
                ask(engine, Cancel { job })?;
                cancelled = true;
                Ok(true)
            })?;
            let now = if cancelled { Wanted::Cancelled } else { Wanted::Unknown };
            self.begun.jobs.insert(job, now);
        }
        Ok(())
    }
}

/// The first few keys in which rows differ.
fn difference(found: &Rows, expected: &Rows) -> String {
    let mut keys: Vec<_> = found.keys().chain(expected.keys()).collect();
    keys.sort();
    keys.dedup();
    let differ = keys.into_iter().filter(|key| found.get(*key) != expected.get(*key));
    let shown = differ.map(|key| {
        let name = table(key).map_or("?", Table::name);
        format!("{name} {:?}: {} for {}", key, found.contains_key(key), expected.contains_key(key))
    });
    shown.take(5).collect::<Vec<_>>().join("; ")
}
