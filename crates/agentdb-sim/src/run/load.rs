//! Loads into databases of their own on the same machine, which fail and crash with it and go on afterwards. In the end each row
//! is there once, whether the load gives ids or lets new ones be made.

use std::path::Path;

use agentdb_engine::modules::load::{Load, LoadJob, Row};
use agentdb_engine::modules::{collection, record};
use agentdb_engine::{Engine, NamespaceId, WriteOptions};
use agentdb_types::Code;
use serde_json::json;

use super::{Sim, options};
use crate::check::Check;

/// Rows of a segment.
const SEGMENT: usize = 3;

/// The loads of a run.
#[derive(Default)]
pub(super) struct Loads {
    loading: Option<Loading>,
    /// Databases that were loaded into.
    targets: u64,
}

/// A load that is to be finished whatever happens.
struct Loading {
    rows: u64,
    generate_ids: bool,
    dir: String,
    /// The database and the job; none behind a failure or a crash.
    open: Option<(Engine, LoadJob<'static>)>,
    begun: bool,
}

impl Loading {
    fn row(&self, number: u64) -> Row {
        let mut row = Row::default();
        row.record = (!self.generate_ids).then(|| format!("r{number}"));
        row.vector = (!number.is_multiple_of(4)).then(|| vec![number as f32, 1.0]);
        row.text = Some(format!("row {number}"));
        row.payload = json!({"number": number}).as_object().cloned().unwrap_or_default();
        row
    }
}

impl Sim {
    /// Begins a load, or goes on with it.
    pub(super) fn load(&mut self) -> Check {
        let mut loading = match self.loads.loading.take() {
            Some(loading) => loading,
            None => {
                self.loads.targets += 1;
                let (rows, generate_ids) = (1 + self.dice.below(40), self.dice.chance(1, 2));
                let dir = format!("/loaded/{}", self.loads.targets);
                Loading { rows, generate_ids, dir, open: None, begun: false }
            }
        };
        let went = self.load_some(&mut loading);
        self.say(format!("load into {}: {went:?}", loading.dir));
        match went {
            Ok(false) => self.loads.loading = Some(loading),
            Ok(true) => return self.compare_loaded(&loading),
            // Opened again, it believes the clock.
            Err(err) if err.code() == Code::ClockJump => {
                loading.open = None;
                self.loads.loading = Some(loading);
            }
            Err(err) => {
                loading.open = None;
                self.loads.loading = Some(loading);
                return self.excuse("a load", &err);
            }
        }
        Ok(())
    }

    /// The process ends: what is under way goes on from what is on the disk.
    pub(super) fn leave_loads(&mut self) {
        if let Some(loading) = &mut self.loads.loading {
            loading.open = None;
        }
    }

    /// Loads some segments; tells whether all is done.
    fn load_some(&mut self, loading: &mut Loading) -> agentdb_types::Result<bool> {
        if loading.open.is_none() {
            let engine = Engine::open(&self.world.env(), Path::new(&loading.dir), options())?;
            let load = Load { create: true, generate_ids: loading.generate_ids, ..Load::new("docs") };
            let rows: Vec<_> = (0..loading.rows).map(|number| Ok(loading.row(number))).collect();
            let rows = Box::new(rows.into_iter());
            let job =
                engine.begin_load(NamespaceId::DEFAULT, &load, "rows", rows, WriteOptions::default())?;
            self.report.count("loads begun again", u64::from(loading.begun));
            loading.begun = true;
            loading.open = Some((engine, job.segment_rows(SEGMENT)));
        }
        let Some((_, job)) = &mut loading.open else { return Ok(false) };
        for _ in 0..1 + self.dice.below(3) {
            self.report.count("steps of loads", 1);
            if let Some(loaded) = job.step()? {
                self.report.count("loads", 1);
                self.report.count("loads that went on", u64::from(loaded.resumed_behind.is_some()));
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Each row is there, once, with its vector.
    fn compare_loaded(&mut self, loading: &Loading) -> Check {
        let Some((engine, _)) = &loading.open else { return Ok(()) };
        let list = record::List {
            collection: "docs".to_owned(),
            filter: None,
            limit: Some(1_000),
            cursor: None,
            reverse: false,
            include_vector: true,
            fields: None,
            omit_text: false,
        };
        let get = collection::Get { collection: "docs".to_owned() };
        let found = engine.snapshot(NamespaceId::DEFAULT).and_then(|snapshot| {
            Ok((engine.read(&snapshot, list)?.items, engine.read(&snapshot, get)?.records))
        });
        let (mut found, records) = match found {
            Ok(found) => found,
            Err(err) => return self.excuse("reading what was loaded", &err),
        };
        found.sort_by_key(|entry| entry.payload["number"].as_u64());
        if (found.len() as u64, records) != (loading.rows, loading.rows) {
            return Err(format!(
                "a load of {} rows left {} records, counted as {records}",
                loading.rows,
                found.len()
            ));
        }
        for (number, entry) in (0..).zip(&found) {
            let row = loading.row(number);
            let is_same =
                entry.payload == row.payload && entry.vector == row.vector && entry.text == row.text;
            if !is_same || row.record.is_some_and(|id| id != entry.record) {
                return Err(format!("row {number} of a load is {entry:?}"));
            }
        }
        self.report.count("loaded rows", loading.rows);
        match engine.verify(&mut |_| {}) {
            Ok(report) if report.problems.is_empty() => Ok(()),
            Ok(report) => Err(format!("verifying a load found {:?}", report.problems)),
            Err(err) => self.excuse("verifying a load", &err),
        }
    }
}
