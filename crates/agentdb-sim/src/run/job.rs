//! Jobs of the engine while everything else goes on: begun, paused, resumed, cancelled, across crashes.

use std::collections::BTreeMap;

use agentdb_engine::modules::job::{Cancel, Compact, Entry, Kind, List, Pause, Resume, State};
use agentdb_engine::{Engine, NamespaceId, Task, WriteOptions, WriteRequest};
use agentdb_types::{Code, Result};

use super::Sim;
use crate::check::Check;

/// Steps after which a job must have ended.
const STEPS: usize = 20_000;

/// What is wanted of a job, or what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Active,
    Paused,
    Cancelled,
    Done,
    /// A compaction found no room, or somebody said that the history which a fork starts from is not to be kept.
    Failed,
    /// A request about it failed with a fault: either may be so.
    Unknown,
}

/// The jobs of a run.
#[derive(Default)]
pub(super) struct Begun {
    pub(super) jobs: BTreeMap<u64, Wanted>,
    /// Whether beginning one failed with a fault: there may be one more.
    pub(super) unsure: bool,
}

impl Sim {
    /// Begins a job, goes on with one, or wants something else of one.
    pub(super) fn jobs(&mut self) -> Check {
        match self.dice.below(10) {
            0 | 1 if self.dice.chance(1, 2) => self.begin_job()?,
            0 | 1 => self.begin_fork()?,
            5..=7 => self.remember_rows()?,
            2..=4 => self.control_job()?,
            _ => {
                for _ in 0..1 + self.dice.below(4) {
                    if !self.broken && !self.world.is_off() {
                        self.maintain(Task::Work)?;
                    }
                }
            }
        }
        if self.broken || self.world.is_off() { Ok(()) } else { self.check_jobs() }
    }

    fn begin_job(&mut self) -> Check {
        let request = Compact { trim_log: self.dice.chance(1, 2) };
        let mut begun = None;
        self.own_work("beginning a job", |engine| {
            begun = Some(engine.begin_compaction(&request)?);
            Ok(true)
        })?;
        match begun {
            Some(job) => {
                self.begun.jobs.insert(job, Wanted::Active);
                self.report.count("jobs begun", 1);
            }
            None => self.begun.unsure = true,
        }
        Ok(())
    }

    fn control_job(&mut self) -> Check {
        let known: Vec<u64> = self.begun.jobs.keys().copied().collect();
        let job = match known.len() as u64 {
            n if n > 0 && self.dice.chance(9, 10) => known[self.dice.below(n) as usize],
            _ => u64::MAX,
        };
        let before = self.begun.jobs.get(&job).copied();
        let (verb, wanted) = match self.dice.below(5) {
            0 | 1 => ("pause", Wanted::Paused),
            2 | 3 => ("resume", Wanted::Active),
            _ => ("cancel", Wanted::Cancelled),
        };
        let mut answer = None;
        let asked = self.own_work(verb, |engine| {
            let entry = match wanted {
                Wanted::Paused => ask(engine, Pause { job }),
                Wanted::Active => ask(engine, Resume { job }),
                _ => ask(engine, Cancel { job }),
            };
            match entry {
                Err(err) if matches!(err.code(), Code::JobNotFound | Code::JobEnded) => {
                    answer = Some(Err(err.code()));
                    Ok(false)
                }
                entry => {
                    answer = Some(Ok(entry?.state));
                    Ok(true)
                }
            }
        });
        asked?;
        let Some(answer) = answer else {
            if let Some(known) = self.begun.jobs.get_mut(&job) {
                *known = Wanted::Unknown;
            }
            return Ok(());
        };
        let right = match (before, answer) {
            (Some(Wanted::Unknown), _) => true,
            (None, Err(code)) => code == Code::JobNotFound,
            (Some(Wanted::Done | Wanted::Failed), Err(code)) => code == Code::JobEnded,
            (Some(Wanted::Cancelled), Err(code)) => code == Code::JobEnded && verb != "cancel",
            (Some(Wanted::Cancelled), Ok(state)) => state == State::Cancelled && verb == "cancel",
            (Some(Wanted::Active | Wanted::Paused), Ok(state)) => is_wanted(wanted, state),
            _ => false,
        };
        if !right {
            return Err(format!("{verb} of job {job}, which was {before:?}, was answered {answer:?}"));
        }
        match answer {
            Ok(_) => {
                self.report.count(&format!("done job.{verb}"), 1);
                self.begun.jobs.insert(job, wanted);
            }
            Err(code) => self.report.count(&format!("refused {}", code.name()), 1),
        }
        Ok(())
    }

