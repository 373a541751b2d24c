//! Reads: of what is newest, and of snapshots that were kept.

use agentdb_engine::{Engine, NamespaceId, Point};
use agentdb_types::{Lsn, Timestamp};

use super::{Kept, Sim, options};
use crate::check::{self, Check, Reads, View};
use crate::model::Model;

/// Snapshots that are held at a time.
const KEPT: usize = 6;

impl Sim {
    pub(super) fn read(&mut self) -> Check {
        let engine = self.engine()?;
        self.report.count("op reads", 1);
        self.check_visible(&engine, false)?;
        for kept in std::mem::take(&mut self.kept) {
            self.report.count("kept snapshots", 1);
            self.check_kept(&engine, &kept)?;
            if self.dice.chance(2, 3) {
                self.kept.push(kept);
            }
        }
        Ok(())
    }

    /// Takes a snapshot of some namespace, to look at later.
    pub(super) fn keep(&mut self) -> Check {
        let engine = self.engine()?;
        self.advance()?;
        let model = self.visible_model(engine.lsn().0)?.clone();
        let alive: Vec<u64> = self.alive(&model).collect();
        let number = alive[self.dice.below(alive.len() as u64) as usize];
        match engine.snapshot(self.handles[&number]) {
            Ok(snapshot) => {
                if self.kept.len() == KEPT {
                    self.kept.remove(0);
                }
                self.kept.push(Kept { snapshot, model, number, now: self.log_time });
                Ok(())
            }
            Err(err) => self.excuse("a snapshot", &err),
        }
    }

    fn check_kept(&mut self, engine: &Engine, kept: &Kept) -> Check {
        self.advance()?;
        let Some(model) = kept.model.namespaces.get(&kept.number) else { return Ok(()) };
        let view = View {
            engine,
            snapshot: &kept.snapshot,
            model,
            now: kept.now,
            latest: self.model.namespaces.get(&kept.number),
            latest_now: self.log_time,
            number: kept.number,
            past: &self.history,
            moments_from: kept.model.moments_from,
            reads: Default::default(),
        };
        view.something(&mut self.dice).map_err(|what| format!("in a snapshot of {}: {what}", kept.number))?;
        let reads = view.reads.take();
        self.count_reads(&reads);
        Ok(())
    }

    /// Reads everything that has a history as of some point.
    fn check_past(&mut self, engine: &Engine, model: &Model) -> Check {
        let alive: Vec<u64> = self.alive(model).filter(|n| model.namespaces.contains_key(n)).collect();
        let number = alive[self.dice.below(alive.len() as u64) as usize];
        let present = match engine.snapshot(self.handles[&number]) {
            Ok(snapshot) => snapshot,
            Err(err) => return self.excuse("a read", &err),
        };
        let head = present.lsn().0;
        let lsn = if self.dice.chance(1, 4) {
            self.dice.below(head + 1)
        } else {
            head - self.dice.below(head.min(40) + 1)
        };
        let empty = crate::model::Namespace::default();
        let (then, now) = match self.history.get(&lsn) {
            Some((then, time)) => (then.namespaces.get(&number).unwrap_or(&empty), *time),
            None => (&empty, 0),
        };
        // A time stands for the last LSN that has it.
        let last = crate::model::history::latest_at(&self.history, now, head) == lsn;
        let by_time = lsn > 0 && last && self.dice.chance(1, 2);
        let point = match Timestamp::from_micros(now) {
            Ok(time) if by_time => Point::Time(time),
            _ => Point::Lsn(Lsn(lsn)),
        };
        let view = |snapshot| View {
            engine,
            snapshot,
            model: &model.namespaces[&number],
            now,
            latest: None,
            latest_now: 0,
            number,
            past: &self.history,
            moments_from: model.moments_from,
            reads: Default::default(),
        };
        let present_view = view(&present);
        let refused = [0, 1].map(|noun| present_view.refusal_at(noun, lsn));
        let snapshot = match present.as_of(point) {
            Ok(snapshot) => snapshot,
            Err(err) if refused.contains(&Some(err.code())) => {
                self.report.count("refused reads of the past", 1);
                return Ok(());
            }
            Err(err) => return Err(format!("as of {point:?} at {head}: {err}")),
        };
        let past = View { model: then, ..view(&snapshot) };
        let mut dice = self.dice.clone();
        past.as_it_was(refused, &mut dice).map_err(|what| format!("in {number} as of {point:?}: {what}"))?;
        let (done, refused) = (refused.iter().any(Option::is_none), refused.iter().any(Option::is_some));
        drop(past);
        self.dice = dice;
        self.report.count("reads of the past", u64::from(done));
        self.report.count("refused reads of the past", u64::from(refused));
        Ok(())
    }

    fn count_reads(&mut self, reads: &Reads) {
        for (name, [done, refused]) in reads {
            self.report.count(&format!("op {name}"), done + refused);
            self.report.count(&format!("done {name}"), *done);
            self.report.count(&format!("refused {name}"), *refused);
        }
    }

    /// The namespaces that can be written to and are there.
    pub(super) fn alive<'a>(&'a self, model: &'a Model) -> impl Iterator<Item = u64> {
        let numbers = model.namespaces.keys().copied();
        numbers.filter(|number| self.handles.contains_key(number))
    }

    /// Looks up the handles of namespaces that are new.
    pub(super) fn learn_names(&mut self, engine: &Engine) -> Check {
        self.handles.insert(1, NamespaceId::DEFAULT);
        let names = self.visible_model(engine.lsn().0)?.names.clone();
        for (name, number) in names {
            let handle = engine.namespace(&name).map_err(|e| format!("namespace {name}: {e}"))?;
            if handle.number() != number {
                return Err(format!("namespace {name} has number {}, not {number}", handle.number()));
            }
            self.handles.insert(number, handle);
        }
        Ok(())
    }

    /// Compares what can be read with the model: everything, or something of each namespace.
    pub(super) fn check_visible(&mut self, engine: &Engine, everything: bool) -> Check {
        self.advance()?;
        self.learn_names(engine)?;
        let model = self.visible_model(engine.lsn().0)?.clone();
        for (number, namespace) in &model.namespaces {
            let snapshot = match engine.snapshot(self.handles[number]) {
                Ok(snapshot) => snapshot,
                Err(err) => return self.excuse("a read", &err),
            };
            let view = View {
                engine,
                snapshot: &snapshot,
                model: namespace,
                now: self.log_time,
                latest: self.model.namespaces.get(number),
                latest_now: self.log_time,
                number: *number,
                past: &self.history,
                moments_from: model.moments_from,
                reads: Default::default(),
            };
            if everything { view.everything(&mut self.dice) } else { view.something(&mut self.dice) }
                .map_err(|what| format!("in {number}: {what}"))?;
            if self.dice.chance(1, 8) {
                view.refusals()?;
                self.report.count("checked the refusals of reads", 1);
                check::namespaces(engine, &snapshot, &model)?;
            }
            let reads = view.reads.take();
            self.count_reads(&reads);
        }
        if everything || self.dice.chance(1, 3) {
            self.check_past(engine, &model)?;
        }
        if !self.armed && self.dice.chance(1, 16) {
            check::of_the_handle(engine, options())?;
            self.report.count("checked the handle's refusals", 1);
        }
        Ok(())
    }
}
