//! Tool calls: who may run a tool, and what became of it.

use std::rc::Rc;

use agentdb_types::{Code, limits};
use serde_json::{Value, json};

use super::{Decision, Moment, Namespace, check_id, check_value, given_text, is_live, text, time, with};

/// Owner and key.
pub(crate) type Place = (String, String);

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) tool: String,
    arguments: Value,
    pub(crate) epoch: u64,
    attempt: u64,
    idempotent: bool,
    max_attempts: Option<u64>,
    worker: Option<String>,
    lease: i64,
    keep: Option<i64>,
    progress: Option<Value>,
    resolved: bool,
    created: i64,
    updated: i64,
    pub(super) version: u64,
    status: Status,
}

#[derive(Clone, Debug, PartialEq)]
enum Status {
    Claimed(i64),
    Retryable(Option<Value>),
    Completed(Value),
    Failed(Value),
}

impl Call {
    pub(crate) fn state(&self, now: i64) -> &'static str {
        match &self.status {
            Status::Claimed(end) if *end > now => "claimed",
            Status::Claimed(_) => "unknown",
            Status::Retryable(_) => "retryable",
            Status::Completed(_) => "completed",
            Status::Failed(_) => "failed",
        }
    }

    /// The time by which the calls in a state are in order.
    pub(crate) fn order(&self) -> i64 {
        match &self.status {
            Status::Claimed(end) => *end,
            _ => self.updated,
        }
    }

    fn expires(&self) -> Option<i64> {
        let finished = matches!(self.status, Status::Completed(_) | Status::Failed(_));
        let keep = self.keep.filter(|_| finished)?;
        Some(self.updated.saturating_add(keep).min(limits::TIME_MAX_US))
    }

    /// When it was settled, if it is.
    pub(super) fn settled(&self) -> Option<i64> {
        matches!(self.status, Status::Completed(_) | Status::Failed(_)).then_some(self.updated)
    }

    pub(crate) fn live(&self, now: i64) -> bool {
        is_live(self.expires(), now)
    }

    fn has_attempts_left(&self) -> bool {
        self.max_attempts.is_none_or(|most| self.attempt < most)
    }

    pub(crate) fn entry(&self, (owner, key): &Place, now: i64) -> Value {
        let entry = json!({
            "owner": owner, "key": key, "tool": self.tool, "arguments": self.arguments, "state": self.state(now),
            "epoch": self.epoch, "attempt": self.attempt, "idempotent": self.idempotent,
            "resolved": self.resolved, "created": time(self.created), "updated": time(self.updated),
            "version": self.version,
        });
        let (lease, result, error) = match &self.status {
            Status::Claimed(end) => (Some(time(*end)), None, None),
            Status::Retryable(error) => (None, None, error.clone()),
            Status::Completed(result) => (None, Some(result.clone()), None),
            Status::Failed(error) => (None, None, Some(error.clone())),
        };
        with(
            entry,
            &[
                ("lease_end", lease),
                ("result", result),
                ("error", error),
                ("max_attempts", self.max_attempts.map(Value::from)),
                ("worker", self.worker.clone().map(Value::from)),
                ("progress", self.progress.clone()),
                ("expires", self.expires().map(time)),
            ],
        )
    }
}

fn place(fields: &Value) -> Result<Place, Code> {
    let place = (text(fields, "owner"), text(fields, "key"));
    check_id(&place.0)?;
    check_id(&place.1)?;
    Ok(place)
}

impl Namespace {
    /// The calls that are still kept, by owner and key.
    pub(crate) fn live_calls(&self, now: i64) -> impl Iterator<Item = (&Place, &Rc<Call>)> {
        self.calls.iter().filter(move |(_, call)| call.live(now))
    }

    fn call(&self, place: &Place, now: i64) -> Option<Call> {
        self.calls.get(place).filter(|call| call.live(now)).map(|call| Call::clone(call))
    }

    fn call_of_epoch(&self, place: &Place, fields: &Value, now: i64) -> Result<Call, Code> {
        let call = self.call(place, now).ok_or(Code::ToolCallNotFound)?;
        if fields["epoch"].as_u64() == Some(call.epoch) { Ok(call) } else { Err(Code::ToolCallFenced) }
    }

    fn keep_call(&mut self, place: Place, mut call: Call, moment: &Moment<'_>) {
        (call.updated, call.version) = (moment.now, moment.lsn);
        Rc::make_mut(&mut self.calls).insert(place, Rc::new(call));
    }

    pub(super) fn call_operation(&mut self, name: &str, fields: &Value, moment: &mut Moment<'_>) -> Decision {
        let place = place(fields)?;
        match name {
            "tool_call.claim" => self.claim(place, fields, moment),
            "tool_call.complete" => self.complete(place, fields, moment),
            "tool_call.fail" => self.fail(place, fields, moment),
            "tool_call.renew" => self.renew(place, fields, moment),
            "tool_call.resolve" => self.resolve(place, fields, moment),
            _ => {
                let Some(call) = self.call(&place, moment.now) else {
                    return Ok((json!({"deleted": false}), false));
                };
                match call.state(moment.now) {
                    "claimed" => return Err(Code::ToolCallRunning),
                    "unknown" => return Err(Code::ToolCallUnknown),
                    _ => Rc::make_mut(&mut self.calls).remove(&place),
                };
                Ok((json!({"deleted": true}), true))
            }
        }
    }

