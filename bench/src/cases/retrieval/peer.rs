//! LanceDB, Chroma and qdrant-edge: each a process that runs `peers/retrieval`, takes commands, a line of JSON each, and answers with what
//! its own calls took.

use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use agentdb::{Value, json};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::system::{Alternated, Answers, Search, System};
use crate::python::Packages;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/retrieval");
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/retrieval/requirements.txt");
/// Puts and searches in turns: each takes milliseconds.
const ALTERNATIONS: usize = 500;

pub struct Peer {
    name: &'static str,
    /// How many of the queries it answers.
    queries: u64,
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    offers: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Answer {
    /// What it can do: `words`, `vector`, `hybrid`, `unsynced`.
    offers: Vec<String>,
    took: Vec<u64>,
    puts: Vec<u64>,
    found: Vec<Vec<String>>,
}

impl Peer {
    /// Starts the process, which reads the data from `data` and keeps its own in `dir`.
    pub fn start(name: &'static str, queries: u64, dir: &Path, data: &Path) -> Result<Self> {
        let mut command = Packages::installed(dir, "retrieval-peers", REQUIREMENTS)?.script(SCRIPT);
        let stderr = std::fs::File::create(dir.join(name).with_extension("stderr"))?;
        command
            .arg(name)
            .arg(data)
            .arg(dir.join(name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr);
        let mut child = command.spawn()?;
        let commands = child.stdin.take().context("no stdin")?;
        let answers = BufReader::new(child.stdout.take().context("no stdout")?);
        let mut peer = Peer { name, queries, child, commands, answers, offers: Vec::new() };
        peer.offers = peer.answer()?.offers;
        Ok(peer)
    }

    fn ask(&mut self, command: &Value) -> Result<Answer> {
        writeln!(self.commands, "{command}")?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer> {
        let mut line = String::new();
        ensure!(
            self.answers.read_line(&mut line)? > 0,
            "{} has ended: its stderr lies beside its data",
            self.name
        );
        serde_json::from_str(&line).with_context(|| format!("{}: {line}", self.name))
    }

    fn offers(&self, what: &str) -> bool {
        self.offers.iter().any(|offered| offered == what)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl System for Peer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn load(&mut self, range: Range<usize>, durable: bool) -> Result<Option<u64>> {
        if !durable && !self.offers("unsynced") {
            return Ok(None);
        }
        let answer =
            self.ask(&json!({"do": "load", "first": range.start, "end": range.end, "durable": durable}))?;
        Ok(Some(answer.took.iter().sum()))
    }

    fn index(&mut self) -> Result<u64> {
        Ok(self.ask(&json!({"do": "index"}))?.took.iter().sum())
    }

    fn search(&mut self, search: &Search) -> Result<Option<Answers>> {
        let (case, filter) = match search {
            Search::Words => ("words", &json!({})),
            Search::Records => ("records", &json!({})),
            Search::Vector(filter) => ("vector", filter),
            Search::Hybrid(filter) => ("hybrid", filter),
        };
        if !self.offers(case) {
            return Ok(None);
        }
        let answer =
            self.ask(&json!({"do": "search", "case": case, "filter": filter, "queries": self.queries}))?;
        Ok(Some(Answers { took: answer.took, found: answer.found }))
    }

    fn alternate(&mut self, count: usize) -> Result<Option<Alternated>> {
        let count = count.min(ALTERNATIONS);
        let answer = self.ask(&json!({"do": "alternate", "count": count}))?;
        Ok(Some(Alternated { puts: answer.puts, searches: answer.took }))
    }
}
