//! Letting go of versions that ended longer ago than they are kept, and of moments that nobody can ask for any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use agentdb_types::{Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HistoryNoun, Retention, latest_at, versioned};
use crate::engine::Core;
use crate::key::{Key, NamespaceId};
use crate::modules::namespace::fork_at;
use crate::operation::{About, Request, WriteRequest};
use crate::planted::{self, Bug};
use crate::read::{Page, Read};
use crate::sweep::internal;
use crate::tx::Tx;
use crate::{Snapshot, Table, modules};

/// Rows deleted in one batch.
const BATCH: usize = 500;
/// Rows looked at in one step.
const LOOKED_AT: usize = 10_000;
/// How often the versions of a noun are looked through: so many times in the time for which they are kept, but not more
/// often than every second, nor less often than every ten minutes.
const ROUNDS: u64 = 16;
const PAUSE_US: (u64, u64) = (1_000_000, 600_000_000);

/// Where trimming stands. It is nothing that a restart would have to know.
#[derive(Default)]
pub(crate) struct Trimmer(Mutex<Stands>);

#[derive(Default)]
struct Stands {
    nouns: HashMap<(NamespaceId, HistoryNoun), Stand>,
    /// Whether a round has ended since moments were looked at.
    moments: bool,
}

/// Of one noun of one namespace.
#[derive(Default)]
struct Stand {
    /// Where to go on; the end of a round if `None`.
    next: Option<Key>,
    /// When the next round begins.
    due_us: i64,
}

/// Does a piece of trimming; returns whether there was any.
pub(crate) fn step(core: &Arc<Core>) -> Result<bool> {
    let stands = &mut *core.trimmer.0.lock().unwrap_or_else(PoisonError::into_inner);
    let system = core.snapshot(NamespaceId::SYSTEM)?;
    let namespaces = modules::namespace::all(&system)?;
    stands.nouns.retain(|(namespace, _), _| namespaces.contains(namespace));
    let mut needed = system.lsn();
    for &namespace in namespaces.iter().filter(|n| **n != NamespaceId::SYSTEM) {
        let snapshot = system.in_namespace(namespace);
        for noun in HistoryNoun::ALL {
            let retention = Retention::load(&snapshot, noun)?;
            let Some(cut) = retention.cut(snapshot.now()) else {
                needed = needed.min(retention.since);
                continue;
            };
            let Some(until) = until(&snapshot, retention, cut)? else { continue };
            // What a fork under way starts from stays.
            let until = fork_at(&system, namespace)?.map_or(until, |at| until.min(at));
            needed = needed.min(until);
            let stand = stands.nouns.entry((namespace, noun)).or_default();
            if stand.next.is_none() && snapshot.now().micros() < stand.due_us {
                continue;
            }
            let worked = trim(core, &snapshot, (noun, retention), until, stand)?;
            let ended = stand.next.is_none();
            if ended {
                let pause = (retention.history_us.unwrap_or_default() / ROUNDS).clamp(PAUSE_US.0, PAUSE_US.1);
                stand.due_us = snapshot.now().micros().saturating_add_unsigned(pause);
            }
            stands.moments |= ended;
            if worked {
                return Ok(true);
            }
        }
    }
    if stands.moments {
        stands.moments = trim_moments(core, &system, needed)?;
    }
    Ok(stands.moments)
}

/// The LSN up to which versions that ended may go; `None` if it is not known any more, so that there are none.
fn until(snapshot: &Snapshot, retention: Retention, cut: Timestamp) -> Result<Option<Lsn>> {
    if !retention.keeps() {
        return Ok(Some(retention.since));
    }
    let until = latest_at(snapshot, cut, snapshot.lsn())?;
    Ok(if planted::is(Bug::HistoryCutShort) { until.map(|_| snapshot.lsn()) } else { until })
}

/// Looks through a piece of a noun's versions; returns whether any went, or the round goes on.
fn trim(
    core: &Arc<Core>,
    snapshot: &Snapshot,
    (noun, seen): (HistoryNoun, Retention),
    until: Lsn,
    stand: &mut Stand,
) -> Result<bool> {
    let from = stand.next.take();
    let (mut keys, mut looked_at) = (Vec::new(), 0);
    for table in Table::ALL.iter().filter(|table| HistoryNoun::of(**table) == Some(noun)) {
        let versions = snapshot.key(Table::History).raw(&[*table as u8]);
        let (from, end) = (from.as_ref().unwrap_or(&versions).max(&versions), versions.after_prefix());
        if end.as_ref().is_some_and(|end| end <= from) {
            continue;
        }
        snapshot.scan(from, end.as_ref(), Page::Forward, &mut |key, _| {
            if keys.len() == BATCH || looked_at == LOOKED_AT {
                stand.next = Some(key);
                return Ok(false);
            }
            looked_at += 1;
            if versioned(&key)?.1 <= until {
                keys.push(key.into_bytes());
            }
            Ok(true)
        })?;
        if stand.next.is_some() {
            break;
        }
    }
    let found = !keys.is_empty();
    if found {
        core.submit_internal(snapshot.namespace(), Box::new(Trim { noun, seen, until, keys }))?;
    }
    Ok(found || stand.next.is_some())
}

/// Deletes the moments before the chunk that `needed` is in.
fn trim_moments(core: &Arc<Core>, system: &Snapshot, needed: Lsn) -> Result<bool> {
    let table = system.key(Table::Moment);
    let mut keys = Vec::new();
    system.scan(
        &table,
        Some(&table.clone().u64(needed.0.saturating_add(1))),
        Page::Forward,
        &mut |key, _| {
            keys.push(key.into_bytes());
            Ok(keys.len() <= BATCH)
        },
    )?;
    // The last one is the chunk that is needed, or one of those that the next call looks at.
    keys.pop();
    if keys.is_empty() {
        return Ok(false);
    }
    core.submit_internal(NamespaceId::SYSTEM, Box::new(TrimMoments { keys }))?;
    Ok(true)
}

/// A batch of versions that go.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Trim {
    noun: HistoryNoun,
    /// The retention that was looked at.
    seen: Retention,
    until: Lsn,
    keys: Vec<Vec<u8>>,
}

impl Request for Trim {
    type Response = ();
    const ABOUT: About = internal("internal.trim_history");
}

impl WriteRequest for Trim {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<()> {
        let retention = Retention::load(tx, self.noun)?;
        if retention.history_us != self.seen.history_us {
            // Someone wants to keep them longer by now, or less long.
            return Ok(());
        }
        if fork_at(tx, tx.namespace())?.is_some_and(|at| at < self.until) {
            return Ok(());
        }
        if retention.since < self.until {
            Retention { since: self.until, ..retention }.store(tx, self.noun)?;
        }
        self.keys.iter().try_for_each(|key| tx.delete(Key::from_bytes(key.clone())))
    }

    fn weight(&self) -> usize {
        self.keys.iter().map(|key| 32 + key.len()).sum()
    }
}

/// A batch of chunks of moments that go.
#[derive(Serialize, Deserialize, JsonSchema)]
struct TrimMoments {
    keys: Vec<Vec<u8>>,
}

impl Request for TrimMoments {
    type Response = ();
    const ABOUT: About = internal("internal.trim_moments");
}

impl WriteRequest for TrimMoments {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<()> {
        self.keys.iter().try_for_each(|key| tx.delete(Key::from_bytes(key.clone())))
    }

    fn weight(&self) -> usize {
        self.keys.iter().map(|key| 32 + key.len()).sum()
    }
}