    /// Whether a job may have failed: the disk was full once.
    fn found_no_room(&self, entry: &Entry) -> bool {
        let full = entry.failure.as_ref().is_some_and(|failure| failure.code == Code::DiskFull.number());
        entry.kind == Kind::Compact && full && self.world.counters().contains_key("disk_full")
    }

    /// Everything that is listed is known, and stands as it should.
    pub(super) fn check_jobs(&mut self) -> Check {
        let engine = self.engine()?;
        let listed = list(&engine).map_err(|err| format!("listing jobs: {err}"))?;
        for entry in &listed {
            let known = self.begun.jobs.get(&entry.job).copied();
            let without_history = self.lost_its_history(entry);
            if entry.state == State::Failed && !self.found_no_room(entry) && !without_history {
                return Err(format!("a job failed: {entry:?}"));
            }
            let learnt = match (known, entry.state) {
                (Some(Wanted::Active), State::Failed) => {
                    let why = if without_history { "history" } else { "room" };
                    self.report.count(&format!("jobs failed for want of {why}"), 1);
                    Wanted::Failed
                }
                (None, _) if self.begun.unsure => wanted_of(entry.state),
                (Some(Wanted::Active), State::Done) => {
                    self.report.count("jobs done", 1);
                    self.forked(&engine, entry)?;
                    Wanted::Done
                }
                (Some(Wanted::Unknown), state) => {
                    self.forked(&engine, entry)?;
                    wanted_of(state)
                }
                (Some(wanted), state) if is_wanted(wanted, state) => wanted,
                _ => return Err(format!("a job that was {known:?} is {entry:?}")),
            };
            self.begun.jobs.insert(entry.job, learnt);
        }
        if let Some((job, _)) = self.begun.jobs.iter().find(|(job, _)| listed.iter().all(|e| e.job != **job))
        {
            let lsn = self.model.lsn;
            return Err(format!("job {job} is not listed at LSN {lsn}"));
        }
        self.begun.unsure = false;
        Ok(())
    }

    /// Every job that nobody keeps from it comes to its end.
    pub(super) fn finish_jobs(&mut self) -> Check {
        for _ in 0..STEPS {
            if self.broken || self.world.is_off() || self.advance()?.is_none() {
                return Ok(());
            }
            self.check_jobs()?;
            if self.begun.jobs.values().all(|wanted| *wanted != Wanted::Active) {
                return Ok(());
            }
            self.maintain(Task::Work)?;
            for task in [Task::Sync, Task::Drain, Task::Merge] {
                if !self.broken && !self.world.is_off() {
                    self.task(task)?;
                }
            }
        }
        Err(format!("jobs find no end: {:?}", self.begun.jobs))
    }
}

pub(super) fn ask<R: WriteRequest<Response = Entry>>(engine: &Engine, request: R) -> Result<Entry> {
    Ok(engine.write(NamespaceId::SYSTEM, request, WriteOptions::default())?.wait()?.response)
}

fn list(engine: &Engine) -> Result<Vec<Entry>> {
    let snapshot = engine.snapshot(NamespaceId::SYSTEM)?;
    Ok(engine.read(&snapshot, List { limit: Some(10_000), ..List::default() })?.items)
}

fn is_wanted(wanted: Wanted, state: State) -> bool {
    match wanted {
        Wanted::Active => matches!(state, State::Waiting | State::Running),
        Wanted::Paused => state == State::Paused,
        Wanted::Cancelled => state == State::Cancelled,
        Wanted::Done => state == State::Done,
        Wanted::Failed => state == State::Failed,
        Wanted::Unknown => true,
    }
}

fn wanted_of(state: State) -> Wanted {
    match state {
        State::Paused => Wanted::Paused,
        State::Cancelled => Wanted::Cancelled,
        State::Done => Wanted::Done,
        State::Failed => Wanted::Failed,
        State::Waiting | State::Running | State::Interrupted => Wanted::Active,
    }
}
