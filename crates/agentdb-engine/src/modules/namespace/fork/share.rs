//! Sharing the files of blobs: the last thing before a fork is done.

use std::sync::Arc;

use agentdb_types::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Row;
use crate::Table;
use crate::engine::Core;
use crate::key::{Key, NamespaceId};
use crate::modules::{blob, job};
use crate::operation::{About, Request, WriteRequest};
use crate::read::{Page, Read};
use crate::sweep::internal;
use crate::tx::Tx;

/// Files that one step shares.
const FILES: usize = 100;

/// Shares some of the files that a fork still lacks; returns whether it lacked any.
pub(super) fn step(core: &Arc<Core>, source: NamespaceId, fork: &Row) -> Result<bool> {
    let target = NamespaceId(fork.number);
    let lacking = lacking(core, target)?;
    if lacking.is_empty() {
        return Ok(false);
    }
    blob::share(core, source, target, &lacking, || {
        let have = Have { job: fork.job, number: fork.number, blobs: lacking.clone() };
        core.decide_internal(NamespaceId::SYSTEM, have)
    })?;
    Ok(true)
}

fn lacking(core: &Arc<Core>, target: NamespaceId) -> Result<Vec<String>> {
    let system = core.snapshot(NamespaceId::SYSTEM)?;
    let mut addresses = Vec::new();
    system.scan_prefix(&Key::new(target, Table::ForkBlob), Page::Forward, &mut |key, _| {
        addresses.push(key.components().text()?);
        Ok(addresses.len() < FILES)
    })?;
    Ok(addresses)
}

/// Puts the rows of blobs whose files a fork has in their place.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Have {
    job: u64,
    number: u64,
    blobs: Vec<String>,
}

impl Request for Have {
    type Response = ();
    const ABOUT: About = internal("internal.share_blobs");
}

impl WriteRequest for Have {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<()> {
        if !job::is_wanted(tx, self.job)? {
            return Ok(());
        }
        for address in &self.blobs {
            let lacking = Key::new(NamespaceId(self.number), Table::ForkBlob).text(address);
            if let Some(row) = tx.get(&lacking)? {
                tx.put_bookkeeping(lacking.in_table(Table::Blob), row.body.to_vec())?;
                tx.delete_bookkeeping(lacking)?;
            }
        }
        Ok(())
    }
}
