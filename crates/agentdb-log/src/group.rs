//! What the log holds, and the trait of its homes.

use std::sync::Arc;

use agentdb_env::File;
use agentdb_types::{ChainHash, Error, Lsn, Result, Timestamp};

use crate::{LogReader, OldSegment};

/// A group to append.
#[derive(Clone, Copy, Debug)]
pub struct NewGroup<'a> {
    /// The writer's epoch: a writer with a smaller epoch than the log's is refused.
    pub epoch: u64,
    /// The LSN that the writer believes to be the last one.
    pub expected_head: Lsn,
    /// How many entries the body holds; each takes one LSN. Zero makes a stamp: a group that only tells what is synced.
    pub count: u32,
    /// Log time of the group; never less than that of the group before.
    pub time: Timestamp,
    /// The entries, in a form that the log does not look into.
    pub body: &'a [u8],
}

/// A group as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The writer's epoch.
    pub epoch: u64,
    /// The LSN of the first entry.
    pub first_lsn: Lsn,
    /// How many entries; zero for a stamp.
    pub count: u32,
    /// Log time.
    pub time: Timestamp,
    /// The entries.
    pub body: Vec<u8>,
    /// The hash of the log up to and including this group.
    pub chain: ChainHash,
}

impl Group {
    /// The LSN of the last entry; for a stamp, the LSN before it.
    pub fn last_lsn(&self) -> Lsn {
        Lsn(self.first_lsn.0 + u64::from(self.count) - 1)
    }
}

/// The end of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The last LSN.
    pub lsn: Lsn,
    /// The hash of everything up to it.
    pub chain: ChainHash,
    /// The log time of the last group.
    pub time: Timestamp,
    /// The epoch of the last group.
    pub epoch: u64,
}

/// A moment of the log that can be made durable.
pub struct SyncPoint {
    pub(crate) file: Arc<dyn File>,
    /// How many groups were appended since opening, stamps included.
    pub(crate) appends: u64,
    pub(crate) lsn: Lsn,
}

impl SyncPoint {
    /// Makes everything up to this point durable.
    ///
    /// # Errors
    /// [`DiskFull`](agentdb_types::Code::DiskFull), [`Io`](agentdb_types::Code::Io).
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data()
    }

    /// The last LSN that it holds.
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }
}

/// A home of the log. One writer appends; after any error the log is poisoned, and every later call says so.
pub trait Log: Send {
    /// Hands a group to the home and returns the new head. It is durable only after [`Log::sync`].
    ///
    /// # Errors
    /// [`Poisoned`](agentdb_types::Code::Poisoned) if an earlier call failed, the epoch is stale, or the head is not the
    /// expected one; [`DiskFull`](agentdb_types::Code::DiskFull), [`Io`](agentdb_types::Code::Io).
    fn append(&mut self, group: NewGroup<'_>) -> Result<Head>;

    /// What would make everything appended so far durable; `None` if it is. It is synced apart from the log, so that
    /// appending goes on meanwhile; [`Log::note_synced`] is told of its success, [`Log::fail`] of its failure.
    fn sync_point(&self) -> Option<SyncPoint>;

    /// Takes note that a point was synced.
    fn note_synced(&mut self, point: &SyncPoint);

    /// Takes note of a failure outside: whatever follows is refused, since what is durable is unknown.
    fn fail(&mut self, why: &Error);

    /// Makes everything appended durable and returns the LSN up to which it is.
    ///
    /// # Errors
    /// Those of [`Log::append`]. After a failed sync nothing is known of what was not synced before.
    fn sync(&mut self) -> Result<Lsn> {
        self.check()?;
        if let Some(point) = self.sync_point() {
            point.sync().inspect_err(|err| self.fail(err))?;
            self.note_synced(&point);
        }
        Ok(self.synced())
    }

    /// Whether the log can go on.
    ///
    /// # Errors
    /// [`Poisoned`](agentdb_types::Code::Poisoned) after a failure.
    fn check(&self) -> Result<()>;

    /// The end of the log.
    fn head(&self) -> Head;

    /// The LSN up to which the log is durable.
    fn synced(&self) -> Lsn;

    /// Reads every group that holds an LSN of at least `from`, in order, up to the end at this moment. The log may go on
    /// meanwhile.
    fn reader(&self, from: Lsn) -> LogReader;

    /// Lets go of the oldest piece of the log if it lies wholly below `lsn`, for the caller to remove it. Whoever calls it
    /// knows that no view needs it. Readers that have not passed it are refused from now on.
    fn let_go(&mut self, below: Lsn) -> Option<OldSegment>;
}