    fn claim(&mut self, place: Place, fields: &Value, moment: &Moment<'_>) -> Decision {
        let (tool, worker) = (text(fields, "tool"), given_text(fields, "worker"));
        check_id(&tool)?;
        worker.as_deref().map_or(Ok(()), check_id)?;
        let arguments = fields["arguments"].clone();
        check_value(&arguments)?;
        if fields["max_attempts"] == 0 {
            return Err(Code::InvalidValue);
        }
        let lease = fields["lease_us"].as_i64().unwrap_or(limits::TOOL_CALL_LEASE_US);
        let lease_end = moment.expiry(&json!(lease))?.unwrap_or_default();
        moment.expiry(&fields["keep_us"])?;
        let found = self.call(&place, moment.now);
        if let Some(call) = &found {
            if call.tool != tool || call.arguments != arguments {
                return Err(Code::ToolCallMismatch);
            }
            let finished = time(call.updated);
            match &call.status {
                Status::Completed(result) => {
                    let answer = json!({"outcome": "completed", "result": result, "finished": finished});
                    return Ok((answer, false));
                }
                Status::Failed(error) => {
                    return Ok((json!({"outcome": "failed", "error": error, "finished": finished}), false));
                }
                Status::Claimed(end) if *end > moment.now => return Err(Code::ToolCallRunning),
                Status::Claimed(_) if !(call.idempotent && call.has_attempts_left()) => {
                    return Err(Code::ToolCallUnknown);
                }
                _ => {}
            }
        }
        let (attempt, progress, created) = match found {
            Some(call) => (call.attempt + 1, call.progress, call.created),
            None => (1, None, moment.now),
        };
        let answer = json!({
            "outcome": "claimed", "epoch": moment.lsn, "attempt": attempt, "lease_end": time(lease_end),
        });
        let answer = with(answer, &[("progress", progress.clone())]);
        let call = Call {
            tool,
            arguments,
            epoch: moment.lsn,
            attempt,
            idempotent: fields["idempotent"] == true,
            max_attempts: fields["max_attempts"].as_u64(),
            worker,
            lease,
            keep: fields["keep_us"].as_i64(),
            progress,
            resolved: false,
            created,
            updated: moment.now,
            version: moment.lsn,
            status: Status::Claimed(lease_end),
        };
        self.keep_call(place, call, moment);
        Ok((answer, true))
    }

    fn complete(&mut self, place: Place, fields: &Value, moment: &Moment<'_>) -> Decision {
        check_value(&fields["result"])?;
        let mut call = self.call_of_epoch(&place, fields, moment.now)?;
        let done = |call: &Call| {
            with(json!({"finished": time(call.updated)}), &[("expires", call.expires().map(time))])
        };
        match &call.status {
            Status::Claimed(_) => {}
            Status::Completed(result) if *result == fields["result"] => return Ok((done(&call), false)),
            _ => return Err(Code::ToolCallFinished),
        }
        (call.status, call.updated) = (Status::Completed(fields["result"].clone()), moment.now);
        let answer = done(&call);
        self.keep_call(place, call, moment);
        Ok((answer, true))
    }

    fn fail(&mut self, place: Place, fields: &Value, moment: &Moment<'_>) -> Decision {
        let error = fields["error"].clone();
        check_value(&error)?;
        let mut call = self.call_of_epoch(&place, fields, moment.now)?;
        let again = fields["retry"] == true && call.has_attempts_left();
        let status = if again { Status::Retryable(Some(error)) } else { Status::Failed(error) };
        let failed = |call: &Call| {
            let answer = json!({"state": call.state(moment.now), "finished": time(call.updated)});
            with(answer, &[("expires", call.expires().map(time))])
        };
        match &call.status {
            told if *told == status => return Ok((failed(&call), false)),
            Status::Claimed(_) => {}
            _ => return Err(Code::ToolCallFinished),
        }
        (call.status, call.updated) = (status, moment.now);
        let answer = failed(&call);
        self.keep_call(place, call, moment);
        Ok((answer, true))
    }

    fn renew(&mut self, place: Place, fields: &Value, moment: &Moment<'_>) -> Decision {
        check_value(&fields["progress"])?;
        let mut call = self.call_of_epoch(&place, fields, moment.now)?;
        if !matches!(call.status, Status::Claimed(_)) {
            return Err(Code::ToolCallFinished);
        }
        let lease = fields["lease_us"].as_i64().unwrap_or(call.lease);
        let lease_end = moment.expiry(&json!(lease))?.unwrap_or_default();
        call.status = Status::Claimed(lease_end);
        call.progress = fields.get("progress").cloned().or(call.progress);
        self.keep_call(place, call, moment);
        Ok((json!({"lease_end": time(lease_end)}), true))
    }

    fn resolve(&mut self, place: Place, fields: &Value, moment: &Moment<'_>) -> Decision {
        let resolution = fields["resolution"].as_str();
        let useless = |field: &str, of: &str| fields.get(field).is_some() && resolution != Some(of);
        if useless("result", "completed") || useless("error", "failed") {
            return Err(Code::InvalidValue);
        }
        check_value(&fields["result"])?;
        check_value(&fields["error"])?;
        let mut call = self.call_of_epoch(&place, fields, moment.now)?;
        match call.state(moment.now) {
            "claimed" => return Err(Code::ToolCallRunning),
            "unknown" => {}
            _ => return Err(Code::ToolCallFinished),
        }
        call.status = match resolution {
            Some("completed") => Status::Completed(fields["result"].clone()),
            Some("failed") => Status::Failed(fields["error"].clone()),
            _ => {
                call.attempt = 0;
                Status::Retryable(None)
            }
        };
        (call.epoch, call.resolved, call.updated) = (moment.lsn, true, moment.now);
        let answer = json!({"state": call.state(moment.now), "epoch": call.epoch});
        let answer = with(answer, &[("expires", call.expires().map(time))]);
        self.keep_call(place, call, moment);
        Ok((answer, true))
    }
}
