//! What was: how long history is kept, and what a point in the past was.

use std::collections::BTreeMap;

use agentdb_types::{Code, Timestamp, limits};
use serde_json::{Value, json};

use super::{Model, Moment, Namespace};

/// The model and the log time after each LSN.
pub(crate) type Past = BTreeMap<u64, (Model, i64)>;

/// The nouns that have a history, in the order in which they are listed.
pub(crate) const NOUNS: [&str; 3] = ["state", "session", "namespace"];
pub(super) const STATE: usize = 0;
pub(super) const SESSION: usize = 1;
const NAMESPACE: usize = 2;

/// How long the history of a noun is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Retention {
    /// None for ever, 0 not at all.
    pub(crate) history_us: Option<u64>,
    /// The earliest LSN that it goes back to.
    pub(crate) since: u64,
}

/// What holds where nobody said anything.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Retentions(pub(crate) [Retention; NOUNS.len()]);

impl Default for Retentions {
    fn default() -> Self {
        let kept = |us| Retention { history_us: Some(us), since: 0 };
        let a_day = limits::HISTORY_KEPT_US.unsigned_abs();
        Retentions([kept(a_day), kept(a_day), kept(0)])
    }
}

impl Retentions {
    /// Why a namespace cannot be forked as it was after this LSN.
    pub(crate) fn refusal_of_fork(&self, lsn: u64) -> Option<Code> {
        self.0.iter().find_map(|kept| match () {
            () if kept.keeps_none() => Some(Code::NoHistory),
            () if lsn < kept.since => Some(Code::HistoryTrimmed),
            () => None,
        })
    }

    /// Whether the history of any noun is not kept.
    pub(crate) fn lack_any(&self) -> bool {
        self.0.iter().any(Retention::keeps_none)
    }

    /// Whether what was deleted may be needed by who forks the namespace as it was, or has been lately.
    pub(crate) fn keep_files(&self) -> bool {
        let kept = &self.0[NAMESPACE];
        !kept.keeps_none() || kept.since > 0
    }
}

impl Retention {
    /// Whether the present is all that can be read.
    pub(crate) fn keeps_none(&self) -> bool {
        self.history_us == Some(0)
    }

    pub(crate) fn entry(&self, noun: &str) -> Value {
        let entry = json!({"noun": noun, "history_us": self.history_us});
        super::with(entry, &[("since", (!self.keeps_none()).then(|| json!(self.since)))])
    }
}

/// The last LSN up to `head` that was decided at this time or before.
pub(crate) fn latest_at(past: &Past, time: i64, head: u64) -> u64 {
    past.range(..=head).rev().find(|(_, (_, at))| *at <= time).map_or(0, |(lsn, _)| *lsn)
}

impl Moment<'_> {
    /// The LSN and the time that a point of a request stands for.
    pub(super) fn resolve(&self, point: &Value) -> Result<(u64, i64), Code> {
        let head = self.lsn - 1;
        if let Some(lsn) = point.as_u64() {
            return match lsn {
                0 => Ok((0, 0)),
                _ if lsn > head => Err(Code::PointAhead),
                _ if lsn < self.moments_from => Err(Code::HistoryTrimmed),
                _ => Ok((lsn, self.past.get(&lsn).map_or(0, |(_, time)| *time))),
            };
        }
        let time: Timestamp = point.as_str().unwrap_or_default().parse().map_err(|_| Code::InvalidTime)?;
        if time.micros() > self.now {
            return Err(Code::PointAhead);
        }
        match latest_at(self.past, time.micros(), head) {
            lsn if lsn < self.moments_from && self.moments_from > 1 => Err(Code::HistoryTrimmed),
            lsn => Ok((lsn, time.micros())),
        }
    }

    /// The namespace as it was at a point, and the time by which times to live are judged there, for a look at one id.
    pub(super) fn then(&self, point: &Value, noun: usize, id: &str) -> Result<(Namespace, i64), Code> {
        let (lsn, now) = self.resolve(point)?;
        let at = |lsn: u64| {
            let then = self.past.get(&lsn).and_then(|(model, _)| model.namespaces.get(&self.namespace));
            then.cloned().unwrap_or_default()
        };
        super::check_id(id)?;
        // What the batch itself does to it counts from the next one on.
        let retention = &at(self.lsn - 1).retention.0[noun];
        if retention.keeps_none() {
            return Err(Code::NoHistory);
        }
        if lsn < retention.since {
            return Err(Code::HistoryTrimmed);
        }
        Ok((at(lsn), now))
    }
}

impl Namespace {
    /// Says how long the history of a noun is kept; whether that is new.
    pub(super) fn set_history(&mut self, noun: usize, history_us: Option<u64>, moment: &Moment<'_>) -> bool {
        let retention = &mut self.retention.0[noun];
        let before = retention.clone();
        retention.history_us = history_us;
        if retention.keeps_none() != before.keeps_none() {
            retention.since = moment.lsn;
        }
        *retention != before
    }
}
