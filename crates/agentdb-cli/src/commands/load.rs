//! `agentdb collection load`.

use std::path::Path;

use agentdb::modules::collection::Get;
use agentdb::modules::job::Kind;
use agentdb::modules::load::{Load, Progress};
use agentdb::{LoadSource, Result, Value, decode, rows_of};
use indicatif::ProgressBar;

use super::transfer::progress_bar;
use crate::context::Context;
use crate::{arguments, output};

/// Loads a file, or standard input.
pub(super) fn run(context: &Context, request: Value, path: &str) -> Result<()> {
    let load: Load = decode(request)?;
    context.refuse_one_key()?;
    let source = match path {
        "-" => LoadSource::stream("-", std::io::stdin().lock()),
        path => {
            let path = Path::new(path);
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
            LoadSource::opened(name, arguments::open(path)?)?
        }
    };
    keep_readers_quiet();
    let db = context.open(load.create)?;
    let (engine, namespace) = (db.engine(), context.namespace(&db)?);
    // Whatever the rows bring, the collection says whether texts of theirs are encoded.
    let encodes =
        namespace.read(Get { collection: load.collection.clone() }).is_ok_and(|c| c.encoder.is_some());
    if encodes {
        super::search::load_encoder(&db)?;
    }
    let (total, namespace) = (source.total(), namespace.id());
    let bar = progress_bar("loading", "rows", total);
    let loaded = engine.journaled(Kind::Load, Some(namespace), &load, |journal| {
        let (name, rows) = rows_of(&load, source)?;
        let mut job = engine.begin_load(namespace, &load, &name, rows, context.options.clone())?;
        loop {
            let loaded = job.step()?;
            show(&bar, job.progress());
            if let Some(loaded) = loaded {
                journal.has_done(job.progress().bytes);
                return Ok(loaded);
            }
            journal.go_on(job.progress().bytes, total.unwrap_or(0), &mut || Ok(()))?;
        }
    })?;
    bar.finish_and_clear();
    output::answer(&serde_json::to_value(loaded).unwrap_or_default(), context.json)
}

fn show(bar: &ProgressBar, Progress { rows, bytes }: Progress) {
    bar.set_prefix(rows.to_string());
    bar.set_position(bytes);
}

/// The libraries that read Arrow and Parquet panic at some damage. That is caught and told as an error; what they say of it need
/// not be shown besides.
fn keep_readers_quiet() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let shown = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let theirs = |file: &str| file.contains("/arrow-") || file.contains("/parquet-");
            if !info.location().is_some_and(|location| theirs(location.file())) {
                shown(info);
            }
        }));
    });
}
