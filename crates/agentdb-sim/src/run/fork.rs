//! Forks of namespaces while their sources are written: when one is done, its rows are those that the source had when it was
//! begun, or at the earlier point that was asked for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use agentdb_engine::modules::job::{Cancel, Entry, Kind, State};
use agentdb_engine::modules::namespace::{Fork, Forked};
use agentdb_engine::{Engine, Key, NamespaceId, Page, Point, Read, Table, Task};
use agentdb_types::{Code, Lsn};

use super::Sim;
use super::job::{Wanted, ask};
use crate::check::{Check, FORK};
use crate::model::Model;

/// Rows behind the number of their namespace.
type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// An LSN, and the rows that there were then.
type Then = (u64, Rows);

/// The forks of a run, by name.
#[derive(Default)]
pub(super) struct Forks {
    begun: u64,
    /// What each must have, and the LSN at which it was begun.
    expected: BTreeMap<String, (Rows, u64)>,
    /// Those that are done, and had it.
    compared: BTreeSet<String>,
    /// Which rows a namespace had at an LSN.
    remembered: VecDeque<(u64, u64, Rows)>,
}

/// How many namespaces are remembered as they were.
const REMEMBERED: usize = 6;

impl Forks {
    fn remember(&mut self, of: u64, lsn: u64, rows: Rows) {
        self.remembered.push_back((of, lsn, rows));
        if self.remembered.len() > REMEMBERED {
            self.remembered.pop_front();
        }
    }

    /// What was decided later is lost.
    pub(super) fn forget_after(&mut self, lsn: u64) {
        self.remembered.retain(|(_, at, _)| *at <= lsn);
    }
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
                    | Table::Load
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
        let (refusal, earlier) = match self.dice.chance(2, 3) {
            true => self.earlier(&engine, source)?,
            false => (None, None),
        };
        let (at, before) = match earlier {
            Some((at, rows)) => (Some(Point::Lsn(Lsn(at))), rows),
            None => match rows(&engine, self.handles[&source]) {
                Ok(before) => {
                    self.forks.remember(source, self.model.lsn, before.clone());
                    (None, before)
                }
                Err(err) => return self.excuse("reading what is to be forked", &err),
            },
        };
        let mut allotted = self.model.clone();
        let target = allotted.allot();
        let expected = before.into_iter().filter_map(|(key, body)| translated(key, body, target)).collect();
        self.forks.begun += 1;
        let to = format!("{FORK}{}", self.forks.begun);
        let as_of = match at {
            Some(Point::Lsn(at)) => at.0,
            _ => self.model.lsn + 1,
        };
        self.forks.expected.insert(to.clone(), (expected, as_of));
        let (before, mut begun, mut refused) = (self.model.lsn, None, None);
        let request = Fork { at, ..Fork::new(namespace, to) };
        let refusals = [Code::ForkRunning, Code::NoHistory, Code::HistoryTrimmed];
        self.own_work("beginning a fork", |engine| match engine.begin_fork(&request) {
            Err(err) if refusals.contains(&err.code()) => {
                refused = Some(err.code());
                Ok(false)
            }
            other => {
                begun = Some(other?);
                Ok(true)
            }
        })?;
        if refused.is_some_and(|code| code != Code::ForkRunning) && refused != refusal
            || begun.is_some() && refusal.is_some()
        {
            return Err(format!("{request:?} is refused with {refused:?}, not with {refusal:?}"));
        }
        if let Some(code) = refused {
            self.forks.expected.remove(&request.to);
            self.report.count("refused namespace.fork", 1);
            let counted =
                if code == Code::ForkRunning { "while another is made" } else { "for want of history" };
            self.report.count(&format!("refused namespace.fork {counted}"), 1);
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
        self.report.count("done namespace.fork of the past", u64::from(entry.request.get("at").is_some()));
        self.report.count("rows forked", found.len() as u64);
        Ok(())
    }

    /// How a namespace was, if anybody remembers; and why it cannot be forked as it was then. Mostly it can.
    fn earlier(&mut self, engine: &Engine, source: u64) -> Check<(Option<Code>, Option<Then>)> {
        self.learn_trimmed(engine)?;
        let model = &self.model;
        let refusal = |at: u64| {
            let trimmed = Some(Code::HistoryTrimmed).filter(|_| at > 0 && at < model.moments_from);
            trimmed.or_else(|| model.namespaces[&source].retention.refusal_of_fork(at))
        };
        let known = || self.forks.remembered.iter().filter(|(of, ..)| *of == source);
        let found = known().find(|(_, at, _)| refusal(*at).is_none()).or_else(|| known().next());
        let found = found.map(|(_, at, rows)| (*at, rows.clone()));
        Ok((found.as_ref().and_then(|(at, _)| refusal(*at)), found))
    }

    /// Remembers which rows a namespace has now, to fork it as it is now later.
    pub(super) fn remember_rows(&mut self) -> Check {
        self.sequence_all()?;
        if self.broken || self.world.is_off() {
            return Ok(());
        }
        let engine = self.engine()?;
        self.learn_names(&engine)?;
        let alive: Vec<u64> = self.alive(&self.model).collect();
        let of = alive[self.dice.below(alive.len() as u64) as usize];
        match rows(&engine, self.handles[&of]) {
            Ok(rows) => {
                // The engine has looked at the clock.
                self.advance()?;
                self.forks.remember(of, self.model.lsn, rows);
                Ok(())
            }
            Err(err) => self.excuse("reading what may be forked", &err),
        }
    }

    /// Whether a job is a fork of an earlier point that may have failed, because somebody said meanwhile that a history is not to be
    /// kept.
    pub(super) fn lost_its_history(&self, entry: &Entry) -> bool {
        let codes = [Code::NoHistory.number(), Code::HistoryTrimmed.number()];
        let lost = entry.failure.as_ref().is_some_and(|failure| codes.contains(&failure.code));
        let of_the_past = entry.kind == Kind::Fork && entry.request.get("at").is_some();
        let name = entry.request["name"].as_str().unwrap_or_default();
        let unkept = |model: &Model| {
            let number = if name == "default" { Some(&1) } else { model.names.get(name) };
            let namespace = number.and_then(|number| model.namespaces.get(number));
            namespace.is_none_or(|namespace| namespace.retention.lack_any())
        };
        lost && of_the_past && self.history.range(entry.job..).any(|(_, (model, _))| unkept(model))
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
