//! Comparing everything that can be read with the model, noun by noun.

mod blob;
mod checkpoint;
mod history;
mod item;
mod leftovers;
mod link;
mod record;
mod refusal;
mod session;
mod state;
mod tool_call;

use std::cell::RefCell;
use std::collections::BTreeMap;

use agentdb_engine::modules::namespace;
use agentdb_engine::{Engine, ReadRequest, Snapshot, decode};
use agentdb_env::sim::Random;
use agentdb_types::{Code, Error};
use serde_json::{Value, json};

pub(crate) use self::leftovers::{files, first_moment, rows};
pub(crate) use self::record::same_hits;
pub(crate) use self::refusal::of_the_handle;
use crate::model::{Model, Namespace, Past};

/// How names of forks start, and of nothing else.
pub(crate) const FORK: &str = "fork-";

/// What a check says: what is wrong, if anything is.
pub(crate) type Check<T = ()> = std::result::Result<T, String>;

/// How often each operation was answered, and how often it was refused.
pub(crate) type Reads = BTreeMap<&'static str, [u64; 2]>;

/// A namespace as a snapshot shows it, and as it should be.
pub(crate) struct View<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) model: &'a Namespace,
    /// The time of the snapshot.
    pub(crate) now: i64,
    /// The namespace as it is by now, unless it was deleted: it tells which bytes of blobs must be there.
    pub(crate) latest: Option<&'a Namespace>,
    /// The time by now.
    pub(crate) latest_now: i64,
    /// Which namespace it is.
    pub(crate) number: u64,
    /// What was at each LSN, and the first LSN whose time is known.
    pub(crate) past: &'a Past,
    pub(crate) moments_from: u64,
    /// What was read.
    pub(crate) reads: RefCell<Reads>,
}

impl View<'_> {
    /// Compares all nouns.
    pub(crate) fn everything(&self, dice: &mut Random) -> Check {
        self.states(dice)?;
        self.sessions(dice, true)?;
        self.history(dice)?;
        self.records(dice, true)?;
        self.links(dice, true)?;
        self.threads(dice, true)?;
        self.calls(dice)?;
        self.items(dice, true)?;
        self.blobs(dice)
    }

    /// Compares something.
    pub(crate) fn something(&self, dice: &mut Random) -> Check {
        match dice.below(17) {
            15 | 16 => self.links(dice, false),
            12 => self.history(dice),
            0 | 1 => self.states(dice),
            2 | 3 => self.sessions(dice, false),
            4..=6 => self.records(dice, false),
            7 | 8 => self.threads(dice, false),
            9 | 10 => self.calls(dice),
            13 | 14 => self.items(dice, false),
            _ => self.blobs(dice),
        }
    }

    fn read<R: ReadRequest>(&self, request: &Value) -> Result<Value, Error> {
        let response = self.engine.read(self.snapshot, decode::<R>(request.clone())?);
        self.reads.borrow_mut().entry(R::ABOUT.name).or_default()[usize::from(response.is_err())] += 1;
        serde_json::to_value(&response?).map_err(|e| Error::new(Code::InvalidJson).with("reason", e))
    }

    fn must_read<R: ReadRequest>(&self, request: &Value) -> Check<Value> {
        self.read::<R>(request).map_err(|e| format!("{} {request} failed: {e}", R::ABOUT.name))
    }

    fn differs<R: ReadRequest>(&self, request: &Value, found: &Value, expected: &Value) -> String {
        let (name, lsn) = (R::ABOUT.name, self.snapshot.lsn());
        format!("at LSN {lsn}, {name} {request} was answered\n    {found}, not\n    {expected}")
    }

    fn expect<R: ReadRequest>(&self, request: &Value, expected: &Value) -> Check {
        let found = self.must_read::<R>(request)?;
        if found == *expected { Ok(()) } else { Err(self.differs::<R>(request, &found, expected)) }
    }

    fn refuses<R: ReadRequest>(&self, request: &Value, code: Code) -> Check {
        match self.read::<R>(request) {
            Err(err) if err.code() == code => Ok(()),
            answer => {
                Err(format!("{} {request} was answered {answer:?}, not refused with {code}", R::ABOUT.name))
            }
        }
    }

    /// Reads a list to its end in both directions, in pages of some size.
    fn lists<R: ReadRequest>(&self, request: &Value, expected: &[Value], dice: &mut Random) -> Check {
        let mut expected = expected.to_vec();
        for reverse in [false, true] {
            let limit = 1 + dice.below(9) as usize;
            let mut request = request.clone();
            request["reverse"] = json!(reverse);
            request["limit"] = json!(limit);
            let mut rest = &expected[..];
            loop {
                let (page, after) = rest.split_at(limit.min(rest.len()));
                let found = self.must_read::<R>(&request)?;
                let ended = found.get("cursor").is_none();
                if found["items"] != json!(page) || ended != after.is_empty() {
                    return Err(self.differs::<R>(&request, &found, &json!(rest)));
                }
                if ended {
                    break;
                }
                request["cursor"] = found["cursor"].clone();
                rest = after;
            }
            expected.reverse();
        }
        Ok(())
    }
}

/// Whether a namespace of this name is a fork, which is compared with what its source was, and not with the model.
fn is_fork(name: &str) -> bool {
    name.starts_with(FORK)
}

/// Compares the list of namespaces, but for forks.
pub(crate) fn namespaces(engine: &Engine, snapshot: &Snapshot, model: &Model) -> Check {
    let list = namespace::List { limit: Some(100), cursor: None };
    let found = engine.read(snapshot, list).map_err(|e| format!("listing namespaces: {e}"))?;
    let found: Vec<(&str, u64)> =
        found.items.iter().map(|e| (e.name.as_str(), e.number)).filter(|(name, _)| !is_fork(name)).collect();
    let mut expected = vec![("default", 1)];
    expected.extend(model.names.iter().map(|(name, number)| (name.as_str(), *number)));
    if found == expected { Ok(()) } else { Err(format!("the namespaces are {found:?}, not {expected:?}")) }
}
