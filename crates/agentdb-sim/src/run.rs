//! One run: a schedule drawn from a seed, the engine stepped by it, the model beside it.

use std::collections::BTreeMap;
use std::path::Path;

use agentdb_engine::modules::{namespace, state};
use agentdb_engine::{
    Ack, Batch, Committed, Engine, NamespaceId, Options, Snapshot, Task, Ticket, WriteOptions,
};
use agentdb_env::Env;
use agentdb_env::sim::{Random, World};
use agentdb_types::{Code, Error, Result, limits};
use serde_json::Value;

use crate::generate::{self, OWNERS};
use crate::model::{Answer, Model, Request};
use crate::report::{Failure, Report};

/// How long a run is.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Requests and reads.
    pub operations: u64,
    /// Restarts: losses of power, kills, failures of the disk.
    pub crashes: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Plan { operations: 500, crashes: 3 }
    }
}

/// Plays one seed.
///
/// # Errors
/// A [`Failure`] if the engine differs from the model in anything.
pub fn run(seed: u64, plan: Plan) -> Result<Report, Box<Failure>> {
    let mut sim = Sim::new(seed);
    let result = sim.play(plan);
    sim.report.trace ^= sim.world.trace_hash();
    match result {
        Ok(()) => Ok(sim.report),
        Err(what) => Err(Box::new(Failure { seed, what, trace: sim.trace })),
    }
}

type Check<T = ()> = std::result::Result<T, String>;

/// A request that was queued, and what the model said when it was decided.
struct InFlight {
    request: Request,
    ticket: InFlightTicket,
    predicted: Option<Answer>,
}

enum InFlightTicket {
    Batch(Ticket<Vec<Value>>),
    Create(Ticket<namespace::Created>),
    Delete(Ticket<namespace::Deleted>),
}

struct Sim {
    world: World,
    env: Env,
    dice: Random,
    engine: Option<Engine>,
    /// Everything that is decided.
    model: Model,
    /// The model and the log time after each LSN that may be in the log.
    history: BTreeMap<u64, (Model, i64)>,
    /// The digest of the default namespace at some LSNs.
    digests: BTreeMap<u64, String>,
    in_flight: Vec<InFlight>,
    with_key: Vec<Request>,
    kept: Vec<(Snapshot, Model, i64)>,
    handles: BTreeMap<u64, NamespaceId>,
    durable: u64,
    written: u64,
    log_time: i64,
    /// The furthest that the wall clock was believed, and the elapsed time then.
    believed: (i64, u64),
    armed: bool,
    broken: bool,
    restarts: u64,
    report: Report,
    trace: Vec<String>,
}

fn options() -> Options {
    Options {
        background: false,
        memtable_bytes: 6 << 10,
        cache_bytes: 1 << 20,
        log: agentdb_log::Options { first_segment_bytes: 16 << 10, segment_bytes: 64 << 10 },
        log_retention_bytes: 256 << 10,
        ..Options::default()
    }
}

const DIR: &str = "/data/db";

