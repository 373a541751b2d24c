//! Looking for what goes, a piece at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use agentdb_types::Result;

use super::batch::{BATCH, Retain};
use super::changed::{Changed, Part};
use super::{Found, Noun, Policy};
use crate::engine::Core;
use crate::key::{Key, NamespaceId};
use crate::read::{Page, Read};
use crate::{Row, Snapshot, modules};

/// Keys looked at in one step.
const LOOKED_AT: usize = 10_000;

/// Where retention stands. It is nothing that a restart would have to know: rounds begin anew then.
#[derive(Default)]
pub(crate) struct Retainer {
    pub(crate) changed: Changed,
    stands: Mutex<Stands>,
}

#[derive(Default)]
struct Stands {
    nouns: BTreeMap<(NamespaceId, Noun), Stand>,
    /// Parts that changed and are still to be looked at.
    parts: BTreeSet<Part>,
}

/// Of one noun of one namespace.
#[derive(Default)]
struct Stand {
    policy: Policy,
    /// Where the round goes on; `None` between rounds.
    next: Option<Key>,
    /// When something may go that has not been looked at for it: the next round begins then.
    due_us: i64,
}

impl Retainer {
    /// Finds out whether there is any policy. If that cannot be read, there may be.
    pub(crate) fn load(&self, system: &Snapshot) {
        let any = || -> Result<bool> {
            for namespace in modules::namespace::all(system)? {
                if !Policy::all(&system.in_namespace(namespace))?.is_empty() {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        if any().unwrap_or(true) {
            self.changed.begin();
        }
    }
}

#[cfg(test)]
impl Retainer {
    /// When the next round through each noun begins.
    pub(super) fn stands(&self) -> Vec<(Noun, i64)> {
        let stands = self.stands.lock().unwrap_or_else(PoisonError::into_inner);
        stands.nouns.iter().map(|((_, noun), stand)| (*noun, stand.due_us)).collect()
    }
}

/// Does a piece of retention; returns whether there was any.
pub(crate) fn step(core: &Arc<Core>) -> Result<bool> {
    let stands = &mut *core.retainer.stands.lock().unwrap_or_else(PoisonError::into_inner);
    let system = core.snapshot(NamespaceId::SYSTEM)?;
    stands.learn(&core.retainer.changed, &system);
    let mut policies = BTreeMap::new();
    for namespace in modules::namespace::all(&system)? {
        let snapshot = system.in_namespace(namespace);
        policies
            .extend(Policy::all(&snapshot)?.into_iter().map(|(noun, policy)| ((namespace, noun), policy)));
    }
    stands.nouns.retain(|of, _| policies.contains_key(of));
    stands.parts.retain(|(namespace, noun, _)| policies.contains_key(&(*namespace, *noun)));
    for ((namespace, noun), policy) in policies {
        let look = Look { core, snapshot: &system.in_namespace(namespace), noun, policy };
        let stand = stands.nouns.entry((namespace, noun)).or_default();
        if stand.policy != policy {
            *stand = Stand { policy, ..Stand::default() };
        }
        match look.at_parts(&mut stands.parts, stand).and_then(|worked| Ok(worked || look.in_round(stand)?)) {
            Ok(false) => {}
            Ok(true) => return Ok(true),
            Err(err) => {
                // What was found and did not go is found again.
                *stand = Stand { policy, ..Stand::default() };
                return Err(err);
            }
        }
    }
    Ok(false)
}

impl Stands {
    /// Takes over what changed up to what the snapshot shows.
    fn learn(&mut self, changed: &Changed, snapshot: &Snapshot) {
        let (parts, all) = changed.take(snapshot.lsn());
        self.parts.extend(parts);
        if all {
            for (_, stand) in self.nouns.iter_mut().filter(|((_, noun), _)| noun.is_part()) {
                *stand = Stand { policy: stand.policy, ..Stand::default() };
            }
        }
    }
}

/// A look at a noun of a namespace.
struct Look<'a> {
    core: &'a Arc<Core>,
    snapshot: &'a Snapshot,
    noun: Noun,
    policy: Policy,
}

/// What a look found that goes.
#[derive(Default)]
struct Going {
    keys: Vec<Key>,
    rows: usize,
    looked_at: usize,
}

impl Going {
    fn is_full(&self) -> bool {
        self.rows >= BATCH || self.looked_at >= LOOKED_AT
    }
}

impl Look<'_> {
    /// Looks at some of the parts that changed; returns whether anything goes there.
    fn at_parts(&self, parts: &mut BTreeSet<Part>, stand: &mut Stand) -> Result<bool> {
        let namespace = self.snapshot.namespace();
        let mut going = Going::default();
        let of_noun = (namespace, self.noun, 0)..=(namespace, self.noun, u64::MAX);
        for part in parts.range(of_noun).copied().collect::<Vec<_>>() {
            if going.is_full() {
                break;
            }
            let key = self.noun.part_key(self.snapshot, part.2);
            let found = match self.snapshot.get(&key)? {
                Some(row) => self.at(&key, &row, &mut going)?,
                None => Found::default(),
            };
            stand.due_us = stand.due_us.min(found.next_us.unwrap_or(i64::MAX));
            // Where something goes, there may be more.
            if found.rows == 0 {
                parts.remove(&part);
            }
        }
        self.submit(going)
    }

    /// Goes on with the round, or begins one if it is time; returns whether there was anything to do.
    fn in_round(&self, stand: &mut Stand) -> Result<bool> {
        let now = self.snapshot.now();
        let (start, end) = self.noun.range(self.snapshot);
        let mut from = match stand.next.take() {
            Some(next) => next,
            None if stand.due_us > now.micros() => return Ok(false),
            None => {
                // What is written from now on is not due before that.
                stand.due_us = self.policy.due(now).unwrap_or(i64::MAX);
                start
            }
        };
        let mut going = Going::default();
        loop {
            let mut skip_to = None;
            self.snapshot.scan(&from, end.as_ref(), Page::Forward, &mut |key, row| {
                if going.is_full() {
                    stand.next = Some(key);
                    return Ok(false);
                }
                let found = self.at(&key, &row, &mut going)?;
                stand.due_us = stand.due_us.min(found.next_us.unwrap_or(i64::MAX));
                skip_to = found.skip_to;
                Ok(skip_to.is_none())
            })?;
            match skip_to {
                Some(next) => from = next,
                None => break,
            }
        }
        if self.noun.is_part() {
            // Looked at again, until nothing goes there.
            stand.next = going.keys.first().cloned().or(stand.next.take());
        }
        if stand.next.is_none() {
            stand.due_us = stand.due_us.max(now.micros().saturating_add_unsigned(self.policy.pause_us()));
        }
        Ok(self.submit(going)? || stand.next.is_some())
    }

    /// Looks at a key.
    fn at(&self, key: &Key, row: &Row, going: &mut Going) -> Result<Found> {
        going.looked_at += 1;
        let found = self.noun.look(self.snapshot, self.policy, key, row, BATCH)?;
        if found.rows > 0 {
            going.rows += found.rows;
            going.keys.push(key.clone());
        }
        Ok(found)
    }

    fn submit(&self, going: Going) -> Result<bool> {
        if going.keys.is_empty() {
            return Ok(false);
        }
        let keys = going.keys.into_iter().map(Key::into_bytes).collect();
        self.core.submit_internal(self.snapshot.namespace(), Box::new(Retain { noun: self.noun, keys }))?;
        Ok(true)
    }
}
