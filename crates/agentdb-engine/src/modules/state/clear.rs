//! `state.clear`.

use agentdb_types::{Code, Id, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::has_expired;
use crate::Table;
use crate::modules::check_page;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::planted::{self, Bug};
use crate::read::{Page, Read};
use crate::tx::Tx;

/// Values that are deleted at once if the caller does not say, and rows that a call looks at if its limit is smaller.
const LIMIT_DEFAULT: usize = 1_000;
/// Bytes of rows after which a call ends, however many rows they are.
const BYTES: usize = 16 << 20;

/// Deletes an owner's values, or those whose keys start so.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clear {
    /// Whose state.
    pub owner: String,
    /// Only keys that start so.
    #[serde(default)]
    pub prefix: String,
    /// How many at most, up to a page; 1,000 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// The answer to [`Clear`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cleared {
    /// How many values were deleted.
    pub deleted: u64,
    /// Whether the call ended before the last value, so that there may be more for another call.
    pub more: bool,
}

impl Clear {
    /// Deletes everything of an owner, as far as one call goes.
    pub fn new(owner: impl Into<String>) -> Self {
        Clear { owner: owner.into(), ..Self::default() }
    }
}

impl Request for Clear {
    type Response = Cleared;
    const ABOUT: About = About {
        name: "state.clear",
        doc: "Deletes an owner’s values, or those whose keys start with a prefix, up to a limit; `more` tells whether to call again. One call looks at 1,000 rows at most, or as many as a greater limit says, and at about 16 MiB of them: where values have expired it may delete fewer than the limit, even none, and the next call goes on behind them.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "state.write",
        resource: &["owner"],
        sensitive: &[],
        errors: &[Code::PageTooLarge],
    };
}

impl WriteRequest for Clear {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Cleared> {
        Id::check("owner", &self.owner)?;
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        check_page(limit)?;
        let owner = tx.key(Table::State);
        let prefix = if self.prefix.is_empty() && planted::is(Bug::OtherOwnersCleared) {
            owner.text_prefix(&self.owner)
        } else {
            owner.text(&self.owner).text_prefix(&self.prefix)
        };
        let (most, now) = (limit.max(LIMIT_DEFAULT), tx.now());
        let (mut keys, mut expired, mut bytes) = (Vec::new(), Vec::new(), 0);
        let (mut more, mut enough) = (false, false);
        tx.scan_prefix(&prefix, Page::Forward, &mut |key, row| {
            // Everyone who writes waits meanwhile.
            enough = keys.len() + expired.len() == most || bytes >= BYTES;
            if enough {
                return Ok(false);
            }
            bytes += row.body.len();
            if has_expired(&row, now)? {
                expired.push(key);
                return Ok(true);
            }
            more = keys.len() == limit;
            if !more {
                keys.push(key);
            }
            Ok(!more)
        })?;
        let deleted = keys.len() as u64;
        if enough {
            // A value that has expired is absent already, and its row the sweeper's; but rows that stayed would be all
            // that the next call looks at.
            keys.append(&mut expired);
        }
        keys.into_iter().try_for_each(|key| tx.delete(key))?;
        Ok(Cleared { deleted, more: more || enough })
    }
}
