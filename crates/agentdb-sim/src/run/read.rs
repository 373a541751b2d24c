//! Reads: of what is newest, and of snapshots that were kept.

use agentdb_engine::{Engine, NamespaceId};

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
            reads: Default::default(),
        };
        view.something(&mut self.dice).map_err(|what| format!("in a snapshot of {}: {what}", kept.number))?;
        let reads = view.reads.take();
        self.count_reads(&reads);
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
        if !self.armed && self.dice.chance(1, 16) {
            check::of_the_handle(engine, options())?;
            self.report.count("checked the handle's refusals", 1);
        }
        Ok(())
    }
}
