//! `agentdb namespace export` and `agentdb namespace import`.

use std::io::{BufWriter, ErrorKind, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentdb::modules::job::{Journal, Kind};
use agentdb::modules::transfer::{Export, Exported, Import, Progress};
use agentdb::{Code, Engine, Error, Result, Value, decode};
use agentdb_env::{Env, File};
use indicatif::{ProgressBar, ProgressStyle};

use super::blob::FileReader;
use crate::context::Context;
use crate::{arguments, output};

/// Writes the lines to a new file, or to standard output.
pub(super) fn export(context: &Context, request: Value, path: &str) -> Result<()> {
    let export: Export = decode(request)?;
    let db = context.open(false)?;
    let (engine, namespace) = (db.engine(), db.namespace(&export.name)?.id());
    let out = Output::open(path)?;
    let exported = engine
        .journaled(Kind::Export, Some(namespace), &export, |journal| write(engine, &export, out, journal))?;
    match exported {
        Some(exported) => output::answer(&serde_json::to_value(exported).unwrap_or_default(), context.json),
        None => Ok(()),
    }
}

/// Writes the lines; the answer, if standard output is free for it.
fn write(
    engine: &Engine,
    export: &Export,
    mut out: Output,
    journal: &mut Journal,
) -> Result<Option<Exported>> {
    let mut job = engine.begin_export(export)?;
    let bar = (!out.is_terminal()).then(|| progress_bar("exporting", "lines", None));
    while let Some(piece) = job.next_piece()? {
        if !out.write(&piece)? {
            return Ok(None);
        }
        bar.iter().for_each(|bar| show(bar, job.progress()));
        journal.go_on(job.progress().bytes, 0, &mut || Ok(()))?;
    }
    bar.iter().for_each(ProgressBar::finish_and_clear);
    Ok(if out.finish()? { job.exported().cloned() } else { None })
}

/// Reads the lines of a file, or of standard input.
pub(super) fn import(context: &Context, request: Value, path: &str) -> Result<()> {
    let import: Import = decode(request)?;
    context.refuse_one_key()?;
    let (source, total): (Box<dyn Read>, _) = match path {
        "-" => (Box::new(std::io::stdin().lock()), None),
        path => {
            let file = arguments::open(Path::new(path))?;
            // What has no length, such as a pipe, has none to tell.
            let total = file.len().ok().filter(|total| *total > 0);
            (Box::new(FileReader::new(file)), total)
        }
    };
    let db = context.open(true)?;
    let engine = db.engine();
    let mut job = engine.begin_import(&import, source, context.options.clone())?;
    let (bar, namespace) = (progress_bar("importing", "lines", total), db.namespace(&import.name)?.id());
    let imported = engine.journaled(Kind::Import, Some(namespace), &import, |journal| {
        loop {
            let imported = job.step()?;
            show(&bar, job.progress());
            if let Some(imported) = imported {
                journal.has_done(imported.bytes);
                return Ok(imported);
            }
            journal.go_on(job.progress().bytes, total.unwrap_or(0), &mut || Ok(()))?;
        }
    })?;
    bar.finish_and_clear();
    output::answer(&serde_json::to_value(imported).unwrap_or_default(), context.json)
}

/// Drawn on standard error, and only if that is a terminal.
pub(super) fn progress_bar(verb: &'static str, counted: &str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{msg} {bar:30} {bytes} of {total_bytes}, {prefix}"),
        None => (ProgressBar::new_spinner(), "{msg} {spinner} {bytes}, {prefix}"),
    };
    let template = format!("{template} {counted}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.set_message(verb);
    bar
}

fn show(bar: &ProgressBar, Progress { lines, bytes }: Progress) {
    bar.set_prefix(lines.to_string());
    bar.set_position(bytes);
}

/// Where the lines go.
enum Output {
    Standard(BufWriter<std::io::Stdout>),
    File(NewFile),
}

/// A new file, which has its name when all of it is there.
struct NewFile {
    file: Arc<dyn File>,
    at: u64,
    path: PathBuf,
    /// Its name until then.
    partial: PathBuf,
    is_whole: bool,
}

impl NewFile {
    fn create(path: &Path) -> Result<Self> {
        arguments::check_new(path)?;
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".{}.partial", std::process::id()));
        let (path, partial) = (path.to_owned(), PathBuf::from(partial));
        Ok(NewFile { file: arguments::create(&partial)?, at: 0, path, partial, is_whole: false })
    }

    fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.file.write_at(self.at, piece)?;
        self.at += piece.len() as u64;
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        let files = Env::real().files;
        self.file.sync_data()?;
        arguments::check_new(&self.path)?;
        files.rename(&self.partial, &self.path)?;
        self.is_whole = true;
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        files.sync_dir(dir.unwrap_or(Path::new(".")))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_whole {
            // What stopped it tells more.
            let _ = Env::real().files.remove(&self.partial);
        }
    }
}

impl Output {
    fn open(path: &str) -> Result<Self> {
        if path == "-" {
            return Ok(Output::Standard(BufWriter::new(std::io::stdout())));
        }
        NewFile::create(Path::new(path)).map(Output::File)
    }

    fn is_terminal(&self) -> bool {
        matches!(self, Output::Standard(_)) && std::io::stdout().is_terminal()
    }

    /// Whether anybody still reads.
    fn write(&mut self, piece: &[u8]) -> Result<bool> {
        match self {
            Output::File(file) => file.write(piece).map(|()| true),
            Output::Standard(out) => is_read(out.write_all(piece)),
        }
    }

    /// Whether standard output is free for an answer.
    fn finish(self) -> Result<bool> {
        match self {
            Output::File(file) => file.finish().map(|()| true),
            Output::Standard(mut out) => is_read(out.flush()).map(|_| false),
        }
    }
}

fn is_read(written: std::io::Result<()>) -> Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(err) if err.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(err) => Err(Error::new(Code::Io)
            .with("operation", "write")
            .with("path", "standard output")
            .with("reason", err)),
    }
}
