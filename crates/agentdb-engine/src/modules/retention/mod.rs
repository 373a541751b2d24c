//! Retention: how long things of a noun are kept in a namespace, how many of them, and how long their history.

mod list;
mod set;
pub(crate) mod transfer;

use std::num::NonZeroU64;

use agentdb_types::{Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use list::{List, Listed};
pub use set::Set;
pub use transfer::RetentionLine;

pub use crate::retain::Noun;

use crate::history::Retention;
use crate::modules::given;
use crate::operation::Operation;
use crate::read::Read;
use crate::retain::Policy;

pub(super) fn operations() -> Vec<Operation> {
    vec![Operation::read::<List>(), Operation::write::<Set>()]
}

/// The retention of a noun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The noun.
    pub noun: Noun,
    /// Microseconds for which a version is kept after it was replaced or deleted; 0: none is; null: all are. Absent if the
    /// noun has no history.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub history_us: Option<Option<u64>>,
    /// The earliest LSN as of which the noun can be read; absent if none but the present can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Lsn>,
    /// Microseconds for which a thing is kept after it was last written; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_us: Option<NonZeroU64>,
    /// How many of the newest are kept; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_latest: Option<NonZeroU64>,
}

impl Entry {
    fn load(rows: &dyn Read, noun: Noun) -> Result<Self> {
        let history = noun.history().map(|noun| Retention::load(rows, noun)).transpose()?;
        let Policy { max_age_us, keep_latest } = Policy::load(rows, noun)?;
        Ok(Entry {
            noun,
            history_us: history.map(|kept| kept.history_us),
            since: history.and_then(Retention::readable_from),
            max_age_us,
            keep_latest,
        })
    }
}
