//! The steps of a fork's job.

use std::sync::Arc;

use agentdb_types::{Code, Error, Result};

use super::copy::Copy;
use super::finish::Finish;
use super::{of_job, of_source, past, share};
use crate::engine::Core;
use crate::key::NamespaceId;
use crate::modules::job::Step;
use crate::operation::decode;

/// A fork under way. What is done of it lies in the rows: this holds nothing that a crash could lose.
pub(crate) struct Forking {
    source: NamespaceId,
    /// The name of the source when it was begun.
    of: String,
    rows: u64,
}

impl Forking {
    pub(crate) fn begin(core: &Arc<Core>, job: u64, request: &serde_json::Value) -> Result<Self> {
        let system = core.snapshot(NamespaceId::SYSTEM)?;
        let (source, fork) = of_job(&system, job)?.ok_or_else(missing)?;
        let request: super::Fork = decode(request.clone())?;
        Ok(Forking { source, of: request.name, rows: fork.rows })
    }

    pub(crate) fn step(&mut self, core: &Arc<Core>) -> Result<Step> {
        core.check_room()?;
        let fork = of_source(&core.snapshot(NamespaceId::SYSTEM)?, self.source)?.ok_or_else(missing)?;
        self.rows = fork.rows;
        let source = self.source.number();
        if fork.cursor.is_some() && fork.past {
            past::step(core, self.source, &fork)?;
        } else if fork.cursor.is_some() {
            core.decide_internal(NamespaceId::SYSTEM, Copy { source, bytes: core.options.rows.step_bytes })?;
        } else if !share::step(core, self.source, &fork)? {
            core.decide_internal(NamespaceId::SYSTEM, Finish { source, of: self.of.clone() })?;
        }
        Ok(Step::Worked)
    }

    /// Rows copied; how many there are is not known.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.rows, 0)
    }
}

fn missing() -> Error {
    Error::new(Code::RowsCorrupt).with("reason", "the row of a fork under way is missing")
}
