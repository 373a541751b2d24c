//! Several workers against a plain model: whatever they claim, tell, renew and resolve, in whatever order, with whatever
//! epochs, over crashes. A ledger of the side effects stands beside it: a tool that is not idempotent is let run again only
//! after a retryable failure or a resolution, and no epoch but the last is ever taken an outcome from.

use std::collections::BTreeMap;

use agentdb_types::{Code, Lsn};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{
    Answer, Claim, Complete, Delete, Entry, Fail, Get, List, Renew, Resolution, Resolve, State,
};
use crate::modules::testing::TestDb;
use crate::{Table, Task};

const KEYS: [&str; 3] = ["k1", "k2", "k3"];
const TOOLS: [&str; 2] = ["pay", "mail"];
const KEEP_US: i64 = 30_000_000;

#[derive(Clone, Debug)]
enum Step {
    Claim {
        key: u8,
        tool: bool,
        idempotent: bool,
        lease_s: u8,
        most: Option<u8>,
        keep: bool,
    },
    /// With the epoch of the claim so many claims ago, of any worker.
    Complete {
        key: u8,
        ago: u8,
        result: u8,
    },
    Fail {
        key: u8,
        ago: u8,
        retry: bool,
    },
    Renew {
        key: u8,
        ago: u8,
        lease_s: u8,
    },
    Resolve {
        key: u8,
        ago: u8,
        resolution: u8,
    },
    Delete(u8),
    Pass(u8),
    Sweep,
    Drain,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..KEYS.len() as u8;
    // Mostly the last epoch.
    let ago = || prop_oneof![4 => Just(0u8), 1 => 1..3u8];
    let (claim, lease) = ((key(), prop::bool::weighted(0.1), any::<bool>()), || 1..20u8);
    let claim = (claim, lease(), prop::option::weighted(0.3, 1..4u8), any::<bool>());
    prop_oneof![
        6 => claim.prop_map(|((key, tool, idempotent), lease_s, most, keep)| {
            Step::Claim { key, tool, idempotent, lease_s, most, keep }
        }),
        3 => (key(), ago(), 0..2u8).prop_map(|(key, ago, result)| Step::Complete { key, ago, result }),
        2 => (key(), ago(), any::<bool>()).prop_map(|(key, ago, retry)| Step::Fail { key, ago, retry }),
        2 => (key(), ago(), lease()).prop_map(|(key, ago, lease_s)| Step::Renew { key, ago, lease_s }),
        2 => (key(), ago(), 0..3u8).prop_map(|(key, ago, resolution)| Step::Resolve { key, ago, resolution }),
        1 => key().prop_map(Step::Delete),
        4 => (1..25u8).prop_map(Step::Pass),
        1 => Just(Step::Sweep),
        1 => Just(Step::Drain),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Clone, Debug, PartialEq)]
enum Is {
    Claimed(i64),
    Retryable(Option<Value>),
    Completed(Value),
    Failed(Value),
}

#[derive(Clone, Debug, PartialEq)]
struct Call {
    tool: &'static str,
    epoch: Lsn,
    attempt: u64,
    idempotent: bool,
    most: Option<u64>,
    keep: bool,
    at: i64,
    is: Is,
}

/// The side effects of one key, as the world outside would see them.
#[derive(Default)]
struct Ledger {
    /// Whether the tool may be let run without the last claim having been idempotent.
    allowed: bool,
    completed: Option<Lsn>,
}

struct World {
    db: TestDb,
    calls: BTreeMap<&'static str, Call>,
    epochs: BTreeMap<&'static str, Vec<Lsn>>,
    ledger: BTreeMap<&'static str, Ledger>,
}

impl World {
    fn now(&self) -> i64 {
        self.db.world.env().clock.wall().micros()
    }

    fn call(&self, key: &str) -> Option<&Call> {
        let kept = |call: &&Call| {
            let finished = matches!(call.is, Is::Completed(_) | Is::Failed(_));
            !(call.keep && finished && call.at + KEEP_US <= self.now())
        };
        self.calls.get(key).filter(kept)
    }