impl Sim {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let model = Model::default();
        Sim {
            env: world.env(),
            world,
            dice: Random::new(seed ^ 0x5eed),
            engine: None,
            history: [(0, (model.clone(), 0))].into(),
            model,
            digests: BTreeMap::new(),
            in_flight: Vec::new(),
            with_key: Vec::new(),
            kept: Vec::new(),
            handles: BTreeMap::new(),
            durable: 0,
            written: 0,
            log_time: 0,
            believed: (0, 0),
            armed: false,
            broken: false,
            restarts: 0,
            report: Report::default(),
            trace: Vec::new(),
        }
    }

    fn say(&mut self, line: String) {
        self.report.hash(&line);
        self.trace.push(line);
    }

    fn play(&mut self, plan: Plan) -> Check {
        self.open()?;
        let every = plan.operations / (plan.crashes + 1);
        let mut done = 0;
        while done < plan.operations || self.restarts < plan.crashes {
            if self.broken || self.world.is_off() {
                self.restart()?;
            } else if done >= (self.restarts + 1) * every && self.restarts < plan.crashes {
                self.arm_or_crash()?;
                continue;
            }
            done += self.turn()?;
        }
        self.restart()?;
        self.finish()
    }

    /// One random act; returns how many operations it was.
    fn turn(&mut self) -> Check<u64> {
        match self.dice.below(20) {
            0..=8 => {
                self.submit()?;
                return Ok(1);
            }
            9..=11 => self.sequence()?,
            12 => self.task(Task::Sync)?,
            13 => self.task(Task::Drain)?,
            14 => {
                let task = [Task::Stamp, Task::Freeze, Task::PrepareSegment][self.dice.below(3) as usize];
                self.task(task)?;
            }
            15 => self.sweep()?,
            16 => self.world.advance_us(self.dice.below(4_000_000)),
            17 if self.ahead() > limits::CLOCK_JUMP_US || self.dice.chance(1, 6) => self.jump(),
            18 => self.keep()?,
            _ => {
                self.read()?;
                return Ok(1);
            }
        }
        Ok(0)
    }

    fn engine(&self) -> Check<Engine> {
        self.engine.clone().ok_or_else(|| "no engine is open".to_owned())
    }

    fn jump(&mut self) {
        let forward = self.dice.chance(1, 2);
        let ahead = self.ahead();
        let by = if ahead > limits::CLOCK_JUMP_US {
            // Someone corrects the clock.
            -ahead
        } else if forward {
            2 * limits::CLOCK_JUMP_US
        } else {
            -(self.dice.below(7_200_000_000) as i64)
        };
        self.world.jump_wall_us(by);
        self.say(format!("the clock jumps by {by}"));
        self.report.count(if forward { "clock jumps forward" } else { "clock jumps back" }, 1);
    }

    /// By how much the wall clock is ahead of what was believed of it and the time that passed since.
    fn ahead(&self) -> i64 {
        let passed = self.env.clock.monotonic_us() - self.believed.1;
        self.env.clock.wall().micros() - self.believed.0.saturating_add_unsigned(passed)
    }

    /// What a handle believes when it is opened: the log's last time, or the wall clock if that is further.
    fn start_clock(&mut self) {
        self.believed = (self.log_time, self.env.clock.monotonic_us());
        self.believe();
    }

    /// Believes the wall clock, unless it was set back.
    fn believe(&mut self) {
        let wall = self.env.clock.wall().micros();
        if wall >= self.believed.0 {
            self.believed = (wall, self.env.clock.monotonic_us());
        }
    }

    /// What the engine's clock says next; nothing if it refuses a jump.
    fn advance(&mut self) -> Check<Option<i64>> {
        if self.ahead() > limits::CLOCK_JUMP_US {
            return Ok(None);
        }
        self.believe();
        self.log_time = self.log_time.max(self.env.clock.wall().micros());
        Ok(Some(self.log_time))
    }

    fn submit(&mut self) -> Check {
        let engine = self.engine()?;
        let versions: Vec<u64> = self.history.keys().rev().take(12).copied().collect();
        let namespaces: Vec<u64> = self.handles.keys().copied().collect();
        let reachable = |r: &&Request| self.handles.contains_key(&r.namespace);
        let earlier: Vec<Request> = self.with_key.iter().filter(reachable).cloned().collect();
        let request = generate::request(&mut self.dice, &namespaces, &versions, &earlier);
        let options = WriteOptions {
            ack: if request.written { Ack::Written } else { Ack::Durable },
            idempotency_key: request.idempotency_key.clone(),
            principal: None,
            subject: request.subject.clone(),
        };
        let handle = self.handles.get(&request.namespace).copied().unwrap_or(NamespaceId::DEFAULT);
        let ticket = match queue(&engine, handle, &request, options) {
            Ok(ticket) => ticket,
            Err(err) => return self.excuse("queueing a request", &err),
        };
        self.say(format!("queue {request:?}"));
        for (name, _) in &request.operations {
            self.report.count(&format!("op {name}"), 1);
        }
        if request.operations.len() > 1 {
            self.report.count("batches", 1);
        }
        if request.idempotency_key.is_some() {
            self.with_key.push(request.clone());
        }
        self.in_flight.push(InFlight { request, ticket, predicted: None });
        Ok(())
    }

    /// Lets the model decide everything that is queued, in order, as the engine is about to.
    fn predict(&mut self) -> Check {
        let mut next = 0;
        while next < self.in_flight.len() {
            let Some(now) = self.advance()? else {
                // The first request is refused for the clock; the others wait for the next step.
                self.in_flight[next].predicted = Some(Err(Code::ClockJump));
                return Ok(());
            };
            let before = self.model.lsn;
            let answer = self.model.decide(&self.in_flight[next].request, now);
            self.in_flight[next].predicted = Some(answer);
            if self.model.lsn != before {
                self.history.insert(self.model.lsn, (self.model.clone(), now));
            }
            next += 1;
        }
        Ok(())
    }

    fn sequence(&mut self) -> Check {
        let engine = self.engine()?;
        self.predict()?;
        self.report.count("task Sequence", 1);
        self.say(format!("commit up to {}", self.model.lsn));
        if let Err(err) = engine.step(Task::Sequence) {
            self.excuse("a commit", &err)?;
        }
        let decided = self.in_flight.iter().take_while(|f| f.predicted.is_some()).count();
        let rest = self.in_flight.split_off(decided);
        for flight in std::mem::replace(&mut self.in_flight, rest) {
            self.check_answer(flight)?;
        }
        if !self.broken {
            self.record_digest(&engine)?;
        }
        Ok(())
    }

    fn check_answer(&mut self, flight: InFlight) -> Check {
        let InFlight { request, ticket, predicted } = flight;
        let Some(answer) = take(ticket) else { return Err(format!("no answer to {request:?}")) };
        let predicted = predicted.ok_or("an answer before its decision")?;
        self.say(format!("answer {answer:?}"));
        match (answer, predicted) {
            (Ok(answer), Ok((lsn, responses))) => {
                if (answer.lsn.0, &answer.response) != (lsn, &responses) {
                    return Err(format!("{request:?} was answered {answer:?}, not {lsn} {responses:?}"));
                }
                self.report.count(if request.written { "ack written" } else { "ack durable" }, 1);
                let acked = if request.written { &mut self.written } else { &mut self.durable };
                *acked = (*acked).max(lsn);
                Ok(())
            }
            (Err(err), Err(code)) if err.code() == code => {
                self.report.count(&format!("refused {code}"), 1);
                Ok(())
            }
            (Err(err), predicted) => {
                let unknown = matches!(err.code(), Code::OutcomeUnknown | Code::Poisoned | Code::Closed);
                if !unknown {
                    return Err(format!("{request:?} was refused with {err}, expected {predicted:?}"));
                }
                self.report.count("outcome unknown", 1);
                self.excuse("a commit", &err)
            }
            (Ok(answer), Err(code)) => {
                Err(format!("{request:?} was answered {answer:?}, not refused with {code}"))
            }
        }
    }

    /// A failure is in order only if something was broken on purpose.
    fn excuse(&mut self, what: &str, err: &Error) -> Check {
        if !self.armed && !self.broken {
            return Err(format!("{what} failed without a fault: {err}"));
        }
        self.broken = true;
        self.say(format!("{what} failed: {err}"));
        Ok(())
    }

    fn task(&mut self, task: Task) -> Check {
        let engine = self.engine()?;
        self.report.count(&format!("task {task:?}"), 1);
        let result = engine.step(task);
        self.say(format!("{task:?} {result:?}"));
        match result {
            Ok(worked) => {
                if worked {
                    self.report.count(&format!("worked {task:?}"), 1);
                }
                if task == Task::Sync {
                    self.durable = self.durable.max(self.written);
                }
                Ok(())
            }
            Err(err) => {
                // The log makes the segment itself if this failed: the handle goes on.
                let harmless = task == Task::PrepareSegment;
                let was_broken = self.broken;
                self.excuse("a task", &err)?;
                self.broken = was_broken || !harmless;
                Ok(())
            }
        }
    }

    /// Sweeping takes LSNs that the model does not count, but changes nothing that anyone sees.
    fn sweep(&mut self) -> Check {
        while !self.in_flight.is_empty() && !self.broken {
            self.sequence()?;
        }
        let engine = self.engine()?;
        let refused = self.advance()?.is_none();
        let result = engine.step(Task::Sweep);
        let now = self.log_time.max(self.env.clock.wall().micros());
        self.log_time = if refused { self.log_time } else { now };
        self.say(format!("sweep {result:?}"));
        // Two batches at most: one that sweeps, one that forgets a swept namespace.
        let reached = match &result {
            Ok(_) => engine.lsn().0,
            Err(err) if err.code() == Code::ClockJump => self.model.lsn,
            Err(_) => self.model.lsn + 2,
        };
        for lsn in self.model.lsn + 1..=reached {
            self.report.count("swept batches", 1);
            let mut model = self.model.clone();
            model.lsn = lsn;
            self.history.insert(lsn, (model, self.log_time));
        }
        match result {
            Ok(_) => {
                // What swept was committed durably, and with it everything before.
                if reached > self.model.lsn {
                    self.durable = reached;
                }
                self.model.lsn = reached;
                self.record_digest(&engine)
            }
            Err(err) if refused && err.code() == Code::ClockJump => Ok(()),
            Err(err) => self.excuse("sweeping", &err),
        }
    }

    fn record_digest(&mut self, engine: &Engine) -> Check {
        if !self.dice.chance(1, 3) {
            return Ok(());
        }
        self.advance()?;
        match engine.digest(NamespaceId::DEFAULT) {
            Ok((lsn, digest)) => {
                let digest = digest.to_string();
                let before = self.digests.insert(lsn.0, digest.clone());
                match before.filter(|b| *b != digest) {
                    Some(before) => Err(format!("at LSN {lsn} the digest was {before} and is {digest}")),
                    None => Ok(()),
                }
            }
            Err(err) => self.excuse("a digest", &err),
        }
    }

    fn visible_model(&self, lsn: u64) -> Check<&Model> {
        self.history.get(&lsn).map(|(model, _)| model).ok_or_else(|| format!("LSN {lsn} was never decided"))
    }

    fn read(&mut self) -> Check {
        let engine = self.engine()?;
        self.report.count("op reads", 1);
        self.check_visible(&engine)?;
        for (snapshot, model, now) in std::mem::take(&mut self.kept) {
            self.report.count("kept snapshots", 1);
            check_states(&engine, &snapshot, &model, 1, now)?;
        }
        Ok(())
    }

    fn keep(&mut self) -> Check {
        let engine = self.engine()?;
        self.advance()?;
        match engine.snapshot(NamespaceId::DEFAULT) {
            Ok(snapshot) => {
                let model = self.visible_model(snapshot.lsn().0)?.clone();
                self.kept.push((snapshot, model, self.log_time));
                Ok(())
            }
            Err(err) => self.excuse("a snapshot", &err),
        }
    }

    /// Compares everything that can be read with the model, and learns the handles of new namespaces.
    fn check_visible(&mut self, engine: &Engine) -> Check {
        self.advance()?;
        let model = self.visible_model(engine.lsn().0)?.clone();
        for (name, number) in &model.names {
            let handle = engine.namespace(name).map_err(|e| format!("namespace {name}: {e}"))?;
            if handle.number() != *number {
                return Err(format!("namespace {name} has number {}, not {number}", handle.number()));
            }
            self.handles.insert(*number, handle);
        }
        self.handles.insert(1, NamespaceId::DEFAULT);
        for (number, _) in model.namespaces.iter() {
            let Some(handle) = self.handles.get(number) else { continue };
            let snapshot = match engine.snapshot(*handle) {
                Ok(snapshot) => snapshot,
                // Deleted by a batch that is decided but not published.
                Err(err) if err.code() == Code::NamespaceNotFound => continue,
                Err(err) => return self.excuse("a read", &err),
            };
            check_states(engine, &snapshot, &model, *number, self.log_time)?;
        }
        Ok(())
    }

    /// Breaks something, now or soon.
    fn arm_or_crash(&mut self) -> Check {
        if self.armed {
            // What was armed has not struck: pull the plug.
            self.broken = true;
            return Ok(());
        }
        self.armed = true;
        let faults = self.world.faults();
        let name = match self.dice.below(8) {
            0..=2 => {
                faults.crash_after(self.dice.below(60));
                "power loss in an operation"
            }
            3 => {
                faults.fail_sync(1 + self.dice.below(6));
                "failed sync"
            }
            4 => {
                faults.fail_write(1 + self.dice.below(10));
                "failed write"
            }
            5 => {
                faults.set_capacity(Some(self.dice.below(1 << 20)));
                "disk full"
            }
            6 => {
                faults.set_read_only(true);
                "read-only disk"
            }
            _ => {
                self.broken = true;
                "power loss between operations"
            }
        };
        self.say(format!("arm: {name}"));
        self.report.count(&format!("fault {name}"), 1);
        // Give it some operations to strike.
        for _ in 0..30 {
            if self.broken || self.world.is_off() {
                break;
            }
            self.turn()?;
        }
        self.broken = true;
        Ok(())
    }

    /// Ends the process, with or without the machine, and opens again.
    fn restart(&mut self) -> Check {
        self.restarts += 1;
        self.kept.clear();
        self.in_flight.clear();
        let power_loss = self.world.is_off() || self.dice.chance(2, 3);
        self.end(power_loss);
        if self.dice.chance(1, 3) {
            // Trouble while recovering.
            self.world.faults().crash_after(self.dice.below(40));
            if self.open().is_err() {
                self.report.count("crashes while recovering", 1);
            }
            self.end(true);
            return self.reopen(true);
        }
        self.reopen(power_loss)
    }

    fn end(&mut self, power_loss: bool) {
        self.say(format!("restart, power loss: {power_loss}"));
        if power_loss {
            let mut dice = Random::new(self.dice.next_u64());
            self.world.crash(&mut dice);
        } else {
            self.world.process_kill();
        }
        if let Some(engine) = self.engine.take() {
            self.count_mutations(&engine);
        }
        let faults = self.world.faults();
        faults.clear();
        faults.set_capacity(None);
        faults.set_read_only(false);
        self.armed = false;
        self.broken = false;
        self.report.count(if power_loss { "power losses" } else { "process kills" }, 1);
    }

    fn count_mutations(&mut self, engine: &Engine) {
        for (name, by) in ["put", "delete", "add", "splice"].iter().zip(engine.mutations()) {
            self.report.count(&format!("mutation {name}"), by);
        }
    }

    fn open(&mut self) -> Check {
        let engine =
            Engine::open(&self.env, Path::new(DIR), options()).map_err(|e| format!("opening: {e:?}"))?;
        self.engine = Some(engine);
        self.handles = [(1, NamespaceId::DEFAULT)].into();
        self.start_clock();
        Ok(())
    }

    fn reopen(&mut self, power_loss: bool) -> Check {
        self.open()?;
        let engine = self.engine()?;
        let lsn = engine.lsn().0;
        self.say(format!("recovered LSN {lsn} of {}", self.model.lsn));
        if lsn < self.durable {
            return Err(format!("LSN {} was acknowledged as durable, {lsn} was recovered", self.durable));
        }
        if !power_loss && lsn < self.written {
            return Err(format!(
                "LSN {} was handed to the system, {lsn} was recovered after a kill",
                self.written
            ));
        }
        let Some((model, time)) = self.history.get(&lsn).cloned() else {
            return Err(format!("LSN {lsn} was recovered and never decided"));
        };
        self.report
            .count("recovered unacknowledged batches", lsn.saturating_sub(self.durable.max(self.written)));
        self.report.count("lost unacknowledged batches", self.model.lsn.saturating_sub(lsn));
        self.model = model;
        self.log_time = time;
        self.start_clock();
        self.history.retain(|l, _| *l <= lsn);
        self.digests.retain(|l, _| *l <= lsn);
        self.written = lsn;
        // Opening syncs what it found.
        self.durable = lsn;
        self.check_visible(&engine)?;
        let expected = self.digests.get(&lsn).cloned();
        let (_, digest) = engine.digest(NamespaceId::DEFAULT).map_err(|e| format!("digest: {e}"))?;
        match expected.filter(|e| *e != digest.to_string()) {
            Some(expected) => Err(format!("the digest at LSN {lsn} was {expected} and is {digest}")),
            None => Ok(()),
        }
    }

    /// Closes in order; nothing may be lost then.
    fn finish(&mut self) -> Check {
        while !self.in_flight.is_empty() {
            self.sequence()?;
        }
        for (name, by) in self.world.counters() {
            self.report.count(&format!("disk {name}"), by);
        }
        let engine = self.engine.take().ok_or("no engine is open")?;
        self.count_mutations(&engine);
        self.kept.clear();
        engine.close().map_err(|e| format!("closing: {e}"))?;
        let last = self.model.lsn;
        self.world.process_kill();
        self.open()?;
        match self.engine()?.lsn().0 {
            lsn if lsn == last => Ok(()),
            lsn => Err(format!("closed at LSN {last}, opened at {lsn}")),
        }
    }
}

