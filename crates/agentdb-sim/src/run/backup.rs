//! Backups while everything else goes on, and databases restored from them.

use std::path::Path;
use std::sync::Arc;

use agentdb_engine::modules::backup::{ArchiveJob, Archived, BackupJob, Backups, DirectoryStore, Restore};
use agentdb_engine::{Engine, NamespaceId};
use agentdb_types::{Code, Error, Lsn};

use super::{Sim, options};
use crate::check::{Check, View};
use crate::model::item::Letters;

const STORE: &str = "/backups";
/// Backups that are kept when old ones are deleted.
const KEPT: u64 = 2;

/// The backups of a run.
#[derive(Default)]
pub(super) struct Taken {
    job: Option<BackupJob>,
    /// An archive that is being sent, and whether the log is held from its end on.
    archiving: Option<(ArchiveJob, bool)>,
    /// Those that are finished, in their order.
    finished: Vec<Finished>,
    /// How many directories were restored into.
    restores: u64,
    /// Whether a crash ended a collection of chunks.
    collection_killed: bool,
    held: Held,
}

/// A backup, or an archive.
#[derive(Clone, Debug)]
struct Finished {
    name: String,
    lsn: u64,
    has_rows: bool,
}

/// The log, as held for the archive.
#[derive(Default)]
struct Held {
    is_held: bool,
    /// The LSN from which on every one up to the last backup or archive can be restored.
    from: Option<u64>,
}

impl Taken {
    fn finish(&mut self, name: String, lsn: u64, has_rows: bool) {
        self.finished.push(Finished { name, lsn, has_rows });
        if self.held.is_held {
            self.held.from.get_or_insert(lsn);
        }
    }

    /// Whether an LSN must be in reach.
    fn is_in_reach(&self, lsn: u64) -> bool {
        let last = self.finished.last().map_or(0, |last| last.lsn);
        self.held.from.is_some_and(|from| (from..=last).contains(&lsn))
    }
}

impl Sim {
    /// Begins a backup or an archive, goes on with it, or does something with those that there are.
    pub(super) fn back_up(&mut self) -> Check {
        if self.taken.job.is_some() {
            return self.go_on_with_backup();
        }
        if self.taken.archiving.is_some() {
            return self.go_on_with_archive();
        }
        let has_none = !self.taken.finished.iter().any(|finished| finished.has_rows);
        match self.dice.below(16) {
            0..5 => self.begin_backup(),
            // There is nothing to go on from, which is tried seldom.
            6..13 if has_none => self.begin_backup(),
            5..10 => self.begin_archive(),
            10..13 => self.restore_some(),
            13 | 14 => self.prune(),
            _ => self.release_log(),
        }
    }

    /// Gives up the backup that is being taken.
    pub(super) fn give_up_backup(&mut self) {
        let given_up = self.taken.job.take().is_some();
        self.report.count("backups given up", u64::from(given_up));
        let given_up = self.taken.archiving.take().is_some();
        self.report.count("archives given up", u64::from(given_up));
    }

    fn backups(&self) -> agentdb_types::Result<Backups> {
        // Ids have a stream of randomness of their own, from which no restore may draw.
        let env = self.world.env();
        Backups::open(&env, Arc::new(DirectoryStore::new(&env, Path::new(STORE))?), None)
    }

    fn begin_backup(&mut self) -> Check {
        self.sequence_all()?;
        if self.broken {
            return Ok(());
        }
        let before = (self.log_time, self.believed);
        self.advance()?;
        let engine = self.engine()?;
        let begun = self.backups().and_then(|backups| engine.begin_backup(&backups, false));
        self.undo_if_refused(before, begun.as_ref().err());
        // The open group goes to the log first.
        self.open_time = None;
        self.say(format!("begin a backup: {:?}", begun.as_ref().err()));
        match begun {
            Ok(job) => self.taken.job = Some(job),
            // The lease of a collection that was killed goes on for a while.
            Err(err) if err.code() == Code::BackupsBusy && self.taken.collection_killed => {
                self.report.count("refused backups_busy", 1);
            }
            Err(err) => self.excuse("beginning a backup", &err)?,
        }
        Ok(())
    }

