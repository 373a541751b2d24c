//! The last batch of a fork.

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Head, head, key as name_key};
use super::{Forked, Row, forget, of_source, rows_aside};
use crate::history::{HistoryNoun, Retention};
use crate::key::{Key, NamespaceId};
use crate::modules::job;
use crate::operation::{About, Request, WriteRequest, encode_json};
use crate::read::Read;
use crate::sweep::internal;
use crate::tx::Tx;
use crate::{Table, row_json};

/// Lists a fork under its name and ends its job.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Finish {
    pub(super) source: u64,
    /// The name of the source when the fork was begun.
    pub(super) of: String,
}

impl Request for Finish {
    type Response = ();
    const ABOUT: About = internal("internal.finish_fork");
}

impl WriteRequest for Finish {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<()> {
        let source = NamespaceId(self.source);
        let Some(fork) = of_source(tx, source)? else { return Ok(()) };
        if !job::is_wanted(tx, fork.job)? {
            return Ok(());
        }
        if head(tx, &fork.name)?.is_some() {
            return Err(Error::new(Code::NamespaceExists).with("name", &fork.name));
        }
        let target = NamespaceId(fork.number);
        let aside = tx.add(rows_aside(target), 0)?.unsigned_abs();
        let forked = Forked { number: fork.number, lsn: fork.lsn, rows: fork.rows + aside };
        forget(tx, source, target)?;
        begin_histories(tx, target)?;
        remember_origin(tx, source, &fork)?;
        let description = format!("fork of {} as of LSN {}", self.of, fork.lsn);
        let head = Head { number: fork.number, created: tx.now(), description };
        tx.put_bookkeeping(name_key(&fork.name), row_json::encode(&head)?)?;
        job::complete(tx, fork.job, forked.rows, encode_json(&forked)?)
    }
}

/// The rows got their versions while they were copied: before this batch nothing can be told of them.
fn begin_histories(tx: &mut Tx<'_>, target: NamespaceId) -> Result<()> {
    for noun in HistoryNoun::ALL {
        let key = Retention::key(target, noun);
        let retention = Retention { since: tx.lsn(), ..Retention::decode(noun, tx.get(&key)?.as_ref())? };
        tx.put_bookkeeping(key, row_json::encode(&retention)?)?;
    }
    Ok(())
}

/// The version of this row tells when the fork was completed.
fn remember_origin(tx: &mut Tx<'_>, source: NamespaceId, fork: &Row) -> Result<()> {
    let key = Key::new(NamespaceId(fork.number), Table::Fork).u64(source.number());
    tx.put_bookkeeping(key, row_json::encode(fork)?)
}
