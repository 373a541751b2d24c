//! Exports while everything else goes on, compared with the model; imports of them into other databases on the same
//! machine, which fail and crash with it, go on afterwards, and must hold the same in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::Path;

use agentdb_engine::modules::transfer::{Export, ExportJob, Import, ImportJob};
use agentdb_engine::{Engine, WriteOptions};
use agentdb_types::Code;
use serde_json::Value;

use super::{Sim, options};
use crate::check::Check;
use crate::model::Namespace;

/// Rows that an import commits together.
const BATCH: usize = 6;

/// The exports and imports of a run.
#[derive(Default)]
pub(super) struct Transfers {
    exporting: Option<Exporting>,
    importing: Option<Importing>,
    /// Databases that were imported into.
    targets: u64,
}

/// An export under way, and what it must show.
struct Exporting {
    job: ExportJob,
    lines: Vec<u8>,
    model: Namespace,
    now: i64,
}

/// An import that is to be finished whatever happens.
struct Importing {
    lines: Vec<u8>,
    dir: String,
    /// The database and the job; none behind a failure or a crash.
    open: Option<(Engine, ImportJob<'static>)>,
    begun: bool,
}

impl Sim {
    /// Begins an export, or goes on with it, or with the import of what was exported.
    pub(super) fn transfer(&mut self) -> Check {
        if self.transfers.exporting.is_some() {
            return self.go_on_with_export();
        }
        if self.transfers.importing.is_some() && self.dice.chance(3, 4) {
            return self.go_on_with_import();
        }
        self.begin_export()
    }

    /// The process ends: what is under way goes on from what is on the disk.
    pub(super) fn leave_transfers(&mut self) {
        self.transfers.exporting = None;
        if let Some(importing) = &mut self.transfers.importing {
            importing.open = None;
        }
    }

    fn begin_export(&mut self) -> Check {
        let engine = self.engine()?;
        self.advance()?;
        let model = self.visible_model(engine.lsn().0)?.clone();
        let name = match self.dice.below(3) {
            0 => model.names.keys().next().cloned(),
            _ => None,
        };
        let number = name.as_ref().map_or(1, |name| model.names[name]);
        let export = Export { name: name.unwrap_or_else(|| "default".to_owned()), versions: false };
        match engine.begin_export(&export) {
            Ok(job) => {
                let (model, now) = (model.namespaces[&number].clone(), self.log_time);
                let job = job.check_every(BATCH);
                self.transfers.exporting = Some(Exporting { job, lines: Vec::new(), model, now });
                Ok(())
            }
            Err(err) => self.excuse("beginning an export", &err),
        }
    }

    fn go_on_with_export(&mut self) -> Check {
        let Some(mut exporting) = self.transfers.exporting.take() else { return Ok(()) };
        match exporting.job.next_piece() {
            Ok(Some(piece)) => {
                exporting.lines.extend(piece);
                self.transfers.exporting = Some(exporting);
                Ok(())
            }
            Ok(None) => {
                self.report.count("exports", 1);
                let lines = parse(&exporting.lines)?;
                compare(&lines, &exporting.model, exporting.now)?;
                if self.transfers.importing.is_none() {
                    self.transfers.targets += 1;
                    let dir = format!("/imported/{}", self.transfers.targets);
                    let lines = exporting.lines;
                    self.transfers.importing = Some(Importing { lines, dir, open: None, begun: false });
                }
                Ok(())
            }
            // It was deleted more than an hour ago, or its whole namespace was.
            Err(err) if matches!(err.code(), Code::BlobNotFound | Code::NamespaceNotFound) => {
                self.report.count("exports without a blob", 1);
                Ok(())
            }
            Err(err) => self.excuse("an export", &err),
        }
    }