    /// What is refused before the log is looked at has moved no clock: seed 7463.
    fn undo_if_refused(&mut self, before: (i64, (i64, i64)), refusal: Option<&Error>) {
        if refusal.is_some_and(|err| [Code::BackupStoreNotFound, Code::BackupsBusy].contains(&err.code())) {
            (self.log_time, self.believed) = before;
        }
    }

    fn begin_archive(&mut self) -> Check {
        self.sequence_all()?;
        if self.broken {
            return Ok(());
        }
        let before = (self.log_time, self.believed);
        self.advance()?;
        let (engine, hold) = (self.engine()?, self.dice.chance(1, 2));
        let begun = self.backups().and_then(|backups| engine.begin_archive(&backups, hold));
        self.undo_if_refused(before, begun.as_ref().err());
        self.open_time = None;
        self.say(format!("begin an archive, hold {hold}: {:?}", begun.as_ref().err()));
        let err = match begun {
            Ok(job) => {
                self.taken.archiving = Some((job, hold));
                return Ok(());
            }
            Err(err) => err,
        };
        match err.code() {
            Code::BackupsBusy if self.taken.collection_killed => {
                self.report.count("refused backups_busy", 1);
            }
            Code::BackupStoreNotFound if self.taken.finished.is_empty() => {
                self.report.count("refused backup_store_not_found", 1);
            }
            // What is held from an LSN on leads to the log.
            Code::ArchiveGap if self.taken.held.from.is_none() => {
                self.report.count("refused archive_gap", 1);
            }
            _ => self.excuse("beginning an archive", &err)?,
        }
        Ok(())
    }

    fn go_on_with_archive(&mut self) -> Check {
        for _ in 0..2 + self.dice.below(12) {
            let archiving = self.taken.archiving.as_mut().filter(|_| !self.broken);
            let Some((job, hold)) = archiving else { return Ok(()) };
            let (stepped, hold) = (job.step(), *hold);
            self.say(format!("a step of an archive: {stepped:?}"));
            match stepped {
                Ok(None) => {}
                Ok(Some(archived)) => {
                    self.taken.archiving = None;
                    self.finish_archive(&archived, hold);
                    if self.dice.chance(1, 4) {
                        // Often there is nothing new.
                        return self.begin_archive();
                    }
                    return if self.dice.chance(1, 3) { self.restore_some() } else { Ok(()) };
                }
                Err(err) => {
                    self.give_up_backup();
                    return self.excuse("an archive", &err);
                }
            }
        }
        Ok(())
    }

    fn finish_archive(&mut self, archived: &Archived, hold: bool) {
        self.taken.held.is_held |= hold;
        let name = if archived.new { "archives" } else { "archives of nothing new" };
        self.report.count(name, 1);
        self.report.count("blobs missing in archives", archived.missing_blobs.len() as u64);
        if archived.new {
            self.taken.finish(archived.name.clone(), archived.lsn.0, false);
        } else if self.taken.held.is_held {
            self.taken.held.from.get_or_insert(archived.lsn.0);
        }
    }

    fn release_log(&mut self) -> Check {
        // Seldom, so that logs are held for long.
        if self.broken || !self.dice.chance(1, 4) {
            return Ok(());
        }
        let released = self.engine()?.release_log();
        self.say(format!("release the log: {released:?}"));
        match released {
            Ok(held_for) => {
                self.taken.held = Held::default();
                self.report.count("released logs", u64::from(held_for.is_some()));
                Ok(())
            }
            Err(err) => {
                self.taken.held = Held::default();
                self.excuse("releasing the log", &err)
            }
        }
    }

