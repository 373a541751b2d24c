//! The world outside: which tools were let run, and what was taken as their outcome. It is kept from the answers alone, over
//! crashes, and knows no leases and no states.
//!
//! What was answered as durable has happened for good. What was only written, or never answered, has happened if the log
//! was found to reach so far.

use std::collections::BTreeMap;

use agentdb_types::{Timestamp, limits};
use serde_json::Value;

use crate::check::Check;
use crate::model::Request;

/// Namespace, owner and key.
type Place = (u64, String, String);

/// Between the numbers of two notes there is room for others.
const APART: u64 = 1 << 10;

/// What operations on tool calls were answered, in the order of LSNs; what changed nothing has that of the batch before, and
/// comes behind it.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: BTreeMap<(u64, u64), Entry>,
    noted: u64,
}

#[derive(PartialEq)]
struct Entry {
    place: Place,
    operation: &'static str,
    fields: Value,
    response: Value,
}

/// How far a call is, as the world outside sees it.
#[derive(Default)]
struct Call {
    /// The epoch that was given last, to a claim or a resolution.
    epoch: u64,
    run: Option<Run>,
}

struct Run {
    /// What an outcome must carry.
    epoch: u64,
    idempotent: bool,
    lease_end: i64,
    outcome: Outcome,
}

enum Outcome {
    None,
    /// The tool may be run again, by the word of somebody.
    Again(&'static str),
    /// It is kept until then, if not for ever.
    Final {
        told: (&'static str, Value),
        expires: Option<i64>,
    },
}

impl Ledger {
    /// Notes what a request was answered.
    pub(crate) fn note(&mut self, request: &Request, lsn: u64, responses: &[Value]) {
        for ((operation, fields), response) in request.operations.iter().zip(responses) {
            if !operation.starts_with("tool_call.") {
                continue;
            }
            let text = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
            let place = (request.namespace, text("owner"), text("key"));
            let entry = Entry { place, operation, fields: fields.clone(), response: response.clone() };
            // A retry with an idempotency key is answered as the first time, and is not another act.
            let mut same_lsn = self.entries.range((lsn, 0)..=(lsn, u64::MAX));
            if request.idempotency_key.is_none() || !same_lsn.any(|(_, noted)| *noted == entry) {
                self.noted += APART;
                let at = self.replay_before(lsn, &entry).unwrap_or(self.noted);
                self.entries.insert((lsn, at), entry);
            }
        }
    }

    /// The number before that of a replay of the outcome that this one tells: whoever wants an answer as soon as it is written
    /// may hear of it before the one who told it, who waits for the disk.
    fn replay_before(&self, lsn: u64, telling: &Entry) -> Option<u64> {
        let told = match (telling.operation, telling.fields["resolution"].as_str()) {
            ("tool_call.complete", _) | ("tool_call.resolve", Some("completed")) => "result",
            ("tool_call.fail", _) | ("tool_call.resolve", Some("failed")) => "error",
            _ => return None,
        };
        let told = (told, &telling.fields[told]);
        let mut same_lsn = self.entries.range((lsn, 0)..=(lsn, u64::MAX));
        let replay = same_lsn.find(|(_, noted)| {
            noted.place == telling.place
                && noted.operation == "tool_call.claim"
                // The claim itself tells no outcome, which is not one that is null.
                && noted.response["outcome"] != "claimed"
                && noted.response[told.0] == *told.1
        });
        replay.map(|((_, number), _)| number - 1)
    }

    /// Notes that retention let a call go.
    pub(crate) fn let_go(&mut self, namespace: u64, call: &Value, lsn: u64) {
        let text = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
        let place = (namespace, text("owner"), text("key"));
        self.noted += APART;
        let entry = Entry { place, operation: "internal.retain", fields: Value::Null, response: Value::Null };
        self.entries.insert((lsn, self.noted), entry);
    }

    /// Forgets what was lost: the log reaches to here.
    pub(crate) fn cut(&mut self, lsn: u64) {
        self.entries.retain(|(at, _), _| *at <= lsn);
    }

    /// Checks all of it; how often what happened.
    pub(crate) fn check(&self) -> Check<BTreeMap<&'static str, u64>> {
        let mut calls: BTreeMap<&Place, Call> = BTreeMap::new();
        let mut counts = BTreeMap::new();
        for ((lsn, _), entry) in &self.entries {
            let call = calls.entry(&entry.place).or_default();
            let happened = call.take(entry, *lsn).map_err(|what| {
                let Entry { place, operation, fields, response } = entry;
                format!(
                    "the ledger: {place:?} at LSN {lsn}: {what}: {operation} {fields} was answered {response}"
                )
            })?;
            *counts.entry(happened).or_default() += 1;
        }
        Ok(counts)
    }
}

impl Call {
    /// Takes the next answer; what it was, or why it may not be.
    fn take(&mut self, entry: &Entry, lsn: u64) -> Check<&'static str> {
        let Entry { operation, fields, response, .. } = entry;
        match *operation {
            "tool_call.claim" if response["outcome"] == "claimed" => self.claimed(fields, response, lsn),
            "tool_call.claim" => self.replayed(response),
            "tool_call.complete" => self.told(fields, "completed", &fields["result"], response),
            "tool_call.fail" => {
                let state = if response["state"] == "retryable" { "retryable" } else { "failed" };
                self.told(fields, state, &fields["error"], response)
            }
            "tool_call.renew" => {
                let run = self.run_of(fields)?;
                run.lease_end = micros(&response["lease_end"]);
                Ok("ledger: renewed")
            }
            "tool_call.resolve" => self.resolved(fields, response, lsn),
            "internal.retain" => match self.run.take() {
                Some(Run { outcome: Outcome::Final { .. }, .. }) => Ok("ledger: let go"),
                _ => Err("a call was let go that was not settled".to_owned()),
            },
            _ => {
                let unsure = self.run.as_ref().is_some_and(|run| matches!(run.outcome, Outcome::None));
                if response["deleted"] == true {
                    if unsure {
                        return Err("a call was forgotten that nobody knows the outcome of".to_owned());
                    }
                    self.run = None;
                }
                Ok("ledger: deleted")
            }
        }
    }