    fn epoch(&self, key: &str, ago: u8) -> Lsn {
        let given = self.epochs.get(key).map_or(&[][..], Vec::as_slice);
        given.iter().rev().nth(ago.into()).copied().unwrap_or(Lsn(u64::MAX))
    }

    fn unknown(&self, call: &Call) -> bool {
        matches!(call.is, Is::Claimed(end) if end <= self.now())
    }

    fn attempts_left(call: &Call) -> bool {
        call.most.is_none_or(|most| call.attempt < most)
    }

    fn claim(&mut self, key: &'static str, claim: Claim, tool: &'static str) {
        let now = self.now();
        let found = self.call(key).cloned();
        let expected = match &found {
            Some(call) if call.tool != tool => Err(Code::ToolCallMismatch),
            Some(Call { is: Is::Completed(result), .. }) => Ok(Some(("completed", result.clone()))),
            Some(Call { is: Is::Failed(error), .. }) => Ok(Some(("failed", error.clone()))),
            Some(call) if matches!(call.is, Is::Claimed(end) if end > now) => Err(Code::ToolCallRunning),
            Some(call) if self.unknown(call) && !(call.idempotent && Self::attempts_left(call)) => {
                Err(Code::ToolCallUnknown)
            }
            _ => Ok(None),
        };
        let (idempotent, most, keep) = (claim.idempotent, claim.max_attempts, claim.keep_us.is_some());
        let lease_end = now + claim.lease_us.unwrap();
        let answer = self.db.write(claim).map(|committed| committed.response).map_err(|err| err.code());
        let (epoch, attempt) = match (answer, expected) {
            (Ok(Answer::Claimed { epoch, attempt, .. }), Ok(None)) => (epoch, attempt),
            (Ok(Answer::Completed { result: told, .. }), Ok(Some(("completed", expected))))
            | (Ok(Answer::Failed { error: told, .. }), Ok(Some(("failed", expected)))) => {
                return assert_eq!(told, expected);
            }
            (Err(code), Err(expected)) => return assert_eq!(code, expected),
            (answer, expected) => panic!("{key} was answered {answer:?}, not {expected:?}"),
        };
        assert_eq!(attempt, found.as_ref().map_or(1, |call| call.attempt + 1));
        let given = self.epochs.entry(key).or_default();
        assert!(given.last().is_none_or(|last| *last < epoch), "an epoch was given twice");
        given.push(epoch);
        // The ledger knows nothing of states and leases.
        let ledger = self.ledger.entry(key).or_default();
        let again = found.as_ref().is_none_or(|call| call.idempotent) || ledger.allowed;
        assert!(again && ledger.completed.is_none(), "{key} runs a second time");
        ledger.allowed = false;
        let is = Is::Claimed(lease_end);
        self.calls.insert(key, Call { tool, epoch, attempt, idempotent, most, keep, at: now, is });
    }

    /// What telling something under an epoch is refused with before what is told matters.
    fn fenced(&self, key: &str, epoch: Lsn) -> Option<Code> {
        match self.call(key) {
            None => Some(Code::ToolCallNotFound),
            Some(call) if call.epoch != epoch => Some(Code::ToolCallFenced),
            Some(_) => None,
        }
    }

    /// Moves a claimed call on, or tells that it has another outcome.
    fn tell(&mut self, key: &'static str, epoch: Lsn, is: Is) -> Result<(), Code> {
        if let Some(code) = self.fenced(key, epoch) {
            return Err(code);
        }
        let now = self.now();
        let call = self.calls.get_mut(key).unwrap();
        match &call.is {
            Is::Claimed(_) => (call.is, call.at) = (is, now),
            told if *told == is => {}
            _ => return Err(Code::ToolCallFinished),
        }
        let ledger = self.ledger.entry(key).or_default();
        match &call.is {
            Is::Completed(_) => {
                assert!(ledger.completed.is_none_or(|by| by == epoch), "{key} is completed twice");
                ledger.completed = Some(epoch);
            }
            Is::Retryable(_) => ledger.allowed = true,
            _ => {}
        }
        Ok(())
    }

