//! Which backups and archives a restore is made of.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use agentdb_log::chain_at;
use agentdb_types::{Code, Error, Lsn, Result, Timestamp};

use super::manifest::{Backup, Kind, Manifest, age};
use super::restore::Restore;
use super::survey::{Survey, is_unreadable};
use super::tree::Tree;
use super::{Backups, not_found};

/// Where a restore ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The backup's own LSN.
    Backup,
    Lsn(Lsn),
    Time(Timestamp),
}

impl Target {
    pub(super) fn of(request: &Restore) -> Result<Self> {
        match (request.lsn, request.time) {
            (None, None) => Ok(Target::Backup),
            (Some(lsn), None) => Ok(Target::Lsn(lsn)),
            (None, Some(time)) => Ok(Target::Time(time)),
            (Some(_), Some(_)) => Err(Error::new(Code::InvalidValue)
                .with("field", "time")
                .with("reason", "an LSN is given, too: one of the two says where to end")),
        }
    }

    /// Whether the log of this backup reaches so far.
    fn is_reached_by(self, backup: &Backup) -> bool {
        match self {
            Target::Backup => true,
            Target::Lsn(lsn) => lsn <= backup.lsn,
            Target::Time(time) => time <= backup.taken,
        }
    }

    /// Whether this holds rows, and they are not later.
    fn may_start_from(self, backup: &Backup) -> bool {
        backup.kind == Kind::Backup
            && match self {
                Target::Backup => true,
                Target::Lsn(lsn) => backup.lsn <= lsn,
                Target::Time(time) => backup.time <= time,
            }
    }

    fn words(self) -> String {
        match self {
            Target::Backup => "the newest".to_owned(),
            Target::Lsn(lsn) => format!("LSN {lsn}"),
            Target::Time(time) => time.to_string(),
        }
    }
}

impl Backups {
    /// What leads to the target: the backup whose rows are taken, then those whose log goes on from there.
    pub(super) fn choose(&self, request: &Restore, target: Target) -> Result<Vec<Manifest>> {
        // What is named may lead to its end without any other, which may be damaged.
        let named = match &request.backup {
            Some(name) => Some(self.named(name, request.database.as_deref())?),
            None => None,
        };
        if let (Some(named), Target::Backup) = (named, target)
            && named.backup.kind == Kind::Backup
        {
            return Ok(vec![named]);
        }
        let survey = Survey::of(&self.vault)?;
        let is_wanted = |m: &&Manifest| {
            request.database.as_ref().is_none_or(|id| *id == m.backup.database)
                && request.backup.as_ref().is_none_or(|name| *name == m.backup.name)
        };
        let wanted: Vec<&Manifest> = survey.whole.iter().filter(is_wanted).collect();
        self.check_one_database(request, &survey, &wanted)?;
        let Some(newest) = wanted.last() else { return Err(self.none(request, &survey)) };
        if target == Target::Backup && request.backup.is_none() {
            self.check_newest(newest, &survey)?;
        }
        let target = match target {
            Target::Backup if newest.backup.kind == Kind::Backup => return Ok(vec![(*newest).clone()]),
            // It has no rows of its own.
            Target::Backup => Target::Lsn(newest.backup.lsn),
            other => other,
        };
        // The oldest that reaches the target needs the least log. One that was taken of another course of the same
        // database may come first, or one whose predecessors are gone: then the next one is tried.
        for tip in wanted.iter().filter(|m| target.is_reached_by(&m.backup)) {
            if let Some(chain) = self.lead_to(&survey, tip, target)? {
                return Ok(chain);
            }
        }
        Err(self.out_of_reach(&survey, &wanted, target))
    }

    fn named(&self, name: &str, database: Option<&str>) -> Result<Manifest> {
        Manifest::read(&self.vault, name)?
            .filter(|m| database.is_none_or(|id| id == m.backup.database))
            .ok_or_else(|| not_found(self.place(), name))
    }

