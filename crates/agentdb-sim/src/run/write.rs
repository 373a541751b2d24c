//! Writes: queueing them, committing what has queued, uploading blobs, and judging the answers.

use agentdb_engine::modules::{blob, collection, namespace, record};
use agentdb_engine::{Ack, Batch, Committed, Engine, NamespaceId, Task, Ticket, WriteOptions};
use agentdb_types::{Code, Result, limits};
use serde_json::Value;

use super::Sim;
use crate::check::Check;
use crate::generate::{self, Scene};
use crate::model::blob::{CONTENTS, check_upload, content};
use crate::model::{Answer, Request};

/// A request that was queued, and what the model said when it was decided.
pub(super) struct InFlight {
    request: Request,
    ticket: InFlightTicket,
    predicted: Option<Answer>,
}

enum InFlightTicket {
    Batch(Ticket<Vec<Value>>),
    Create(Ticket<namespace::Created>),
    Delete(Ticket<namespace::Deleted>),
    Rename(Ticket<collection::Renamed>),
    DeleteWhere(Ticket<record::DeletedWhere>),
}

fn options(request: &Request) -> WriteOptions {
    WriteOptions {
        ack: if request.written { Ack::Written } else { Ack::Durable },
        idempotency_key: request.idempotency_key.clone(),
        principal: None,
        subject: request.subject.clone(),
    }
}

impl Sim {
    pub(super) fn submit(&mut self) -> Check {
        let engine = self.engine()?;
        let versions: Vec<u64> = self.history.keys().rev().take(12).copied().collect();
        let namespaces: Vec<u64> = self.handles.keys().copied().collect();
        let reachable = |r: &&Request| self.handles.contains_key(&r.namespace);
        let earlier: Vec<&Request> = self.with_key.iter().filter(reachable).collect();
        let scene = Scene {
            model: &self.model,
            now: self.log_time,
            namespaces: &namespaces,
            versions: &versions,
            past: &self.history,
            earlier: &earlier,
        };
        let mut request = generate::request(&mut self.dice, &scene);
        request.written |= self.hasty;
        self.say(format!("{request:?}"));
        self.count(&request);
        if request.idempotency_key.is_some() {
            self.with_key.push(request.clone());
        }
        let handle = self.handles.get(&request.namespace).copied().unwrap_or(NamespaceId::DEFAULT);
        if let ([("blob.put", _)], None) = (&request.operations[..], request.malformed) {
            return self.upload(&engine, handle, request);
        }
        // Only a group of nothing but such requests is not synced.
        let alone = request.written && request.malformed.is_none() && self.dice.chance(1, 3);
        if alone {
            self.sequence_all()?;
        }
        // Preparing the request looks at what is visible now.
        let visible = self.visible_model(engine.lsn().0)?.namespaces.get(&request.namespace);
        request.seen = visible.and_then(|namespace| namespace.item_index.clone());
        if let Err(code) = self.arrive(&engine, &mut request)? {
            return match queue(&engine, handle, &request) {
                Err(err) if err.code() == code => {
                    self.count_refusal(&request, code);
                    Ok(())
                }
                Err(err) => self.excuse("queueing a deletion by a filter", &err),
                Ok(_) => Err(format!("{request:?} was queued, not refused with {code}")),
            };
        }
        match (queue(&engine, handle, &request), request.malformed) {
            (Ok(ticket), None) => {
                self.in_flight.push(InFlight { request, ticket, predicted: None });
                if alone { self.sequence() } else { Ok(()) }
            }
            (Err(err), Some(code)) if err.code() == code => {
                self.report.count(&format!("refused {code}"), 1);
                Ok(())
            }
            (Err(err), None) => self.excuse("queueing a request", &err),
            (result, Some(code)) => {
                let result = result.map(drop);
                Err(format!("{request:?} was queued with {result:?}, not refused with {code}"))
            }
        }
    }