    fn resolve(&mut self, key: &'static str, epoch: Lsn, resolution: Resolution) {
        let expected = match (self.fenced(key, epoch), self.call(key)) {
            (Some(code), _) => Err(code),
            (None, Some(call)) if self.unknown(call) => Ok(()),
            (None, Some(Call { is: Is::Claimed(_), .. })) => Err(Code::ToolCallRunning),
            _ => Err(Code::ToolCallFinished),
        };
        let (result, error) = match resolution {
            Resolution::Completed => (Some(json!("resolved")), None),
            Resolution::Failed => (None, Some(json!("resolved"))),
            Resolution::Retry => (None, None),
        };
        let request = Resolve { owner: "ann".into(), key: key.into(), epoch, resolution, result, error };
        let answer = self.db.write(request).map_err(|err| err.code());
        assert_eq!(answer.as_ref().map(drop).map_err(|code| *code), expected);
        let Ok(answer) = answer else { return };
        let now = self.now();
        let call = self.calls.get_mut(key).unwrap();
        (call.epoch, call.at) = (answer.response.epoch, now);
        let ledger = self.ledger.entry(key).or_default();
        call.is = match resolution {
            Resolution::Completed => {
                ledger.completed = Some(call.epoch);
                Is::Completed(json!("resolved"))
            }
            Resolution::Failed => Is::Failed(json!("resolved")),
            Resolution::Retry => {
                ledger.allowed = true;
                call.attempt = 0;
                Is::Retryable(None)
            }
        };
    }

    fn delete(&mut self, key: &'static str) {
        let expected = match self.call(key) {
            None => Ok(false),
            Some(call) if self.unknown(call) => Err(Code::ToolCallUnknown),
            Some(Call { is: Is::Claimed(_), .. }) => Err(Code::ToolCallRunning),
            Some(_) => Ok(true),
        };
        let answer = self.db.write(Delete { owner: "ann".into(), key: key.into() });
        assert_eq!(answer.map(|a| a.response.deleted).map_err(|err| err.code()), expected);
        if expected == Ok(true) {
            self.forget(key);
        }
    }

    /// A call that is gone was given up knowingly: the next claim is a call of its own.
    fn forget(&mut self, key: &'static str) {
        self.calls.remove(key);
        self.ledger.remove(key);
    }

    fn step(&mut self, step: Step) {
        let place = |key: u8| ("ann".to_owned(), KEYS[key as usize].to_owned());
        for key in KEYS {
            if self.call(key).is_none() {
                self.forget(key);
            }
        }
        match step {
            Step::Claim { key, tool, idempotent, lease_s, most, keep } => {
                let (key, tool) = (KEYS[key as usize], TOOLS[usize::from(tool)]);
                let claim = Claim {
                    idempotent,
                    lease_us: Some(i64::from(lease_s) * 1_000_000),
                    max_attempts: most.map(u64::from),
                    keep_us: keep.then_some(KEEP_US),
                    ..Claim::new("ann", key, tool, json!({"key": key}))
                };
                self.claim(key, claim, tool);
            }
            Step::Complete { key, ago, result } => {
                let epoch = self.epoch(KEYS[key as usize], ago);
                let expected = self.tell(KEYS[key as usize], epoch, Is::Completed(json!(result)));
                let (owner, key) = place(key);
                let answer = self.db.write(Complete { owner, key, epoch, result: json!(result) });
                assert_eq!(answer.map(drop).map_err(|err| err.code()), expected);
            }
            Step::Fail { key, ago, retry } => {
                let epoch = self.epoch(KEYS[key as usize], ago);
                let again = retry && self.call(KEYS[key as usize]).is_some_and(Self::attempts_left);
                let error = json!("failed");
                let is = if again { Is::Retryable(Some(error.clone())) } else { Is::Failed(error.clone()) };
                let expected = self.tell(KEYS[key as usize], epoch, is);
                let (owner, key) = place(key);
                let answer = self.db.write(Fail { owner, key, epoch, error, retry });
                assert_eq!(answer.map(drop).map_err(|err| err.code()), expected);
            }
            Step::Renew { key, ago, lease_s } => {
                let (name, lease_us) = (KEYS[key as usize], i64::from(lease_s) * 1_000_000);
                let epoch = self.epoch(name, ago);
                let claimed = self.call(name).is_some_and(|call| matches!(call.is, Is::Claimed(_)));
                let expected = match self.fenced(name, epoch) {
                    Some(code) => Err(code),
                    None if claimed => Ok(()),
                    None => Err(Code::ToolCallFinished),
                };
                if expected.is_ok() {
                    let now = self.now();
                    let call = self.calls.get_mut(name).unwrap();
                    (call.is, call.at) = (Is::Claimed(now + lease_us), now);
                }
                let (owner, key) = place(key);
                let renew = Renew { owner, key, epoch, lease_us: Some(lease_us), progress: None };
                assert_eq!(self.db.write(renew).map(drop).map_err(|err| err.code()), expected);
            }
            Step::Resolve { key, ago, resolution } => {
                let key = KEYS[key as usize];
                let resolution =
                    [Resolution::Completed, Resolution::Failed, Resolution::Retry][resolution as usize];
                self.resolve(key, self.epoch(key, ago), resolution);
            }
            Step::Delete(key) => self.delete(KEYS[key as usize]),
            Step::Pass(seconds) => self.db.world.advance_us(u64::from(seconds) * 1_000_000),
            Step::Sweep => self.db.run(Task::Sweep),
            Step::Drain => self.db.drain(),
            Step::Reopen => {
                self.db.world.process_kill();
                self.db.reopen().unwrap();
            }
        }
    }

