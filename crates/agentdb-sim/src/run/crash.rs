//! Faults, crashes and recoveries.

use std::path::Path;

use agentdb_engine::{Engine, NamespaceId, Task};
use agentdb_env::sim::Random;

use super::{Sim, options};
use crate::check::Check;
use crate::model::item::Letters;

const DIR: &str = "/data/db";
/// More than tables are drained in.
const PIECES_OF_A_DRAIN: usize = 16;

impl Sim {
    /// Breaks something, now or soon.
    pub(super) fn arm_or_crash(&mut self) -> Check {
        if self.armed {
            // What was armed has not struck: pull the plug.
            self.broken = true;
            return Ok(());
        }
        self.armed = true;
        let faults = self.world.faults();
        let name = match self.dice.below(10) {
            0..=2 => {
                faults.crash_after(self.dice.below(60));
                "power loss in an operation"
            }
            3 => {
                faults.fail_sync(1 + self.dice.below(6));
                "failed sync"
            }
            9 => {
                // What it leaves matters to a process that goes on with it.
                self.doubting = true;
                faults.fail_dir_sync(1 + self.dice.below(3));
                "failed sync of a directory"
            }
            4 => {
                faults.fail_write(1 + self.dice.below(10));
                "failed write"
            }
            5 => {
                faults.set_capacity(Some(self.dice.below(1 << 20)));
                "disk full"
            }
            6 => {
                faults.set_read_only(true);
                "read-only disk"
            }
            7 => {
                // Nothing is broken yet: nothing may fail.
                self.armed = false;
                self.write_hastily()?;
                self.broken = true;
                "power loss after hasty writes"
            }
            _ => {
                self.broken = true;
                "power loss between operations"
            }
        };
        self.say(format!("arm: {name}"));
        self.report.count(&format!("fault {name}"), 1);
        if self.doubting && self.dice.chance(1, 2) {
            self.task(Task::Freeze)?;
            for _ in 0..6 {
                if !self.broken {
                    self.task(Task::Drain)?;
                }
            }
        }
        // Give it some operations to strike.
        for _ in 0..30 {
            if self.broken || self.world.is_off() {
                break;
            }
            self.turn()?;
        }
        self.broken = true;
        Ok(())
    }

    /// Writes that nobody waits to be synced, then what syncs them, or what must not run ahead of them.
    fn write_hastily(&mut self) -> Check {
        self.hasty = true;
        for _ in 0..4 {
            self.submit()?;
            self.sequence_all()?;
        }
        self.hasty = false;
        if self.dice.chance(1, 2) {
            return self.task(Task::Sync);
        }
        self.task(Task::Freeze)?;
        // To their end: a view that is whole must not be ahead of what the log keeps.
        for _ in 0..PIECES_OF_A_DRAIN {
            if self.broken {
                break;
            }
            self.task(Task::Drain)?;
        }
        Ok(())
    }

    /// Ends the process, with or without the machine, and opens again.
    pub(super) fn restart(&mut self) -> Check {
        self.restarts += 1;
        self.kept.clear();
        self.lose_pages();
        self.note_unheard();
        self.leave_feeds();
        self.give_up_backup();
        self.leave_transfers();
        self.leave_loads();
        let odds = if std::mem::take(&mut self.doubting) { 1 } else { 4 };
        let power_loss = self.world.is_off() || self.dice.chance(odds, 6);
        self.end(power_loss);
        if self.dice.chance(1, 3) {
            // Trouble while recovering.
            self.world.faults().crash_after(self.dice.below(40));
            if self.open().is_err() {
                self.report.count("crashes while recovering", 1);
            }
            self.end(true);
            return self.reopen(true);
        }
        self.reopen(power_loss)
    }

    fn end(&mut self, power_loss: bool) {
        self.say(format!("restart, power loss: {power_loss}"));
        if power_loss {
            let mut dice = Random::new(self.dice.next_u64());
            self.world.crash(&mut dice);
        } else {
            self.world.process_kill();
        }
        if let Some(engine) = self.engine.take() {
            self.count_mutations(&engine);
        }
        let faults = self.world.faults();
        faults.clear();
        faults.set_capacity(None);
        faults.set_read_only(false);
        self.armed = false;
        self.broken = false;
        self.report.count(if power_loss { "power losses" } else { "process kills" }, 1);
    }

    fn count_mutations(&mut self, engine: &Engine) {
        for (name, by) in ["put", "delete", "add", "splice"].iter().zip(engine.mutations()) {
            self.report.count(&format!("mutation {name}"), by);
        }
    }