    fn go_on_with_import(&mut self) -> Check {
        let Some(mut importing) = self.transfers.importing.take() else { return Ok(()) };
        let went = self.import_some(&mut importing);
        self.say(format!("import into {}: {went:?}", importing.dir));
        match went {
            Ok(false) => self.transfers.importing = Some(importing),
            Ok(true) => return self.compare_imported(&importing),
            // Opened again, it believes the clock.
            Err(err) if err.code() == Code::ClockJump => {
                importing.open = None;
                self.transfers.importing = Some(importing);
            }
            Err(err) => {
                importing.open = None;
                self.transfers.importing = Some(importing);
                return self.excuse("an import", &err);
            }
        }
        Ok(())
    }

    /// Imports some batches; tells whether all is done.
    fn import_some(&mut self, importing: &mut Importing) -> agentdb_types::Result<bool> {
        if importing.open.is_none() {
            let engine = Engine::open(&self.world.env(), Path::new(&importing.dir), options())?;
            let import = Import { name: "default".to_owned(), ..Import::default() };
            let source = Box::new(Cursor::new(importing.lines.clone()));
            let job = engine.begin_import(&import, source, WriteOptions::default())?;
            self.report.count("imports begun again", u64::from(importing.begun));
            importing.begun = true;
            importing.open = Some((engine, job));
        }
        let Some((_, job)) = &mut importing.open else { return Ok(false) };
        for _ in 0..1 + self.dice.below(3) {
            self.report.count("steps of imports", 1);
            if let Some(imported) = job.step()? {
                self.report.count("imports", 1);
                let had_ended = imported.resumed_behind == Some(imported.lines);
                self.report.count("imports that had ended", u64::from(had_ended));
                self.report.count("imports that went on", u64::from(imported.resumed_behind.is_some()));
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What was imported is what was exported.
    fn compare_imported(&mut self, importing: &Importing) -> Check {
        let Some((engine, _)) = &importing.open else { return Ok(()) };
        let export = Export { name: "default".to_owned(), versions: false };
        let pieces = engine.begin_export(&export).and_then(|job| job.collect::<Result<Vec<_>, _>>());
        let found = match pieces {
            Ok(pieces) => lasting(parse(&pieces.concat())?),
            Err(err) => return self.excuse("an export of an import", &err),
        };
        let expected = lasting(parse(&importing.lines)?);
        if found != expected {
            let (more, less): (Vec<_>, Vec<_>) = (
                found.iter().filter(|line| !expected.contains(line)).collect(),
                expected.iter().filter(|line| !found.contains(line)).collect(),
            );
            return Err(format!("an import holds {more:?}, and not {less:?} ({} lines)", found.len()));
        }
        self.report.count("imported lines", found.len() as u64);
        match engine.verify(&mut |_| {}) {
            Ok(report) if report.problems.is_empty() => Ok(()),
            Ok(report) => Err(format!("verifying an import found {:?}", report.problems)),
            Err(err) => self.excuse("verifying an import", &err),
        }
    }
}

fn parse(lines: &[u8]) -> Check<Vec<Value>> {
    let lines = lines.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|e| format!("a line of an export: {e}"))).collect()
}

fn is(line: &Value, nouns: &[&str]) -> bool {
    nouns.iter().any(|noun| line["noun"] == *noun)
}

/// The lines of nouns that do not change as time passes.
fn lasting(lines: Vec<Value>) -> Vec<Value> {
    let mut passing = None;
    let of = |line: &Value, collection: &str, record: &str| format!("{} {}", line[collection], line[record]);
    let mut expiring = BTreeSet::new();
    let mut keep = |line: &mut Value| {
        if is(line, &["session"]) {
            passing = line.get("ttl_us").map(|_| line["session"].clone());
        }
        // A claim becomes unknown.
        if line.get("lease_end").is_some() {
            line["state"] = Value::Null;
        }
        let ends = ["expires", "ttl_us", "keep_us"].iter().any(|field| line.get(*field).is_some());
        if ends && is(line, &["record"]) {
            expiring.insert(of(line, "collection", "record"));
        }
        let linked = || [of(line, "collection", "record"), of(line, "to_collection", "to")];
        let ends = ends || is(line, &["link"]) && linked().iter().any(|record| expiring.contains(record));
        let ends = ends || is(line, &["message"]) && passing.as_ref() == Some(&line["session"]);
        !ends && !is(line, &["export", "check", "end"])
    };
    lines.into_iter().filter_map(|mut line| keep(&mut line).then_some(line)).collect()
}

/// Compares an export with the model: how many there are of each noun, and what those say that are compared alike
/// everywhere.
fn compare(lines: &[Value], model: &Namespace, now: i64) -> Check {
    let mut found = BTreeMap::<&str, u64>::new();
    for line in lines.iter().filter(|line| !is(line, &["export", "check", "end", "blob_bytes", "retention"]))
    {
        *found.entry(line["noun"].as_str().unwrap_or_default()).or_default() += 1;
    }
    let expected = counts(model, now);
    if found != expected {
        return Err(format!("an export has {found:?}, not {expected:?}"));
    }
    for (noun, entries) in entries(model, now) {
        let shown: Vec<&Value> = lines.iter().filter(|line| is(line, &[noun])).collect();
        for (line, entry) in shown.iter().zip(&entries) {
            // Messages are exported with each session that has them.
            let fields = entry.as_object().into_iter().flatten().filter(|(field, _)| *field != "base");
            if let Some((field, value)) =
                fields.clone().find(|(field, value)| line[field.as_str()] != **value)
            {
                return Err(format!("an export shows {line}, with {field} not {value}"));
            }
        }
    }
    Ok(())
}

fn counts(model: &Namespace, now: i64) -> BTreeMap<&'static str, u64> {
    let threads = || model.threads.values();
    let counts = [
        ("state", model.states.values().filter(|state| state.live(now)).count()),
        ("session", model.live_sessions(now).count()),
        ("message", model.live_sessions(now).map(|(_, session)| session.messages.len()).sum()),
        ("blob", model.blobs.len()),
        ("collection", model.collections.len()),
        ("record", model.collections.values().map(|collection| collection.live(now).count()).sum()),
        ("link", model.links_among(&model.live_nodes(now)).count()),
        ("thread", model.threads.len()),
        ("channel_value", threads().map(|thread| thread.versions.len()).sum()),
        ("checkpoint", threads().map(|thread| thread.checkpoints.len()).sum()),
        ("checkpoint_write", threads().flat_map(|thread| thread.writes.values()).map(BTreeMap::len).sum()),
        ("item", model.items.values().filter(|item| item.live(now)).count()),
        ("item_index", usize::from(model.item_index.is_some())),
        ("tool_call", model.live_calls(now).count()),
    ];
    counts.into_iter().filter(|(_, count)| *count > 0).map(|(noun, count)| (noun, count as u64)).collect()
}

/// What the model says of nouns, in the order of the lines; without what an export leaves out.
fn entries(model: &Namespace, now: i64) -> Vec<(&'static str, Vec<Value>)> {
    let without = |mut entry: Value, fields: &[&str]| {
        if let Some(entry) = entry.as_object_mut() {
            fields.iter().chain(&["version"]).for_each(|field| drop(entry.remove(*field)));
        }
        entry
    };
    let states = model.states.iter().filter(|(_, state)| state.live(now));
    let messages = model.live_sessions(now).flat_map(|(_, session)| &session.messages);
    vec![
        ("state", states.map(|((_, key), state)| without(state.entry(key), &[])).collect()),
        (
            "session",
            model.live_sessions(now).map(|(id, s)| without(s.entry(id), &["expires", "messages"])).collect(),
        ),
        ("message", messages.map(|(sequence, m)| without(m.entry(*sequence), &[])).collect()),
        (
            "tool_call",
            model
                .live_calls(now)
                .map(|(place, c)| without(c.entry(place, now), &["epoch", "expires"]))
                .collect(),
        ),
    ]
}
