//! Which messages of a session are kept no longer: the oldest ones, by their sequence, which is the order of their times, too.

use agentdb_types::Result;

use super::super::{Tally, load, not_found, row_key as session_key};
use super::{Body, Layers, Rows, delete};
use crate::planted::{self, Bug};
use crate::read::{Page, Read};
use crate::retain::{Found, Policy};
use crate::tx::Tx;
use crate::{Row, row_json};

/// Messages that go, up to `most`, and when the next one may.
fn going(rows: &dyn Read, policy: Policy, number: u64, most: usize) -> Result<(Rows, Option<i64>)> {
    let tally = Tally::load(rows, number)?;
    let kept =
        policy.keep_latest.map_or(u64::MAX, |kept| kept.get() - u64::from(planted::is(Bug::KeptOneTooFew)));
    let too_many = tally.messages.saturating_sub(kept);
    let (mut found, mut next_us) = (Rows::new(), None);
    Layers::of(rows, number, &tally)?.scan(rows, (0, u64::MAX), Page::Forward, &mut |sequence, row| {
        let one_too_many = (found.len() as u64) < too_many;
        let goes = one_too_many || is_over(rows, policy, &row, &mut next_us)?;
        if goes && found.len() < most {
            found.insert(sequence, row);
            return Ok(true);
        }
        Ok(false)
    })?;
    Ok((found, next_us))
}

/// Whether a message is too old, or when it will be.
fn is_over(rows: &dyn Read, policy: Policy, row: &Row, next_us: &mut Option<i64>) -> Result<bool> {
    if policy.max_age_us.is_none() {
        return Ok(false);
    }
    let created = row_json::decode::<Body>(row)?.created;
    *next_us = policy.due(created);
    Ok(policy.is_over(created, rows.now()))
}

/// What may go of a session, which has this number.
pub(crate) fn excess(rows: &dyn Read, policy: Policy, number: u64, most: usize) -> Result<Found> {
    let (going, next_us) = going(rows, policy, number, most)?;
    Ok(Found { rows: going.len(), next_us, skip_to: None })
}

/// Deletes it, up to `most` messages. That is no change of the session: it is neither renewed, nor does it live longer.
pub(crate) fn delete_excess(
    tx: &mut Tx<'_>,
    policy: Policy,
    (session, number): (&str, u64),
    most: usize,
) -> Result<usize> {
    let (going, _) = going(tx, policy, number, most)?;
    if going.is_empty() {
        return Ok(0);
    }
    let row = tx.get(&session_key(tx, session)?)?.ok_or_else(|| not_found(session))?;
    let mut found = load(tx, &row)?;
    for (sequence, row) in &going {
        delete(tx, (session, &mut found), *sequence, row)?;
    }
    found.tally.messages = found.tally.messages.saturating_sub(going.len() as u64);
    if planted::is(Bug::RetentionRenews) {
        found.tally.touch(tx, number)?;
    }
    found.tally.store(tx, number)?;
    Ok(going.len())
}
