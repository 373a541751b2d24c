//! One run: a schedule drawn from a seed, the engine stepped by it, the model beside it.

mod backup;
mod crash;
mod fork;
mod job;
mod load;
mod paging;
mod read;
mod task;
mod transfer;
mod watch;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agentdb_engine::{BaseOptions, Engine, NamespaceId, Options, Snapshot, Task};
use agentdb_env::Env;
use agentdb_env::sim::{Random, World};
use agentdb_types::{Error, limits};

use self::paging::Paging;
use self::watch::Watcher;
use self::write::InFlight;
use crate::check::Check;
use crate::ids::Ids;
use crate::ledger::Ledger;
use crate::model::{Model, Request};
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

struct Sim {
    world: World,
    env: Env,
    dice: Random,
    engine: Option<Engine>,
    ids: Arc<Ids>,
    /// The ids that the engine generates next.
    next_ids: Random,
    /// Everything that is decided.
    model: Model,
    /// The model and the log time after each LSN that may be in the log.
    history: BTreeMap<u64, (Model, i64)>,
    /// The digests of namespaces at some LSNs.
    digests: BTreeMap<(u64, u64), String>,
    in_flight: Vec<InFlight>,
    /// Which tools were let run, and what came of it.
    ledger: Ledger,
    with_key: Vec<Request>,
    kept: Vec<Kept>,
    pagings: Vec<Paging>,
    watchers: Vec<Watcher>,
    /// The LSNs of the engine's own batches.
    maintained: BTreeSet<u64>,
    /// The LSN behind which the engine may have swept without anyone having looked at what.
    unwitnessed: Option<u64>,
    handles: BTreeMap<u64, NamespaceId>,
    durable: u64,
    written: u64,
    log_time: i64,
    /// The log time of the engine's open group, if anything was decided into it.
    open_time: Option<i64>,
    /// By how much the wall clock has jumped in all, forward less back.
    jumped: i64,
    /// The furthest that the engine believed the wall clock, and by how much that had jumped.
    believed: (i64, i64),
    armed: bool,
    broken: bool,
    /// Whether all writes ask for the weaker acknowledgement.
    hasty: bool,
    /// Whether a directory was made to fail to sync: the process mostly starts again without a power loss.
    doubting: bool,
    restarts: u64,
    taken: backup::Taken,
    begun: job::Begun,
    transfers: transfer::Transfers,
    loads: load::Loads,
    forks: fork::Forks,
    report: Report,
    trace: Vec<String>,
}

/// A snapshot that is held on to, and what it must show.
struct Kept {
    snapshot: Snapshot,
    model: Model,
    number: u64,
    now: i64,
}

/// Small enough that tables freeze, segments end, the log is trimmed and indexes are compacted in every run.
fn options() -> Options {
    Options {
        background: false,
        memtable_bytes: 4 << 10,
        rows: BaseOptions {
            cache_bytes: 256 << 10,
            step_bytes: 2 << 10,
            run_bytes: 8 << 10,
            level_bytes: 16 << 10,
        },
        compact_entries: 4,
        log: agentdb_log::Options { first_segment_bytes: 16 << 10, segment_bytes: 64 << 10 },
        log_retention_bytes: 32 << 10,
        ..Options::default()
    }
}

/// How much of a line is kept for a failure to show. All of it is hashed.
const LINE: usize = 2_000;