    /// Notes what a deletion by a filter finds when it arrives, or how it is refused then.
    fn arrive(&mut self, engine: &Engine, request: &mut Request) -> Check<Result<(), Code>> {
        let [("record.delete_where", fields)] = &request.operations[..] else { return Ok(Ok(())) };
        let limit = fields["limit"].as_u64().unwrap_or(1_000);
        if !(1..=limits::DELETE_WHERE as u64).contains(&limit) {
            return Ok(Err(Code::PageTooLarge));
        }
        // Of one that is gone nothing is read, and the clock is not looked at.
        if !self.visible_model(engine.lsn().0)?.namespaces.contains_key(&request.namespace) {
            return Ok(Err(Code::NamespaceNotFound));
        }
        self.advance()?;
        let visible = self.visible_model(engine.lsn().0)?.namespaces.get(&request.namespace);
        let found = visible.ok_or(Code::NamespaceNotFound);
        Ok(found.and_then(|namespace| namespace.find_where(fields, self.log_time)).map(|found| {
            request.found = found;
        }))
    }

    fn count(&mut self, request: &Request) {
        if request.malformed.is_some() {
            return;
        }
        for (name, _) in &request.operations {
            self.report.count(&format!("op {name}"), 1);
        }
        let mut nouns: Vec<&str> =
            request.operations.iter().filter_map(|(n, _)| n.split('.').next()).collect();
        nouns.sort_unstable();
        nouns.dedup();
        self.report.count("batches", u64::from(request.operations.len() > 1));
        self.report.count("batches of several nouns", u64::from(nouns.len() > 1));
    }

    /// Counts what an operation was refused for itself. Of several it is not told which one was.
    fn count_refusal(&mut self, request: &Request, code: Code) {
        let [(name, _)] = &request.operations[..] else { return };
        let of_the_request = match code {
            Code::ClockJump | Code::IdempotencyConflict => true,
            Code::NamespaceNotFound => request.namespace != 0,
            _ => false,
        };
        if !of_the_request {
            self.report.count(&format!("refused {name}"), 1);
        }
    }

    /// Lets the model decide everything that is queued, in order, as the engine is about to.
    fn predict(&mut self) -> Check {
        let mut flights = std::mem::take(&mut self.in_flight);
        for flight in flights.iter_mut().filter(|f| f.predicted.is_none()) {
            flight.predicted = Some(match self.group_time()? {
                Some(now) => self.decide(&flight.request, now),
                None => Err(Code::ClockJump),
            });
        }
        self.in_flight = flights;
        Ok(())
    }

    /// The log time of the open group: that of the first request that was decided into it.
    fn group_time(&mut self) -> Check<Option<i64>> {
        if self.open_time.is_none() {
            self.open_time = self.advance()?;
        }
        Ok(self.open_time)
    }

    /// Decides what is queued into the open group, which is committed later: by a commit, or, for those who wait for no
    /// sync, at once.
    pub(super) fn decide_some(&mut self) -> Check {
        let engine = self.engine()?;
        let undecided = self.in_flight.iter().filter(|f| f.predicted.is_none()).count();
        self.predict()?;
        self.say(format!("decide up to {}", self.model.lsn));
        match engine.step(Task::Decide) {
            Ok(worked) if worked != (undecided > 0) => {
                return Err(format!("{undecided} waited to be decided, and deciding told {worked}"));
            }
            Ok(worked) => self.report.count("worked Decide", u64::from(worked)),
            Err(err) => self.excuse("deciding", &err)?,
        }
        let early = |f: &InFlight| f.request.written && f.predicted.as_ref().is_some_and(Result::is_ok);
        if self.in_flight.iter().any(early) || self.broken {
            self.open_time = None;
            for flight in std::mem::take(&mut self.in_flight) {
                if flight.request.written || self.broken {
                    self.check_flight(flight, self.broken)?;
                } else {
                    self.in_flight.push(flight);
                }
            }
        }
        Ok(())
    }

