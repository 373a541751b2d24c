//! `database.verify`.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use agentdb_types::{Code, Error, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::report::{LogReport, NamespaceReport, Phase, Progress, Report};
use crate::engine::Core;
use crate::key::Key;
use crate::modules::job;
use crate::operation::{About, Effect, Request, Scope};
use crate::{Engine, NamespaceId, Snapshot, Table, modules, mutation};

/// Rows between two reports of progress.
const STEP: u64 = 1024;

/// Verifies everything that the database has stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {}

impl Request for Verify {
    type Response = Report;
    const ABOUT: About = About {
        name: "database.verify",
        doc: "Verifies the whole log, every row, the digest of every namespace and every blob, and reports everything that does not hold. It changes nothing.",
        effect: Effect::Read,
        scope: Scope::Database,
        permission: "database.verify",
        resource: &[],
        sensitive: &[],
        errors: &[],
    };
}

impl Engine {
    /// Verifies everything that is stored. Damage is no error but a problem in the report: all of it that can be found is
    /// named there. `progress` hears how far it is.
    ///
    /// # Errors
    /// [`Code::Poisoned`], [`Code::Closed`].
    pub fn verify(&self, progress: &mut dyn FnMut(Progress)) -> Result<Report> {
        self.verify_until(&mut |now| {
            progress(now);
            Ok(())
        })
    }

    /// The same as a job of the database: listed, paused and cancelled. That is two batches of the log; where
    /// they have to wait, for rows or for a full queue, it is verified all the same.
    ///
    /// # Errors
    /// Those of [`Engine::verify`]; [`Code::JobCancelled`].
    pub fn verify_as_job(&self, progress: &mut dyn FnMut(Progress)) -> Result<Report> {
        let begun = self.core.check_room();
        let begun = begun.and_then(|()| job::Journal::of_request(&self.core, job::Kind::Verify, &Verify {}));
        let mut journal = begun.ok();
        let mut units = Units::default();
        let verified = self.verify_until(&mut |now| {
            progress(now);
            let done = units.through(now);
            let told = journal.as_mut().map(|journal| journal.go_on(done, 0, &mut || Ok(())));
            match told {
                Some(Err(err)) if err.code() == Code::JobCancelled => Err(err),
                // That a job cannot be told of any more is no reason not to do it.
                Some(Err(_)) => {
                    journal = None;
                    Ok(())
                }
                Some(Ok(())) | None => Ok(()),
            }
        });
        if let Some(journal) = journal {
            let found = verified.as_ref().map(Found::of).map_err(|err| err.clone());
            // Nobody needs to know.
            let _ = journal.ends(&found);
        }
        verified
    }

    /// Verifies until it is done, or `progress` says that it is over.
    fn verify_until(&self, progress: &mut dyn FnMut(Progress) -> Result<()>) -> Result<Report> {
        self.core.check_failed()?;
        let mut job = Job {
            core: &self.core,
            progress,
            report: Report::default(),
            blobs: BTreeSet::new(),
            over: OnceCell::new(),
        };
        job.log();
        let snapshot = self.core.snapshot(NamespaceId::SYSTEM)?;
        job.report.lsn = snapshot.lsn();
        job.rows(&snapshot);
        job.blobs(&snapshot);
        match job.over.into_inner() {
            Some(err) => Err(err),
            None => Ok(job.report),
        }
    }
}

/// What has been verified so far, phase by phase: groups, rows, bytes.
#[derive(Default)]
struct Units {
    before: u64,
    last: Option<Progress>,
}

impl Units {
    /// How much has been done in all.
    fn through(&mut self, now: Progress) -> u64 {
        if let Some(last) = self.last.filter(|last| last.phase != now.phase) {
            self.before += last.done;
        }
        self.last = Some(now);
        self.before + now.done
    }
}

/// What a job remembers of a report: problems may be many.
#[derive(Serialize)]
struct Found {
    lsn: Lsn,
    rows: u64,
    blobs: u64,
    problems: usize,
}

impl Found {
    fn of(report: &Report) -> Self {
        let Report { lsn, rows, blobs, .. } = *report;
        Found { lsn, rows, blobs, problems: report.problems.len() }
    }
}

struct Job<'a> {
    core: &'a Arc<Core>,
    progress: &'a mut dyn FnMut(Progress) -> Result<()>,
    report: Report,
    /// The keys of the rows of blobs.
    blobs: BTreeSet<Vec<u8>>,
    /// Why no more is to be verified.
    over: OnceCell<Error>,
}

