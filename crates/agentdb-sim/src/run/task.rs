//! The engine's own work: steps that change nothing anyone sees, sweeping and collecting.

use agentdb_engine::modules::retention;
use agentdb_engine::{Engine, NamespaceId, Task};
use agentdb_types::Code;

use super::Sim;
use crate::check::{self, Check};
use crate::model::history::latest_at;
use crate::model::{Namespace, changes};

/// More than lies between two rounds of retention.
const APART_US: u64 = 4_000_000;
/// Steps after which sweeping or collecting must have found an end.
const STEPS: usize = 1_000;

impl Sim {
    pub(super) fn task(&mut self, task: Task) -> Check {
        let engine = self.engine()?;
        self.report.count(&format!("task {task:?}"), 1);
        let before = engine.stats().map(|stats| stats.log_bytes).unwrap_or_default();
        let result = engine.step(task);
        if task == Task::Freeze {
            // The open group goes to the log first.
            self.open_time = None;
        }
        self.say(format!("{task:?} {result:?}"));
        match result {
            Ok(worked) => {
                if worked {
                    self.report.count(&format!("worked {task:?}"), 1);
                }
                let after = engine.stats().map(|stats| stats.log_bytes).unwrap_or_default();
                self.report.count("trimmed logs", u64::from(after < before));
                if task == Task::Sync {
                    self.durable = self.durable.max(self.written);
                }
                Ok(())
            }
            Err(err) => {
                // The log makes the segment itself if this failed: the handle goes on.
                let harmless = task == Task::PrepareSegment;
                let was_broken = self.broken;
                self.excuse("a task", &err)?;
                self.broken = was_broken || !harmless;
                Ok(())
            }
        }
    }

    /// Sweeps or collects once: that takes LSNs which the model does not foresee, but changes nothing that anyone sees
    /// except how many records a collection is said to have. Returns whether there was anything to do.
    pub(super) fn maintain(&mut self, task: Task) -> Check<bool> {
        self.report.count(&format!("task {task:?}"), 1);
        self.own_work(&format!("{task:?}"), |engine| engine.step(task))
    }

    /// Does something that is no request of the model's, and that takes LSNs if anything.
    pub(super) fn own_work(
        &mut self,
        what: &str,
        work: impl FnOnce(&Engine) -> agentdb_types::Result<bool>,
    ) -> Check<bool> {
        self.sequence_all()?;
        let engine = self.engine()?;
        let refused = self.advance()?.is_none();
        let result = work(&engine);
        self.say(format!("{what} {result:?}"));
        // Two batches at most: one that sweeps, one that forgets a swept namespace; a job's last report, and its end.
        let reached = match &result {
            Ok(_) => engine.lsn().0,
            Err(err) if err.code() == Code::ClockJump => self.model.lsn,
            Err(_) => self.model.lsn + 2,
        };
        for lsn in self.model.lsn + 1..=reached {
            self.report.count(&format!("batches of {what}"), 1);
            let mut model = self.model.clone();
            model.lsn = lsn;
            self.maintained.insert(lsn);
            self.history.insert(lsn, (model, self.log_time));
        }
        let before = self.model.lsn;
        match result {
            Ok(worked) => {
                self.report.count(&format!("worked {what}"), u64::from(worked));
                // What it committed is durable, and with it everything before.
                if reached > before {
                    self.durable = reached;
                }
                self.model.lsn = reached;
                if what == "Trim" {
                    self.learn_trimmed(&engine)?;
                }
                self.witness(&engine, before)?;
                self.record_digest(&engine)?;
                Ok(worked)
            }
            Err(err) if refused && err.code() == Code::ClockJump => Ok(false),
            Err(err) => {
                self.unwitnessed.get_or_insert(before);
                self.excuse(what, &err).map(|()| false)
            }
        }
    }

    /// Learns how far history goes back by now. It may have been trimmed, but not of what is to be kept.
    pub(super) fn learn_trimmed(&mut self, engine: &Engine) -> Check {
        self.advance()?;
        let (now, lsn) = (self.log_time, self.model.lsn);
        let latest = |us: u64| {
            let time = now.checked_sub_unsigned(us).filter(|time| *time >= 0);
            time.map_or(0, |time| latest_at(&self.history, time, lsn))
        };
        let mut needed = lsn;
        let mut learnt = Vec::new();
        for (number, namespace) in &self.model.namespaces {
            let Some(handle) = self.handles.get(number) else { continue };
            let snapshot = engine.snapshot(*handle).map_err(|e| e.to_string())?;
            let listed = engine.read(&snapshot, retention::List {}).map_err(|e| e.to_string())?.items;
            let listed = listed.into_iter().filter(|found| found.history_us.is_some());
            for (noun, (kept, found)) in namespace.retention.0.iter().zip(listed).enumerate() {
                let bound = match kept.history_us {
                    None | Some(0) => kept.since,
                    Some(us) => kept.since.max(latest(us)),
                };
                needed = needed.min(match kept.history_us {
                    None | Some(0) => kept.since,
                    Some(us) => latest(us),
                });
                let since = found.since.map_or(kept.since, |since| since.0);
                if since < kept.since || since > bound {
                    return Err(format!(
                        "history in {number} begins at {since}, not at {} to {bound}",
                        kept.since
                    ));
                }
                learnt.push((*number, noun, since));
            }
        }
        let from = check::first_moment(engine)?;
        if from != self.model.moments_from && from > needed.max(1) {
            return Err(format!("moments begin at {from} although {needed} is needed"));
        }
        self.model.moments_from = from;
        for (number, noun, since) in learnt {
            if let Some(namespace) = self.model.namespaces.get_mut(&number) {
                namespace.retention.0[noun].since = since;
            }
        }
        if let Some((model, _)) = self.history.get_mut(&lsn) {
            *model = self.model.clone();
        }
        Ok(())
    }

