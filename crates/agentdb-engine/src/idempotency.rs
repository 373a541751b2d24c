//! Retried is once: the outcome of a write with an idempotency key is a row of the same batch, kept for a stated time.

use agentdb_types::{Code, Error, Id, Lsn, Result, limits};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Table;
use crate::completion::Outcome;
use crate::key::Key;
use crate::operation::AnyResponse;
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::request::QueuedWrite;
use crate::row_json;
use crate::sweep;
use crate::tx::Tx;

#[derive(Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// BLAKE3 of the operations and their requests.
    request: String,
    lsn: Lsn,
    responses: Vec<Value>,
    expires_us: i64,
}

fn key(tx: &Tx<'_>, write: &QueuedWrite) -> Result<Option<(Key, String)>> {
    let Some(text) = &write.options.idempotency_key else { return Ok(None) };
    Id::check("idempotency_key", text)?;
    if let Some(once) = write.writes.iter().find(|request| !request.repeatable()) {
        return Err(Error::new(Code::NotRepeatable).with("operation", once.name()));
    }
    Ok(Some((tx.key(Table::Idempotency).text(text), text.clone())))
}

fn fingerprint(write: &QueuedWrite) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    for request in &write.writes {
        let bytes = request.fingerprint()?;
        hasher.update(request.name().as_bytes());
        hasher.update(&[0]);
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(&bytes);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// The outcome of the same request under the same key, if it is still kept.
pub(crate) fn recall(tx: &Tx<'_>, write: &QueuedWrite) -> Result<Option<Outcome>> {
    let Some((key, text)) = key(tx, write)? else { return Ok(None) };
    let Some(row) = tx.get(&key)? else { return Ok(None) };
    let remembered: Remembered = row_json::decode(&row)?;
    if planted::is(Bug::RetryDoneTwice) {
        return Ok(None);
    }
    if remembered.expires_us <= tx.now().micros() {
        return Ok(None);
    }
    if remembered.request != fingerprint(write)? {
        return Err(Error::new(Code::IdempotencyConflict).with("key", text));
    }
    let responses = write.writes.iter().zip(remembered.responses).map(|(w, r)| w.revive(r));
    Ok(Some(Outcome { lsn: remembered.lsn, responses: responses.collect::<Result<_>>()? }))
}

/// Keeps the outcome of a request that was just decided.
pub(crate) fn remember(tx: &mut Tx<'_>, write: &QueuedWrite, responses: &[AnyResponse]) -> Result<()> {
    let Some((key, _)) = key(tx, write)? else { return Ok(()) };
    let expires = tx.now().after(limits::IDEMPOTENCY_KEPT_US)?;
    let remembered = Remembered {
        request: fingerprint(write)?,
        lsn: tx.lsn(),
        responses: responses.iter().map(AnyResponse::json).collect::<Result<_>>()?,
        expires_us: expires.micros(),
    };
    sweep::schedule(tx, expires, &key)?;
    // The responses may repeat what the subject wrote: content.
    tx.put_outcome(key, row_json::encode(&remembered)?)
}

/// Deletes an outcome whose time has passed.
pub(crate) fn expire(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    let Some(row) = tx.get(key)? else { return Ok(()) };
    if row_json::decode::<Remembered>(&row)?.expires_us <= tx.now().micros() {
        tx.delete(key.clone())?;
    }
    Ok(())
}