impl Sim {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let mut env = world.env();
        let ids = Ids::install(&mut env);
        let model = Model::default();
        Sim {
            env,
            world,
            dice: Random::new(seed ^ 0x5eed),
            engine: None,
            next_ids: ids.restart(seed),
            ids,
            history: [(0, (model.clone(), 0))].into(),
            model,
            digests: BTreeMap::new(),
            in_flight: Vec::new(),
            ledger: Ledger::default(),
            with_key: Vec::new(),
            kept: Vec::new(),
            pagings: Vec::new(),
            watchers: Vec::new(),
            maintained: BTreeSet::new(),
            unwitnessed: None,
            handles: BTreeMap::new(),
            durable: 0,
            written: 0,
            log_time: 0,
            open_time: None,
            jumped: 0,
            believed: (0, 0),
            armed: false,
            broken: false,
            hasty: false,
            doubting: false,
            restarts: 0,
            taken: backup::Taken::default(),
            begun: job::Begun::default(),
            transfers: transfer::Transfers::default(),
            loads: load::Loads::default(),
            forks: fork::Forks::default(),
            report: Report::default(),
            trace: Vec::new(),
        }
    }

    fn say(&mut self, line: String) {
        self.report.hash(&line);
        let kept = if line.len() <= LINE { line } else { line.chars().take(LINE).chain(['…']).collect() };
        self.trace.push(kept);
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
        if self.is_forking() && self.dice.chance(1, 6) {
            return self.go_on_forking().map(|()| 0);
        }
        match self.dice.below(27) {
            0..=9 => {
                self.submit()?;
                return Ok(1);
            }
            10..=11 => self.sequence()?,
            12 => self.decide_some()?,
            13 => self.task(Task::Sync)?,
            14 => {
                // Pieces: sometimes one, sometimes all of a table or a merge.
                let task = if self.dice.chance(1, 2) { Task::Drain } else { Task::Merge };
                for _ in 0..1 + self.dice.below(6) {
                    if self.broken || self.world.is_off() {
                        break;
                    }
                    self.task(task)?;
                }
            }
            15 => {
                let task = [Task::Stamp, Task::Freeze, Task::PrepareSegment][self.dice.below(3) as usize];
                self.task(task)?;
            }
            16 => {
                let task = if self.dice.chance(1, 2) { Task::Compact } else { Task::Index };
                self.task(task)?;
            }
            17 => self.maintain(Task::Sweep).map(drop)?,
            18 if self.dice.chance(1, 2) => self.maintain(Task::Trim).map(drop)?,
            18 => self.maintain(Task::Collect).map(drop)?,
            19 => self.pass_time(),
            20 if self.ahead() > limits::CLOCK_JUMP_US || self.dice.chance(1, 6) => self.jump(),
            20 if self.dice.chance(1, 6) => self.settle()?,
            21 if self.dice.chance(1, 2) => self.back_up()?,
            21 if self.dice.chance(1, 2) => self.pages()?,
            21 => self.keep()?,
            22 if self.dice.chance(1, 3) => self.jobs()?,
            22 => self.watch()?,
            23 => self.maintain(Task::Retain).map(drop)?,
            26 if self.dice.chance(1, 3) => self.load()?,
            25 | 26 => self.transfer()?,
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

    /// Mostly moments, in which times to live end; now and then hours, in which deleted blobs and outcomes go.
    fn pass_time(&mut self) {
        let us = match self.dice.below(16) {
            0 => self.dice.below(2 * limits::BLOB_KEPT_US.unsigned_abs()),
            1 if self.dice.chance(1, 4) => limits::IDEMPOTENCY_KEPT_US.unsigned_abs(),
            _ => self.dice.below(4_000_000),
        };
        self.world.advance_us(us);
    }

    fn jump(&mut self) {
        let forward = self.dice.chance(1, 2);
        let by = if self.ahead() > limits::CLOCK_JUMP_US {
            // Someone corrects the clock.
            -self.ahead()
        } else if forward {
            2 * limits::CLOCK_JUMP_US
        } else {
            -(self.dice.below(7_200_000_000) as i64)
        };
        self.world.jump_wall_us(by);
        self.jumped += by;
        self.say(format!("the clock jumps by {by}"));
        self.report.count(if forward { "clock jumps forward" } else { "clock jumps back" }, 1);
    }

    /// How far the wall clock is ahead of what the engine believes, the time that passed taken off.
    fn ahead(&self) -> i64 {
        self.jumped - self.believed.1
    }

    /// What an engine that is opened believes: the wall clock, or the log where that is further.
    fn believe(&mut self) {
        let wall = self.env.clock.wall().micros();
        let believed = wall.max(self.log_time);
        self.believed = (believed, self.jumped + (believed - wall));
    }

    /// What the engine's clock says next; none if it refuses a jump.
    fn advance(&mut self) -> Check<Option<i64>> {
        if self.ahead() > limits::CLOCK_JUMP_US {
            return Ok(None);
        }
        let wall = self.env.clock.wall().micros();
        if wall >= self.believed.0 {
            self.believed = (wall, self.jumped);
        }
        self.log_time = self.log_time.max(wall);
        Ok(Some(self.log_time))
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

    fn visible_model(&self, lsn: u64) -> Check<&Model> {
        self.history.get(&lsn).map(|(model, _)| model).ok_or_else(|| format!("LSN {lsn} was never decided"))
    }
}