    /// Whether something that is too old was not, before what used it last was deleted: a round does not come sooner for that.
    fn was_younger(&self, number: u64, namespace: &Namespace, thing: &str, due: i64) -> bool {
        self.history.values().filter_map(|(model, _)| model.namespaces.get(&number)).any(|earlier| {
            let mut earlier = earlier.clone();
            earlier.policies = namespace.policies.clone();
            earlier.holds(thing) && !earlier.outdated(due, &self.history).contains(thing)
        })
    }

    /// Sweeps and collects until there is nothing left to do, and looks at what lies in tables and directories then.
    pub(super) fn settle(&mut self) -> Check {
        // While a backup is taken, nothing is collected.
        self.give_up_backup();
        self.sequence_all()?;
        // What it needs of its source stays until it is done.
        self.cancel_forks()?;
        if self.broken || self.world.is_off() || self.advance()?.is_none() {
            return Ok(());
        }
        let due = self.log_time;
        self.exhaust(Task::Retain)?;
        // Rounds lie apart, by less than that: what is due now has been looked at then. Log time stands still while the clock,
        // which was set back, returns to where it was.
        self.world.advance_us(APART_US);
        self.advance()?;
        let due = due.min(self.log_time - APART_US as i64);
        for task in [Task::Retain, Task::Sweep, Task::Collect, Task::Trim] {
            self.exhaust(task)?;
        }
        if self.broken {
            return Ok(());
        }
        for (number, namespace) in &self.model.namespaces {
            let mut left = namespace.outdated(due, &self.history);
            left.retain(|thing| !self.was_younger(*number, namespace, thing, due));
            if let Some(left) = left.first() {
                return Err(format!("{left} in {number} was to go at {due} and was left"));
            }
        }
        self.report.count("settled", 1);
        let before = self.model.clone();
        self.model.purge(self.log_time);
        for (number, namespace) in &before.namespaces {
            let left = changes::between(namespace, self.model.namespaces.get(number), true);
            if !left.is_empty() {
                return Err(format!("what expired in {number} was swept, and no feed told of it: {left:?}"));
            }
        }
        if let Some((model, _)) = self.history.get_mut(&self.model.lsn) {
            *model = self.model.clone();
        }
        let engine = self.engine()?;
        self.learn_names(&engine)?;
        let snapshot = engine.snapshot(NamespaceId::DEFAULT).map_err(|e| e.to_string())?;
        let look = |(number, handle): (&u64, &NamespaceId)| {
            let model = self.model.namespaces.get(number);
            check::rows(&snapshot, *handle, model, self.log_time)?;
            check::files(&self.env, engine.dir(), *number, model, self.log_time)
        };
        let looked = self.handles.iter().try_for_each(look);
        // Looking may be what the power is lost in.
        if self.world.is_off() { Ok(()) } else { looked }
    }

    /// Does a task until there is nothing left to do.
    fn exhaust(&mut self, task: Task) -> Check {
        let mut steps = 0;
        while !self.broken && self.maintain(task)? {
            steps += 1;
            if steps > STEPS {
                return Err(format!("{task:?} finds no end"));
            }
        }
        Ok(())
    }

    /// Notes the digest of some namespace, which must be the same whenever it is at this LSN.
    pub(super) fn record_digest(&mut self, engine: &Engine) -> Check {
        if !self.dice.chance(1, 3) {
            return Ok(());
        }
        self.advance()?;
        let alive: Vec<u64> = self.alive(&self.model).collect();
        let number = alive[self.dice.below(alive.len() as u64) as usize];
        match engine.digest(self.handles[&number]) {
            Ok((lsn, digest)) => {
                let digest = digest.to_string();
                let before = self.digests.insert((lsn.0, number), digest.clone());
                match before.filter(|b| *b != digest) {
                    Some(before) => {
                        Err(format!("at LSN {lsn} the digest of {number} was {before} and is {digest}"))
                    }
                    None => Ok(()),
                }
            }
            Err(err) => self.excuse("a digest", &err),
        }
    }
}