    fn claimed(&mut self, fields: &Value, response: &Value, lsn: u64) -> Check<&'static str> {
        let epoch = response["epoch"].as_u64().unwrap_or_default();
        // Of two in one batch nobody outside has known the first.
        if epoch < self.epoch || epoch != lsn {
            return Err(format!("the epoch {epoch} was given after {}", self.epoch));
        }
        let happened = match &self.run {
            None => "ledger: ran",
            Some(Run { outcome: Outcome::Again(why), .. }) => why,
            Some(Run { outcome: Outcome::None, idempotent: true, .. }) => "ledger: ran again, idempotent",
            Some(Run { outcome: Outcome::None, .. }) => {
                return Err("a tool that is not idempotent runs again, and nobody said it may".to_owned());
            }
            Some(Run { outcome: Outcome::Final { expires, .. }, .. }) => {
                let lease = fields["lease_us"].as_i64().unwrap_or(limits::TOOL_CALL_LEASE_US);
                let now = micros(&response["lease_end"]) - lease;
                if expires.is_none_or(|expires| expires > now) {
                    return Err("a tool whose outcome is known runs again".to_owned());
                }
                "ledger: ran again, forgotten"
            }
        };
        self.epoch = epoch;
        let idempotent = fields["idempotent"] == true;
        let lease_end = micros(&response["lease_end"]);
        self.run = Some(Run { epoch, idempotent, lease_end, outcome: Outcome::None });
        Ok(happened)
    }

    fn replayed(&self, response: &Value) -> Check<&'static str> {
        let (state, told) = match response["outcome"].as_str() {
            Some("completed") => ("completed", &response["result"]),
            _ => ("failed", &response["error"]),
        };
        match &self.run {
            Some(Run { outcome: Outcome::Final { told: (was, value), .. }, .. })
                if *was == state && value == told =>
            {
                Ok("ledger: replayed")
            }
            _ => Err("an outcome was replayed that was not told".to_owned()),
        }
    }

    /// The run that an answer is about, which must be the last one.
    fn run_of(&mut self, fields: &Value) -> Check<&mut Run> {
        match &mut self.run {
            Some(run) if fields["epoch"].as_u64() == Some(run.epoch) => Ok(run),
            _ => Err("something was taken from an epoch that is over".to_owned()),
        }
    }

    fn told(
        &mut self,
        fields: &Value,
        state: &'static str,
        value: &Value,
        response: &Value,
    ) -> Check<&'static str> {
        let run = self.run_of(fields)?;
        match &run.outcome {
            Outcome::None => {}
            // Which error it was, the ledger does not keep.
            Outcome::Again(_) if state == "retryable" => return Ok("ledger: told twice"),
            Outcome::Final { told, .. } if *told == (state, value.clone()) => {
                return Ok("ledger: told twice");
            }
            _ => return Err("a second outcome was taken".to_owned()),
        }
        let late = run.lease_end <= micros(&response["finished"]);
        run.outcome = match state {
            "retryable" => Outcome::Again("ledger: ran again, failed before"),
            _ => Outcome::Final { told: (state, value.clone()), expires: expires(response) },
        };
        Ok(if late { "ledger: told late" } else { "ledger: told" })
    }

    fn resolved(&mut self, fields: &Value, response: &Value, lsn: u64) -> Check<&'static str> {
        let run = self.run_of(fields)?;
        if !matches!(run.outcome, Outcome::None) {
            return Err("a call was resolved whose outcome is known".to_owned());
        }
        let told = match response["state"].as_str() {
            Some("completed") => Some(("completed", fields["result"].clone())),
            Some("failed") => Some(("failed", fields["error"].clone())),
            _ => None,
        };
        let expires = expires(response);
        run.outcome = match told {
            Some(told) => Outcome::Final { told, expires },
            None => Outcome::Again("ledger: ran again, resolved so"),
        };
        if response["epoch"] != lsn || lsn <= run.epoch {
            return Err("a resolution has no epoch of its own".to_owned());
        }
        (run.epoch, self.epoch) = (lsn, lsn);
        Ok("ledger: resolved")
    }
}