    fn decide(&mut self, request: &Request, now: i64) -> Answer {
        let before = self.model.lsn;
        let answer = self.model.decide(request, now, &mut self.next_ids, &self.history);
        if self.model.lsn != before {
            self.history.insert(self.model.lsn, (self.model.clone(), now));
        }
        answer
    }

    pub(super) fn sequence(&mut self) -> Check {
        let engine = self.engine()?;
        self.predict()?;
        self.report.count("task Sequence", 1);
        self.say(format!("commit up to {}", self.model.lsn));
        if let Err(err) = engine.step(Task::Sequence) {
            self.excuse("a commit", &err)?;
        }
        self.open_time = None;
        for flight in std::mem::take(&mut self.in_flight) {
            self.check_flight(flight, false)?;
        }
        if !self.broken {
            self.record_digest(&engine)?;
        }
        Ok(())
    }

    /// Commits until nothing waits any more, or nothing goes any more.
    pub(super) fn sequence_all(&mut self) -> Check {
        while !self.in_flight.is_empty() && !self.broken {
            self.sequence()?;
        }
        Ok(())
    }

    /// Uploads a blob. Its row is queued behind what waits, and committed with it.
    fn upload(&mut self, engine: &Engine, handle: NamespaceId, request: Request) -> Check {
        let fields = &request.operations[0].1;
        let bytes = &CONTENTS[content(fields)].0;
        let mut put = fields.clone();
        put.as_object_mut().and_then(|fields| fields.remove("content"));
        let put: blob::Put =
            agentdb_engine::decode(put).map_err(|e| format!("{request:?} is no upload: {e}"))?;
        let alive = self.model.namespaces.contains_key(&request.namespace);
        let door = check_upload(fields, alive);
        let predicted = match door {
            Err(code) => Err(code),
            Ok(()) => {
                self.predict()?;
                match self.group_time()? {
                    Some(now) => self.decide(&request, now),
                    None => Err(Code::ClockJump),
                }
            }
        };
        let answer = engine.put_blob(handle, &mut &bytes[..], put, options(&request));
        if door.is_ok() {
            // It looks at the clock, too, to see whether its file is still wanted.
            self.advance()?;
        }
        let answer = answer.map(|committed| {
            let response = serde_json::to_value(&committed.response).unwrap_or_default();
            Committed { lsn: committed.lsn, response: vec![response] }
        });
        let unforeseen =
            matches!((&answer, &predicted), (Err(err), p) if p.as_ref().err() != Some(&err.code()));
        if door.is_ok() {
            self.open_time = None;
            for flight in std::mem::take(&mut self.in_flight) {
                // A fault may have stopped the upload before its row was queued.
                self.check_flight(flight, unforeseen)?;
            }
        }
        if unforeseen && let Err(err) = &answer {
            self.report.count("failed uploads", 1);
            return self.excuse("an upload", err);
        }
        self.check_answer(&request, answer, predicted)?;
        if self.broken { Ok(()) } else { self.record_digest(engine) }
    }

    fn check_flight(&mut self, flight: InFlight, may_wait: bool) -> Check {
        let InFlight { request, ticket, predicted } = flight;
        let predicted = predicted.ok_or("an answer before its decision")?;
        match take(ticket) {
            Some(answer) => self.check_answer(&request, answer, predicted),
            None if may_wait => {
                self.note_decided(&request, &predicted);
                Ok(())
            }
            None => Err(format!("no answer to {request:?}")),
        }
    }

    /// Notes what was decided and will not be answered: it has happened, if it is found in the log.
    fn note_decided(&mut self, request: &Request, predicted: &Answer) {
        if let Ok((lsn, responses)) = predicted {
            self.ledger.note(request, *lsn, responses);
        }
    }

    /// Gives up whoever waits for an answer.
    pub(super) fn note_unheard(&mut self) {
        for flight in std::mem::take(&mut self.in_flight) {
            if let Some(predicted) = &flight.predicted {
                self.note_decided(&flight.request, predicted);
            }
        }
    }

