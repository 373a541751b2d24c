//! A job's row, and what is shown of it.

use agentdb_types::{Code, Error, Lsn, Timestamp, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `database.compact`.
    Compact,
    /// `backup.create`.
    Backup,
    /// `namespace.export`.
    Export,
    /// `namespace.import`.
    Import,
    /// `namespace.fork`.
    Fork,
    /// `backup.archive`.
    Archive,
    /// `database.verify`.
    Verify,
    /// `collection.load`.
    Load,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 8] = [
        Kind::Compact,
        Kind::Backup,
        Kind::Export,
        Kind::Import,
        Kind::Fork,
        Kind::Archive,
        Kind::Verify,
        Kind::Load,
    ];

    /// Whether the engine does it, and goes on with it after a restart.
    pub fn is_engines(self) -> bool {
        match self {
            Kind::Compact | Kind::Fork => true,
            Kind::Backup | Kind::Export | Kind::Import | Kind::Load | Kind::Archive | Kind::Verify => false,
        }
    }
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The engine will do it, after those before it.
    Waiting,
    /// Someone does it.
    Running,
    /// Whoever did it is gone, and only a caller can start it again.
    Interrupted,
    /// It rests until `job.resume`.
    Paused,
    /// It has ended as it should.
    Done,
    /// It has ended with an error.
    Failed,
    /// It was given up at someone's word.
    Cancelled,
}

impl State {
    /// The name, as on the wire.
    pub fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Running => "running",
            State::Interrupted => "interrupted",
            State::Paused => "paused",
            State::Done => "done",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }
}

/// What is wanted of a job, or what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Active,
    Paused,
    Done,
    Failed,
    Cancelled,
}

/// Who does a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The LSN at which it was taken: never given twice.
    pub(crate) epoch: Lsn,
    /// When it ends unless it is renewed, in log time.
    pub(crate) until: Timestamp,
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The number of the error.
    pub code: u32,
    /// Its name.
    pub name: String,
    /// What it says.
    pub message: String,
}

impl Failure {
    pub(crate) fn of(error: &Error) -> Self {
        let code = error.code();
        Failure { code: code.number(), name: code.name().to_owned(), message: error.to_string() }
    }

    /// The error of a job that failed with this.
    pub(crate) fn error(&self, job: u64) -> Error {
        Error::new(Code::JobFailed).with("job", job).with("reason", &self.message)
    }
}

/// A job as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    pub(crate) request: Value,
    pub(crate) status: Status,
    pub(crate) done: u64,
    pub(crate) total: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<Lease>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Failure>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Timestamp>,
}

impl Stored {
    pub(crate) fn state(&self, now: Timestamp) -> State {
        match self.status {
            Status::Active if self.lease.is_some_and(|lease| now < lease.until) => State::Running,
            Status::Active if self.kind.is_engines() => State::Waiting,
            Status::Active => State::Interrupted,
            Status::Paused => State::Paused,
            Status::Done => State::Done,
            Status::Failed => State::Failed,
            Status::Cancelled => State::Cancelled,
        }
    }

    /// Whether this epoch's lease is the one that counts.
    pub(crate) fn is_held(&self, epoch: Lsn) -> bool {
        self.lease.is_some_and(|lease| lease.epoch == epoch)
    }

    /// Until when it is kept: one that has ended, and one of a caller's of whom nothing is heard any more.
    pub(crate) fn expires(&self) -> Option<Timestamp> {
        let silent_since = (!self.kind.is_engines()).then_some(self.updated);
        self.ended.or(silent_since).map(|since| later(since, limits::JOB_KEPT_US))
    }

    pub(crate) fn has_expired(&self, now: Timestamp) -> bool {
        self.expires().is_some_and(|at| at <= now)
    }
}

/// So many microseconds later, or the end of time.
pub(crate) fn later(time: Timestamp, by_us: i64) -> Timestamp {
    let micros = time.micros().saturating_add(by_us).min(limits::TIME_MAX_US);
    Timestamp::from_micros(micros).unwrap_or(time)
}

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The job's number: the LSN at which it was begun.
    pub job: u64,
    /// What it does.
    pub kind: Kind,
    /// The namespace that it works on; absent if it is the whole database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The request that began it.
    pub request: Value,
    /// How it stands.
    pub state: State,
    /// How much is done, in units of the kind: bytes, or rows of a fork. It may be some seconds old.
    pub done: u64,
    /// How much there is to do; 0 if that is not known.
    pub total: u64,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When it was begun.
    pub created: Timestamp,
    /// When its row changed last.
    pub updated: Timestamp,
    /// When it ended. It is kept for seven days from then on, as is one whose caller was not heard of since `updated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

impl Entry {
    pub(crate) fn new(job: u64, stored: Stored, now: Timestamp) -> Self {
        Entry {
            job,
            kind: stored.kind,
            state: stored.state(now),
            namespace: stored.namespace,
            request: stored.request,
            done: stored.done,
            total: stored.total,
            result: stored.result,
            failure: stored.failure,
            created: stored.created,
            updated: stored.updated,
            ended: stored.ended,
        }
    }
}
