//! Copying a piece of the source.

use agentdb_types::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{key, of_source, translate};
use crate::key::{Key, NamespaceId};
use crate::modules::job;
use crate::operation::{About, Request, WriteRequest};
use crate::read::{Page, Read};
use crate::row_json;
use crate::rows;
use crate::sweep::internal;
use crate::tx::Tx;

/// Rows that one batch looks at: it holds up whoever writes.
const ROWS: usize = 500;

/// Copies the next rows of a source, and moves the cursor. The rows are read where they are decided about: nobody changes one in
/// between.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Copy {
    pub(super) source: u64,
    /// How many bytes at most, and up to one row more.
    pub(super) bytes: usize,
}

impl Request for Copy {
    type Response = ();
    const ABOUT: About = internal("internal.copy_fork");
}

impl WriteRequest for Copy {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<()> {
        let source = NamespaceId(self.source);
        let Some(mut fork) = of_source(tx, source)? else { return Ok(()) };
        let Some(cursor) = fork.cursor(source)? else { return Ok(()) };
        if !job::is_wanted(tx, fork.job)? {
            return Ok(());
        }
        let (rows, next) = piece(tx, source, &cursor, self.bytes)?;
        for (key, row) in rows {
            if row.lsn <= fork.lsn
                && let Some(copy) = translate(key.as_bytes(), NamespaceId(fork.number))?
            {
                tx.put_bookkeeping(copy, row.body.to_vec())?;
                fork.rows += 1;
            }
        }
        fork.set_cursor(source, next.as_ref());
        tx.put_bookkeeping(key(source), row_json::encode(&fork)?)
    }
}

/// Rows with their keys, and the first key behind them.
type Piece = (Vec<(Key, rows::Row)>, Option<Key>);

/// The rows from `cursor` on, and the first key behind them.
fn piece(tx: &Tx<'_>, source: NamespaceId, cursor: &Key, most: usize) -> Result<Piece> {
    let (mut rows, mut bytes, mut next) = (Vec::new(), 0, None);
    let end = Key::namespace(source).after_prefix();
    tx.scan(cursor, end.as_ref(), Page::Forward, &mut |key, row| {
        if rows.len() == ROWS || bytes >= most {
            next = Some(key);
            return Ok(false);
        }
        bytes += row.body.len();
        rows.push((key, row));
        Ok(true)
    })?;
    Ok((rows, next))
}