    fn check_answer(
        &mut self,
        request: &Request,
        answer: Result<Committed<Vec<Value>>>,
        predicted: Answer,
    ) -> Check {
        self.say(format!("answer {answer:?}"));
        match (answer, predicted) {
            (Ok(answer), Ok((lsn, responses))) => {
                if (answer.lsn.0, &answer.response) != (lsn, &responses) {
                    return Err(format!("{request:?} was answered {answer:?}, not {lsn} {responses:?}"));
                }
                self.ledger.note(request, lsn, &answer.response);
                self.report.count(if request.written { "ack written" } else { "ack durable" }, 1);
                for (name, _) in &request.operations {
                    self.report.count(&format!("done {name}"), 1);
                }
                let acked = if request.written { &mut self.written } else { &mut self.durable };
                *acked = (*acked).max(lsn);
                Ok(())
            }
            (Err(err), Err(code)) if err.code() == code => {
                self.report.count(&format!("refused {code}"), 1);
                self.count_refusal(request, code);
                Ok(())
            }
            (Err(err), predicted) => {
                let unknown = matches!(err.code(), Code::OutcomeUnknown | Code::Poisoned | Code::Closed);
                if !unknown {
                    return Err(format!("{request:?} was refused with {err}, expected {predicted:?}"));
                }
                self.note_decided(request, &predicted);
                self.report.count("outcome unknown", 1);
                self.excuse("a commit", &err)
            }
            (Ok(answer), Err(code)) => {
                Err(format!("{request:?} was answered {answer:?}, not refused with {code}"))
            }
        }
    }
}

fn queue(engine: &Engine, handle: NamespaceId, request: &Request) -> Result<InFlightTicket> {
    let options = options(request);
    match &request.operations[..] {
        [("namespace.create", fields)] => {
            let create: namespace::Create = agentdb_engine::decode(fields.clone())?;
            engine.write(handle, create, options).map(InFlightTicket::Create)
        }
        [("namespace.delete", fields)] => {
            let delete: namespace::Delete = agentdb_engine::decode(fields.clone())?;
            engine.write(handle, delete, options).map(InFlightTicket::Delete)
        }
        [("collection.rename", fields)] => {
            let rename: collection::Rename = agentdb_engine::decode(fields.clone())?;
            engine.write(handle, rename, options).map(InFlightTicket::Rename)
        }
        [("record.delete_where", fields)] => {
            let delete: record::DeleteWhere = agentdb_engine::decode(fields.clone())?;
            engine.write(handle, delete, options).map(InFlightTicket::DeleteWhere)
        }
        operations => {
            let mut batch = Batch::new();
            for (name, fields) in operations {
                batch.push_json(engine, name, fields.clone())?;
            }
            engine.write_batch(handle, batch, options).map(InFlightTicket::Batch)
        }
    }
}

fn take(ticket: InFlightTicket) -> Option<Result<Committed<Vec<Value>>>> {
    fn json<T: Into<u64>>(number: T) -> Vec<Value> {
        vec![serde_json::json!({"number": number.into()})]
    }
    match ticket {
        InFlightTicket::Batch(mut ticket) => ticket.try_take(),
        InFlightTicket::Create(mut ticket) => {
            ticket.try_take().map(|a| a.map(|c| Committed { lsn: c.lsn, response: json(c.response.number) }))
        }
        InFlightTicket::DeleteWhere(mut ticket) => ticket.try_take().map(|a| {
            a.map(|c| {
                let record::DeletedWhere { deleted, more } = c.response;
                Committed {
                    lsn: c.lsn,
                    response: vec![serde_json::json!({"deleted": deleted, "more": more})],
                }
            })
        }),
        InFlightTicket::Rename(mut ticket) => {
            ticket.try_take().map(|a| a.map(|c| Committed { lsn: c.lsn, response: json(c.response.number) }))
        }
        InFlightTicket::Delete(mut ticket) => {
            ticket.try_take().map(|a| a.map(|c| Committed { lsn: c.lsn, response: json(c.response.number) }))
        }
    }
}
