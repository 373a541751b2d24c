//! Retention, as lines of an export.

use std::num::NonZeroU64;

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Noun, Set};
use crate::history::{HistoryNoun, Retention};
use crate::key::Key;
use crate::modules::given;
use crate::modules::transfer::{Existing, Fate};
use crate::operation::WriteRequest;
use crate::retain::Policy;
use crate::tx::Tx;
use crate::{Row, row_json};

/// How long the history of a noun is kept in the namespace, or its things themselves. History itself is not exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionLine {
    /// Whose.
    pub of: Noun,
    /// Microseconds for which a version is kept after it ended; 0: none is; null: all are.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub history_us: Option<Option<u64>>,
    /// Microseconds for which a thing is kept after it was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_us: Option<NonZeroU64>,
    /// How many of the newest are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_latest: Option<NonZeroU64>,
}

fn unknown() -> Error {
    Error::new(Code::RowsCorrupt).with("reason", "the retention of an unknown noun")
}

/// The line of a row that tells how long history is kept, unless it says what holds where nothing is said.
pub(crate) fn export(key: &Key, row: &Row) -> Result<Option<RetentionLine>> {
    let noun = HistoryNoun::named(&key.components().text()?).ok_or_else(unknown)?;
    let history_us = Retention::decode(noun, Some(row))?.history_us;
    let line =
        RetentionLine { of: noun.into(), history_us: Some(history_us), max_age_us: None, keep_latest: None };
    Ok(Some(line).filter(|_| history_us != Retention::unsaid(noun).history_us))
}

/// The line of a row that tells how long things are kept, and how many.
pub(crate) fn export_policy(key: &Key, row: &Row) -> Result<RetentionLine> {
    let name = key.components().text()?;
    let of = Noun::ALL.into_iter().find(|noun| noun.name() == name).ok_or_else(unknown)?;
    let Policy { max_age_us, keep_latest } = row_json::decode(row)?;
    Ok(RetentionLine { of, history_us: None, max_age_us, keep_latest })
}

/// Sets what a line says. One that says what holds already is never refused.
pub(crate) fn import(tx: &mut Tx<'_>, line: &RetentionLine, existing: Existing) -> Result<Fate> {
    let RetentionLine { of, history_us, max_age_us, keep_latest } = *line;
    let given = Policy { max_age_us, keep_latest };
    let (mut holds, mut there) = (true, false);
    if let Some(history_us) = history_us {
        let noun = of.history().ok_or_else(|| of.refuse("history_us"))?;
        let before = Retention::load(tx, noun)?.history_us;
        holds &= before == history_us;
        there |= before != history_us && before != Retention::unsaid(noun).history_us;
    }
    if given != Policy::default() || history_us.is_none() {
        let before = Policy::load(tx, of)?;
        holds &= before == given;
        there |= before != given && before != Policy::default();
    }
    if holds {
        return Ok(Fate::Skipped);
    }
    let fate = existing.fate(there, || format!("another retention of {}", of.name()))?;
    if fate.stores() {
        let mut set = Set { history_us, ..Set::new(of) };
        if given != Policy::default() {
            (set.max_age_us, set.keep_latest) = (Some(max_age_us), keep_latest.map(Some));
        }
        set.decide(tx)?;
    }
    Ok(fate)
}