    /// Refuses to choose between several databases.
    fn check_one_database(&self, request: &Restore, survey: &Survey, wanted: &[&Manifest]) -> Result<()> {
        let ids: BTreeSet<&str> = wanted.iter().map(|m| &*m.backup.database).collect();
        if ids.len() > 1 {
            let ids: Vec<&str> = ids.into_iter().collect();
            return Err(Error::new(Code::InvalidValue)
                .with("field", "database")
                .with("reason", format_args!("the store has backups of several: {}", ids.join(", "))));
        }
        if wanted.is_empty() { Err(self.none(request, survey)) } else { Ok(()) }
    }

    /// Why there is nothing to restore.
    fn none(&self, request: &Restore, survey: &Survey) -> Error {
        let name = request.backup.as_ref().or(request.database.as_ref());
        match survey.damaged.last() {
            Some((damaged, err)) if request.backup.is_none() => self.may_be(damaged, err, "what is wanted"),
            _ => not_found(self.place(), name.map_or("at all", |name| name)),
        }
    }

    /// Refuses to take for the newest what a damaged one may come after.
    fn check_newest(&self, newest: &Manifest, survey: &Survey) -> Result<()> {
        match survey.damaged.last() {
            // Names begin with times.
            Some((damaged, err)) if age(damaged) > age(&newest.backup.name) => {
                Err(self.may_be(damaged, err, "the newest, and can be passed over by naming another"))
            }
            _ => Ok(()),
        }
    }

    fn may_be(&self, damaged: &str, err: &Error, what: &str) -> Error {
        let reason = format!("{}; it may be {what}", err.value("reason").unwrap_or(err.code().name()));
        self.vault.corrupt(&Manifest::object(damaged), &reason)
    }

    fn out_of_reach(&self, survey: &Survey, wanted: &[&Manifest], target: Target) -> Error {
        if let Some((damaged, err)) = survey.damaged.first() {
            return self.may_be(
                damaged,
                err,
                &format!("what leads to {}: nothing else does", target.words()),
            );
        }
        let reached: Vec<String> = wanted.iter().map(|m| reach(&m.backup)).collect();
        Error::new(Code::RestorePointNotFound)
            .with("store", self.place())
            .with("target", target.words())
            .with("reached", reached.join("; "))
    }

    /// From a backup whose rows are not later than the target to `tip`, each going on from the one before.
    fn lead_to(&self, survey: &Survey, tip: &Manifest, target: Target) -> Result<Option<Vec<Manifest>>> {
        let mut chain = vec![tip.clone()];
        while let Some(last) = chain.last().filter(|last| !target.may_start_from(&last.backup)) {
            match self.before(survey, last)? {
                Some(before) => chain.push(before),
                None => return Ok(None),
            }
        }
        chain.reverse();
        Ok(Some(chain))
    }

    /// The one that another goes on from: as it says itself, or if that one is gone or damaged, the latest whose end the
    /// log of the other proves to contain.
    fn before(&self, survey: &Survey, after: &Manifest) -> Result<Option<Manifest>> {
        let Some(name) = &after.backup.continues else { return Ok(None) };
        if let Some(before) = survey.named(name) {
            return Ok(Some(before.clone()));
        }
        let fits = |m: &&Manifest| {
            let (before, after) = (&m.backup, &after.backup);
            before.database == after.database
                && before.taken < after.taken
                && before.lsn < after.lsn
                && after.log_from <= before.lsn.next()
        };
        let mut candidates: Vec<&Manifest> = survey.whole.iter().filter(fits).collect();
        candidates.sort_by_key(|m| std::cmp::Reverse(m.backup.lsn));
        for candidate in candidates {
            let chain = after.files(&self.vault).and_then(|files| {
                chain_at(
                    &Tree::env(&self.vault, files, &Arc::default()),
                    Path::new("/log"),
                    candidate.backup.lsn,
                )
            });
            match chain {
                Ok(chain) if chain.is_some_and(|chain| chain.to_string() == candidate.backup.chain) => {
                    return Ok(Some(candidate.clone()));
                }
                Err(err) if !is_unreadable(&err) => return Err(err),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// What a backup or an archive can be restored to.
fn reach(backup: &Backup) -> String {
    let from =
        backup.continues.as_ref().map(|name| format!("everything from {name} to ")).unwrap_or_default();
    format!("{from}{}: LSN {}, {} to {}", backup.name, backup.lsn, backup.time, backup.taken)
}