    fn go_on_with_backup(&mut self) -> Check {
        for _ in 0..1 + self.dice.below(12) {
            // While it drains, a step may commit what has queued.
            self.sequence_all()?;
            let Some(job) = self.taken.job.as_mut().filter(|_| !self.broken) else { return Ok(()) };
            let stepped = job.step();
            self.say(format!("a step of a backup: {stepped:?}"));
            match stepped {
                Ok(None) => {}
                Ok(Some(backup)) => {
                    self.taken.job = None;
                    self.report.count("backups", 1);
                    self.report.count("backups that continue another", u64::from(backup.continues.is_some()));
                    for namespace in &backup.namespaces {
                        let known = self.digests.get(&(backup.lsn.0, namespace.number));
                        if let Some(known) = known.filter(|known| **known != namespace.digest) {
                            return Err(format!("{backup:?} tells another digest than {known}"));
                        }
                    }
                    if self.taken.held.from.is_some() && backup.continues.is_none() {
                        return Err(format!("{backup:?} does not go on although the log is held"));
                    }
                    self.taken.finish(backup.name, backup.lsn.0, true);
                    return if self.dice.chance(1, 3) { self.restore_some() } else { Ok(()) };
                }
                Err(err) => {
                    self.give_up_backup();
                    return self.excuse("a backup", &err);
                }
            }
        }
        Ok(())
    }

    /// Deletes old backups. A lease that a killed process has left forbids it for some time.
    fn prune(&mut self) -> Check {
        if !self.taken.finished.iter().any(|finished| finished.has_rows) {
            return Ok(());
        }
        let pruned = self.backups().and_then(|backups| backups.prune(KEPT));
        self.say(format!("prune: {pruned:?}"));
        match pruned {
            Ok(deleted) => {
                self.report.count("pruned", 1);
                self.report.count("deleted backups", deleted.backups.len() as u64);
                self.taken.finished.retain(|finished| !deleted.backups.contains(&finished.name));
                let Some(oldest) = self.taken.finished.iter().find(|finished| finished.has_rows) else {
                    return Err("pruning left no backup".to_owned());
                };
                let from = &mut self.taken.held.from;
                *from = from.map(|from| from.max(oldest.lsn));
                self.verify_backups()
            }
            Err(err) if err.code() == Code::BackupsBusy => {
                self.report.count("refused backups_busy", 1);
                Ok(())
            }
            Err(err) => {
                self.taken.collection_killed = true;
                // Whether they are gone is unknown.
                self.taken.finished.clear();
                self.taken.held.from = None;
                self.excuse("pruning", &err)
            }
        }
    }

    fn verify_backups(&mut self) -> Check {
        match self.backups().and_then(|backups| backups.verify(None, &mut |_| {})) {
            Ok(report) if report.problems.is_empty() => {
                self.report.count("verified backups", report.backups.len() as u64);
                Ok(())
            }
            Ok(report) => Err(format!("verifying backups found {:?}", report.problems)),
            Err(err) => self.excuse("verifying backups", &err),
        }
    }

    /// Finished backups are there whatever happens, and lead to what was there.
    pub(super) fn check_backups(&mut self) -> Check {
        if self.taken.finished.is_empty() || !self.dice.chance(1, 2) {
            return Ok(());
        }
        let listed = self.backups().and_then(|backups| backups.list());
        let listed = listed.map_err(|e| format!("listing backups: {e}"))?;
        if !listed.damaged.is_empty() {
            return Err(format!("{:?} are damaged", listed.damaged));
        }
        for Finished { name, lsn, .. } in &self.taken.finished {
            if !listed.items.iter().any(|backup| backup.name == *name && backup.lsn.0 == *lsn) {
                return Err(format!("backup {name} of LSN {lsn} is gone"));
            }
        }
        self.verify_backups()?;
        self.restore_some()
    }