impl Job<'_> {
    fn problem(&mut self, err: &Error) {
        self.report.problems.push(err.into());
    }

    fn tell(&mut self, phase: Phase, done: u64) {
        if self.over.get().is_none()
            && let Err(err) =
                (self.progress)(Progress { phase, done, problems: self.report.problems.len() as u64 })
        {
            let _ = self.over.set(err);
        }
    }

    fn is_over(&self) -> bool {
        self.over.get().is_some()
    }

    fn log(&mut self) {
        // A frame that is being written looks like a torn one: what does not hold is read again with the writer waiting.
        // Nobody hears of progress meanwhile: who hears might write.
        let verified = self.read_log(true);
        if self.is_over() {
            return;
        }
        let verified = verified.or_else(|_| {
            let core = self.core.clone();
            let _still = core.lock_sequencer();
            self.read_log(false)
        });
        match verified {
            Ok(log) => self.report.log = Some(log),
            Err(err) => self.problem(&err),
        }
    }

    fn read_log(&mut self, tell: bool) -> Result<LogReport> {
        let synced = self.core.synced_lsn();
        let mut done = 0u64;
        let mut entries = 0;
        let dir = self.core.dir.join("log");
        let env = self.core.env.clone();
        let verified = agentdb_log::verify(&env, &dir, &mut |group| {
            entries += mutation::entries(&group.body, group.count, group.first_lsn)?.len() as u64;
            done += 1;
            if tell && done.is_multiple_of(STEP) {
                self.tell(Phase::Log, done);
            }
            match self.over.get() {
                Some(err) => Err(err.clone()),
                None => Ok(()),
            }
        })?;
        if tell {
            self.tell(Phase::Log, done);
        }
        if verified.head.lsn < synced {
            return Err(Error::new(Code::LogCorrupt)
                .with("segment", dir.display())
                .with("offset", 0)
                .with("lsn", verified.head.lsn.next())
                .with("reason", format_args!("the log ends here, but was durable up to LSN {synced}")));
        }
        Ok(LogReport {
            segments: verified.segments,
            groups: verified.groups,
            entries,
            first_lsn: verified.first_lsn,
            last_lsn: verified.head.lsn,
        })
    }

    fn rows(&mut self, snapshot: &Snapshot) {
        let over = Cell::new(self.is_over());
        let checked = caught(|| {
            let visit = &mut |key: Result<&[u8]>| match key {
                Ok(key) => {
                    self.note_blob(key);
                    self.report.rows += 1;
                    if self.report.rows.is_multiple_of(STEP) {
                        self.tell(Phase::Rows, self.report.rows);
                        over.set(self.is_over());
                    }
                }
                Err(err) => self.problem(&err),
            };
            snapshot.rows.check_base(visit, &|| over.get());
            Ok(())
        });
        if let Err(err) = checked {
            self.problem(&err);
        }
        let mut namespaces = BTreeSet::new();
        match caught(|| snapshot.rows.base_namespaces()) {
            Ok(found) => namespaces.extend(found),
            Err(err) => self.problem(&err),
        }
        match caught(|| modules::namespace::all(snapshot)) {
            Ok(found) => namespaces.extend(found),
            Err(err) => self.problem(&err),
        }
        for namespace in namespaces {
            self.tell(Phase::Rows, self.report.rows);
            if self.is_over() {
                return;
            }
            if let Err(err) = self.namespace(snapshot, namespace) {
                self.problem(&err);
            }
        }
        self.tell(Phase::Rows, self.report.rows);
    }

    fn namespace(&mut self, snapshot: &Snapshot, namespace: NamespaceId) -> Result<()> {
        let mut found = NamespaceReport { number: namespace.number(), ..NamespaceReport::default() };
        let rows = &snapshot.rows;
        let hashed = caught(|| rows.hash_base(namespace));
        for key in rows.memory_keys(namespace) {
            self.note_blob(&key);
            found.rows_in_log += u64::from(rows.get(&key)?.is_some());
        }
        self.report.rows_in_log += found.rows_in_log;
        let (kept, computed, count) = match hashed {
            Ok(hashes) => hashes,
            // What is damaged was named when the files were read.
            Err(err) if err.code() == Code::RowsCorrupt && !self.report.problems.is_empty() => return Ok(()),
            Err(err) => return Err(err),
        };
        found.rows = count;
        found.digest = computed.digest().to_string();
        if kept != computed {
            self.problem(
                &Error::new(Code::DigestMismatch)
                    .with("namespace", namespace.number())
                    .with("actual", computed.digest())
                    .with("expected", kept.digest()),
            );
        }
        if found.rows + found.rows_in_log > 0 {
            self.report.namespaces.push(found);
        }
        Ok(())
    }

    fn note_blob(&mut self, key: &[u8]) {
        if Key::table_of(key) == Some(Table::Blob as u8) {
            self.blobs.insert(key.to_vec());
        }
    }

    fn blobs(&mut self, snapshot: &Snapshot) {
        let mut done = 0;
        for key in std::mem::take(&mut self.blobs) {
            if self.is_over() {
                return;
            }
            let mut read = 0;
            let checked = caught(|| {
                modules::blob::check(snapshot, &key, &mut |bytes| {
                    read += bytes;
                    self.tell(Phase::Blobs, done + read);
                })
            });
            match checked {
                Ok(true) => {
                    self.report.blobs += 1;
                    self.report.blob_bytes += read;
                }
                Ok(false) => {}
                Err(err) => self.problem(&err),
            }
            done += read;
        }
        self.tell(Phase::Blobs, done);
    }
}

/// A panic on damage is a mistake of ours; it must not hide what else is damaged.
fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::new(Code::RowsCorrupt).with("reason", "checking it panicked")))
}