fn queue(
    engine: &Engine,
    handle: NamespaceId,
    request: &Request,
    options: WriteOptions,
) -> Result<InFlightTicket> {
    match &request.operations[..] {
        [("namespace.create", fields)] => {
            let create: namespace::Create = agentdb_engine::decode(fields.clone())?;
            engine.write(handle, create, options).map(InFlightTicket::Create)
        }
        [("namespace.delete", fields)] => {
            let delete: namespace::Delete = agentdb_engine::decode(fields.clone())?;
            engine.write(handle, delete, options).map(InFlightTicket::Delete)
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
        InFlightTicket::Delete(mut ticket) => {
            ticket.try_take().map(|a| a.map(|c| Committed { lsn: c.lsn, response: json(c.response.number) }))
        }
    }
}

/// Compares the states of every owner with the model, forwards and backwards.
fn check_states(engine: &Engine, snapshot: &Snapshot, model: &Model, number: u64, now: i64) -> Check {
    let Some(namespace) = model.namespaces.get(&number) else { return Ok(()) };
    for owner in OWNERS {
        let mut expected = namespace.live(owner, now);
        for reverse in [false, true] {
            let list = state::List {
                owner: owner.to_owned(),
                prefix: String::new(),
                limit: None,
                cursor: None,
                reverse,
            };
            let found = engine.read(snapshot, list).map_err(|e| format!("listing {owner}: {e}"))?;
            let found = serde_json::to_value(&found.items).map_err(|e| e.to_string())?;
            if found != Value::Array(expected.clone()) {
                let lsn = snapshot.lsn();
                return Err(format!("at LSN {lsn}, {owner} in {number} has {found}, not {expected:?}"));
            }
            expected.reverse();
        }
    }
    Ok(())
}