fn micros(time: &Value) -> i64 {
    let time = time.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    time.unwrap_or_default().micros()
}

fn expires(response: &Value) -> Option<i64> {
    response.get("expires").map(micros)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What the ledger says of these answers about one call, each at an LSN.
    fn says(answers: &[(u64, &'static str, Value, Value)]) -> Result<(), String> {
        let mut ledger = Ledger::default();
        for (lsn, operation, fields, response) in answers {
            let mut fields = fields.clone();
            (fields["owner"], fields["key"]) = (json!("ann"), json!("pay"));
            let request = Request {
                namespace: 1,
                operations: vec![(operation, fields)],
                idempotency_key: None,
                subject: None,
                written: false,
                malformed: None,
                seen: None,
                found: Vec::new(),
            };
            ledger.note(&request, *lsn, std::slice::from_ref(response));
        }
        ledger.check().map(drop)
    }

    fn claimed(lsn: u64, idempotent: bool) -> (u64, &'static str, Value, Value) {
        let response = json!({"outcome": "claimed", "epoch": lsn, "lease_end": "2026-01-01T00:01:00Z"});
        (lsn, "tool_call.claim", json!({"idempotent": idempotent}), response)
    }

    /// Seed 3298: the claim's own answer, which has no result, was taken for a replay of the null.
    #[test]
    fn a_claim_and_its_completion_with_null_may_be_one_batch() {
        let (lsn, fields) = (7, json!({"epoch": 7, "result": null}));
        let completed = (lsn, "tool_call.complete", fields, json!({"expires": null}));
        assert_eq!(says(&[claimed(lsn, false), completed]), Ok(()));
    }

    /// Seed 8943: a replay was heard of before the resolution that told its outcome, which waited for the disk.
    #[test]
    fn a_replay_may_be_heard_of_before_the_resolution_that_it_tells() {
        let resolved = json!({"epoch": 1, "resolution": "completed", "result": null});
        let telling = (7, "tool_call.resolve", resolved, json!({"state": "completed", "epoch": 7}));
        let replayed = json!({"outcome": "completed", "result": null, "finished": "2026-01-01T00:00:01Z"});
        let replay = (7, "tool_call.claim", json!({"idempotent": true}), replayed);
        assert_eq!(says(&[claimed(1, false), replay.clone(), telling]), Ok(()));
        assert!(says(&[claimed(1, false), replay]).is_err());
    }

    fn told(lsn: u64, epoch: u64, result: &str) -> (u64, &'static str, Value, Value) {
        let response = json!({"finished": "2026-01-01T00:00:01Z"});
        (lsn, "tool_call.complete", json!({"epoch": epoch, "result": result}), response)
    }

    fn resolved(lsn: u64, epoch: u64) -> (u64, &'static str, Value, Value) {
        let response = json!({"state": "retryable", "epoch": lsn});
        (lsn, "tool_call.resolve", json!({"epoch": epoch, "resolution": "retry"}), response)
    }

    #[test]
    fn what_must_not_happen_outside_is_seen() {
        assert_eq!(says(&[claimed(1, true), claimed(2, false), told(3, 2, "a"), told(3, 2, "a")]), Ok(()));
        assert_eq!(says(&[claimed(1, false), resolved(2, 1), claimed(3, false)]), Ok(()));
        for (answers, reason) in [
            (vec![claimed(1, false), claimed(2, false)], "nobody said it may"),
            (vec![claimed(1, true), told(2, 1, "a"), claimed(3, true)], "whose outcome is known"),
            (vec![claimed(1, true), claimed(2, true), told(3, 1, "a")], "an epoch that is over"),
            (vec![claimed(1, false), told(2, 1, "a"), told(3, 1, "b")], "a second outcome"),
            (vec![claimed(1, false), resolved(2, 1), told(3, 1, "a")], "an epoch that is over"),
            (vec![claimed(1, false), told(2, 1, "a"), resolved(3, 1)], "whose outcome is known"),
            (
                vec![claimed(2, true), (3, "tool_call.claim", json!({}), claimed(2, true).3)],
                "was given after",
            ),
        ] {
            let err = says(&answers).unwrap_err();
            assert!(err.contains(reason), "{err}");
        }
    }

    #[test]
    fn what_was_lost_has_not_happened() {
        let mut ledger = Ledger::default();
        let claim = |lsn| {
            let (_, operation, mut fields, response) = claimed(lsn, false);
            (fields["owner"], fields["key"]) = (json!("ann"), json!("pay"));
            let (idempotency_key, subject, malformed) = (None, None, None);
            let operations = vec![(operation, fields)];
            let request = Request {
                namespace: 1,
                operations,
                idempotency_key,
                subject,
                written: true,
                malformed,
                seen: None,
                found: Vec::new(),
            };
            (request, response)
        };
        let (request, response) = claim(5);
        ledger.note(&request, 5, &[response]);
        ledger.cut(4);
        let (request, response) = claim(5);
        ledger.note(&request, 5, &[response]);
        assert_eq!(ledger.check(), Ok([("ledger: ran", 1)].into()));
    }
}