    pub(super) fn open(&mut self) -> Check {
        let engine =
            Engine::open(&self.env, Path::new(DIR), options()).map_err(|e| format!("opening: {e:?}"))?;
        engine.set_text_encoder(std::sync::Arc::new(Letters));
        self.engine = Some(engine);
        self.handles = [(1, NamespaceId::DEFAULT)].into();
        self.next_ids = self.ids.restart(self.dice.next_u64());
        self.believe();
        self.open_time = None;
        Ok(())
    }

    fn reopen(&mut self, power_loss: bool) -> Check {
        self.open()?;
        let engine = self.engine()?;
        let lsn = engine.lsn().0;
        self.say(format!("recovered LSN {lsn} of {}", self.model.lsn));
        if lsn < self.durable {
            return Err(format!("LSN {} was acknowledged as durable, {lsn} was recovered", self.durable));
        }
        if !power_loss && lsn < self.written {
            return Err(format!(
                "LSN {} was handed to the system, {lsn} was recovered after a kill",
                self.written
            ));
        }
        let Some((model, time)) = self.history.get(&lsn).cloned() else {
            return Err(format!("LSN {lsn} was recovered and never decided"));
        };
        self.report
            .count("recovered unacknowledged batches", lsn.saturating_sub(self.durable.max(self.written)));
        self.report.count("lost unacknowledged batches", self.model.lsn.saturating_sub(lsn));
        self.model = model;
        self.log_time = time;
        self.believe();
        self.history.retain(|l, _| *l <= lsn);
        self.forks.forget_after(lsn);
        self.ledger.cut(lsn);
        self.ledger.check()?;
        self.digests.retain(|(l, _), _| *l <= lsn);
        self.maintained.retain(|l| *l <= lsn);
        self.written = lsn;
        // Opening syncs what it found.
        self.durable = lsn;
        self.learn_names(&engine)?;
        self.learn_trimmed(&engine)?;
        self.check_feeds_are_kept(lsn)?;
        if let Some(before) = self.unwitnessed.take() {
            self.look_at_the_clock(&engine)?;
            self.witness(&engine, before)?;
        }
        self.check_visible(&engine, true)?;
        self.check_digests(&engine)?;
        self.check_backups()?;
        self.check_jobs()?;
        if self.dice.chance(1, 3) { self.verify(&engine) } else { Ok(()) }
    }

    /// Every namespace has the digest that it had when it was at this LSN before.
    fn check_digests(&mut self, engine: &Engine) -> Check {
        for number in self.alive(&self.model) {
            let (lsn, digest) = engine.digest(self.handles[&number]).map_err(|e| format!("digest: {e}"))?;
            let digest = digest.to_string();
            if let Some(expected) = self.digests.get(&(lsn.0, number)).filter(|e| **e != digest) {
                return Err(format!("the digest of {number} at LSN {lsn} was {expected} and is {digest}"));
            }
        }
        Ok(())
    }

    /// Lets the engine verify itself.
    fn verify(&mut self, engine: &Engine) -> Check {
        let found = engine.verify(&mut |_| {}).map_err(|e| format!("verifying: {e}"))?;
        self.report.count("verified", 1);
        self.report.count("verified blobs", found.blobs);
        self.say(format!("verified {found:?}"));
        if found.problems.is_empty() && found.lsn == engine.lsn() {
            return Ok(());
        }
        Err(format!("verifying at LSN {} found {:?}", found.lsn, found.problems))
    }

    /// Closes in order; nothing may be lost then.
    pub(super) fn finish(&mut self) -> Check {
        self.sequence_all()?;
        self.finish_jobs()?;
        self.settle()?;
        for (name, by) in self.world.counters() {
            self.report.count(&format!("disk {name}"), by);
        }
        self.give_up_backup();
        self.leave_transfers();
        self.leave_loads();
        let engine = self.engine.take().ok_or("no engine is open")?;
        self.count_mutations(&engine);
        self.kept.clear();
        self.lose_pages();
        self.leave_feeds();
        engine.close().map_err(|e| format!("closing: {e}"))?;
        for (happened, by) in self.ledger.check()? {
            self.report.count(happened, by);
        }
        let last = self.model.lsn;
        self.world.process_kill();
        self.open()?;
        let engine = self.engine()?;
        match engine.lsn().0 {
            lsn if lsn == last => {
                self.durable = last;
                self.check_feeds_are_kept(last)?;
                self.watch_to_the_end(&engine)?;
                self.check_digests(&engine)
            }
            lsn => Err(format!("closed at LSN {last}, opened at {lsn}")),
        }
    }
}