    /// Restores a backup, or an LSN before it, and compares.
    fn restore_some(&mut self) -> Check {
        let Some(count) = (self.taken.finished.len() as u64).checked_sub(1) else { return Ok(()) };
        let Finished { name, lsn, has_rows } =
            self.taken.finished[self.dice.below(count + 1) as usize].clone();
        let between = self.dice.chance(1, 2);
        let target = if between { lsn.saturating_sub(self.dice.below(30)) } else { lsn };
        self.taken.restores += 1;
        let dir = format!("/restored/{}", self.taken.restores);
        let request = Restore {
            store: STORE.into(),
            dir: dir.clone(),
            backup: (!between || self.dice.chance(1, 2)).then_some(name),
            lsn: between.then_some(Lsn(target)),
            // What lies behind a backup is replayed, and that takes the keys of subjects.
            keys: (between || !has_rows).then(|| "/data/db/keys".to_owned()),
            ..Restore::default()
        };
        let restored = self.backups().and_then(|backups| backups.restore(&request, &mut |_| {}));
        self.say(format!("restore {request:?}: {restored:?}"));
        let restored = match restored {
            Ok(restored) => restored,
            Err(err)
                if between && err.code() == Code::RestorePointNotFound && !self.taken.is_in_reach(target) =>
            {
                self.report.count("refused restore_point_not_found", 1);
                return Ok(());
            }
            Err(err) => return self.excuse("a restore", &err),
        };
        let engine = match Engine::open(&self.world.env(), Path::new(&dir), options()) {
            Ok(engine) => engine,
            Err(err) => return self.excuse("opening a restored database", &err),
        };
        engine.set_text_encoder(std::sync::Arc::new(Letters));
        if (restored.lsn.0, engine.lsn().0) != (target, target) {
            return Err(format!("{request:?} led to LSN {}", engine.lsn()));
        }
        let what = match (between, has_rows) {
            (true, _) => "restores between backups",
            (false, true) => "restores",
            (false, false) => "restores of archives",
        };
        self.report.count(what, 1);
        self.report.count("restores that are in reach", u64::from(self.taken.is_in_reach(target)));
        self.compare_restored(&engine, restored.time.micros(), !between)
    }

    /// Compares a restored database with the model at its LSN. Blobs that were put and deleted again between two backups
    /// are in none, so that they are looked at only in a backup's own state.
    fn compare_restored(&mut self, engine: &Engine, time: i64, everything: bool) -> Check {
        let lsn = engine.lsn().0;
        let model = self.visible_model(lsn)?.clone();
        let now = self.env.clock.wall().micros().max(time);
        let mut handles = vec![(1, NamespaceId::DEFAULT)];
        for (name, number) in &model.names {
            let handle = engine.namespace(name).map_err(|e| format!("restored namespace {name}: {e}"))?;
            handles.push((*number, handle));
        }
        for (number, handle) in handles {
            let digest = match engine.digest(handle) {
                Ok((_, digest)) => digest.to_string(),
                Err(err) => return self.excuse("a digest of a restored database", &err),
            };
            if let Some(expected) = self.digests.get(&(lsn, number)).filter(|e| **e != digest) {
                return Err(format!(
                    "restored at LSN {lsn}, namespace {number} has {digest}, not {expected}"
                ));
            }
            let compared = self.digests.contains_key(&(lsn, number));
            self.report.count("digests of restored databases", u64::from(compared));
            let Some(namespace) = model.namespaces.get(&number).filter(|_| everything) else { continue };
            let snapshot = engine.snapshot(handle).map_err(|e| format!("restored {number}: {e}"))?;
            let view = View {
                engine,
                snapshot: &snapshot,
                model: namespace,
                now,
                latest: Some(namespace),
                latest_now: now,
                number,
                past: &self.history,
                moments_from: model.moments_from,
                reads: Default::default(),
            };
            view.everything(&mut self.dice).map_err(|what| format!("restored at LSN {lsn}: {what}"))?;
        }
        Ok(())
    }
}