    fn check(&self) {
        let mut by_state: BTreeMap<&str, Vec<Entry>> = BTreeMap::new();
        for state in [State::Claimed, State::Unknown, State::Retryable, State::Completed, State::Failed] {
            let listed = self.db.read(List { state: Some(state), ..List::default() }).unwrap().items;
            by_state.insert(state.name(), listed);
        }
        let mut kept = 0;
        for key in KEYS {
            let Some(call) = self.call(key) else {
                let err = self.db.read(Get::new("ann", key)).unwrap_err();
                assert_eq!(err.code(), Code::ToolCallNotFound);
                continue;
            };
            kept += 1;
            let entry = self.db.read(Get::new("ann", key)).unwrap();
            assert_eq!((&*entry.tool, entry.epoch, entry.attempt), (call.tool, call.epoch, call.attempt));
            let state = match &call.is {
                Is::Claimed(_) if self.unknown(call) => State::Unknown,
                Is::Claimed(_) => State::Claimed,
                Is::Retryable(_) => State::Retryable,
                Is::Completed(_) => State::Completed,
                Is::Failed(_) => State::Failed,
            };
            let (result, error) = match &call.is {
                Is::Claimed(_) => (None, None),
                Is::Completed(result) => (Some(result.clone()), None),
                Is::Retryable(error) => (None, error.clone()),
                Is::Failed(error) => (None, Some(error.clone())),
            };
            assert_eq!((entry.state, &entry.result, &entry.error), (state, &result, &error), "{key}");
            assert!(by_state[state.name()].contains(&entry), "{key} is in no list of its state");
        }
        assert_eq!(by_state.values().map(Vec::len).sum::<usize>(), kept);
        let listed = |tool: &str| self.db.read(List { tool: Some(tool.into()), ..List::default() }).unwrap();
        assert_eq!(TOOLS.map(|tool| listed(tool).items.len()).iter().sum::<usize>(), kept);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn calls_are_what_a_plain_model_says_and_the_ledger_holds(steps in prop::collection::vec(step(), 1..80)) {
        let (calls, epochs, ledger) = Default::default();
        let mut world = World { db: TestDb::new(40), calls, epochs, ledger };
        for step in steps {
            // Time stands still between what the model is asked and what the database decides.
            world.step(step);
            world.check();
        }
        // Nothing is left of what is gone.
        world.db.world.advance_us(KEEP_US.unsigned_abs());
        world.db.run(Task::Sweep);
        let kept = KEYS.iter().filter(|key| world.call(key).is_some()).count();
        for table in [Table::ToolCall, Table::ToolCallByState, Table::ToolCallByTool] {
            prop_assert_eq!(world.db.rows(table), kept);
        }
    }
}
