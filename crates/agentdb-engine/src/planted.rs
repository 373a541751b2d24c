//! Mistakes that can be planted, so that the simulator can be shown to find them. Without the feature `planted-bugs`,
//! which no build that anyone uses has, every question here is a constant no.

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "planted-bugs"), allow(dead_code))]
pub enum Bug {
    /// A durable write is answered without a sync.
    AnswerBeforeSync,
    /// Recovery applies half of a batch's mutations.
    HalfABatch,
    /// Recovery forgets the last group.
    LostTail,
    /// Recovery applies additions twice.
    AppliedTwice,
    /// A refused batch leaves its first changes.
    RefusalLeavesSomething,
    /// Decisions read the published state, not the one in flight.
    StaleDecision,
    /// Rows are drained beyond what the log has synced.
    ViewBeyondLog,
    /// States outlive their time to live.
    TtlIgnored,
    /// Outcomes of idempotency keys are not looked up.
    RetryDoneTwice,
    /// Draining forgets deletes.
    DeleteForgotten,
    /// Log time follows the clock backwards.
    TimeGoesBack,
    /// What was acknowledged as written is never synced.
    WrittenNeverSynced,
    /// Sequence numbers of messages start again after a clear.
    SequenceGivenTwice,
    /// Sessions outlive their time to live.
    ExpiredSessionLives,
    /// A session's time to live does not start anew when the session changes.
    SessionNotRenewed,
    /// The sweeper leaves the index of a deleted session's messages.
    MessagesHalfSwept,
    /// A search looks at the newest entries, not at those of its snapshot.
    SearchIgnoresSnapshot,
    /// An index that lets go of dead entries does not tell the searches that need them.
    CompactedUnderReaders,
    /// A record that is put again, or deleted, leaves its vector.
    OldVectorStays,
    /// An upload does not take back the note that its file may go, and the collector does not look for the row.
    LivingBlobCollected,
    /// The file of a deleted blob goes at once.
    BlobNotKept,
    /// What a failed sync left in doubt is believed.
    DoubtIsBelieved,
    /// Compaction forgets that a row was deleted although an older version lies below.
    DeletionMergedAway,
    /// A value that is taken stays.
    TakenValueStays,
    /// Clearing all of an owner clears the owners whose names go on from there, too.
    OtherOwnersCleared,
    /// A patch with a vector leaves the record's old one.
    PatchedVectorStays,
    /// The sweeper goes on behind expiries that are still to come.
    ExpiriesPassedOver,
    /// A copy of a thread does not count as a reference to the values that it shares.
    CopyNotCounted,
    /// Pruning takes away what the delta channels of the latest checkpoint add up from.
    ChainPruned,
    /// The vectors of an item that was replaced or deleted stay in the index.
    ItemVectorsStay,
    /// The sweeper takes an item whose time to live was renewed.
    TouchedItemSwept,
    /// Paths are listed as long as expired items of theirs are not swept.
    PathsOfTheDead,
    /// Updating a message does not renew its session.
    UpdateRenewsNothing,
    /// Recovery puts no versions aside.
    HistoryNotRecovered,
    /// A row is there before it was written.
    PastBeforeBirth,
    /// Versions go before their time.
    HistoryCutShort,
    /// An unknown tool call is claimed again, whatever was declared.
    UnknownRunsAgain,
    /// The outcome of a tool call is taken from whoever tells it.
    EpochNotCompared,
    /// Resolving a tool call leaves its epoch to the worker that had claimed it.
    ResolvedNotFenced,
    /// A renewed tool call stays in the index under the end of its lease before.
    RenewedNotMoved,
    /// A change feed gives what is visible and not durable.
    WatchedBeforeSync,
    /// A change feed that goes on does so behind the batch that comes next.
    WatchSkipsOne,
    /// A change feed shows rows whose number the same batch takes out of use.
    DiscardedRowsShown,
    /// A change feed gives the value that is there now, whatever its version.
    OtherVersionShown,
    /// Files of blobs go, and the log is trimmed, while a backup reads them.
    BackupHoldsNothing,
    /// A job that was cancelled goes on.
    CancelledJobGoesOn,
    /// A job that rests is taken up when the database is opened.
    RestingJobTaken,
    /// A compaction forgets the runs below those that it merges.
    LowerRunsForgotten,
    /// Deleting a backup takes chunks along that others need.
    SharedChunksCollected,
    /// What a backup put into a directory is not synced.
    BackupNotSynced,
    /// Retention keeps one message less than it is told to.
    KeptOneTooFew,
    /// Retention forgets tool calls that nobody has told the outcome of.
    RunningCallForgotten,
    /// Retention takes away what the delta channels of a checkpoint that stays add up from.
    ChainNotRetained,
    /// A message that retention deletes is believed to be a change of its session.
    RetentionRenews,
    /// A message is changed where another session sees it.
    SharedMessageChanged,
    /// A message that is deleted from a session which shares it comes back.
    SharedMessageComesBack,
    /// A message is found by an id that its session has another message for.
    SharedIdBelieved,
    /// A layer of messages is swept although another session lies on it.
    UsedLayerSwept,
    /// How far an import has come is written in another batch than what it imported.
    ImportMarkedApart,
    /// How far a load has come is written in another batch than what it loaded.
    LoadMarkedApart,
    /// An export leaves out messages.
    ExportSkipsMessages,
    /// Segments of a log that is held for an archive go before they were sent there.
    TrimmedUnarchived,
    /// An archive holds the segment that it ends in, and not those that lie between it and the one before.
    ArchiveSkipsGroups,
    /// Writers put nothing aside for a fork under way.
    ForkSeesWrites,
    /// A fork of an earlier point has what is there now.
    ForkOfThePresent,
    /// Writers put aside for a fork what was copied, and nothing of what was not.
    ForkPutsAsideBehind,
    /// A record that is created under the id of one that is gone has its links.
    LinksOfTheDead,
    /// The sweeper leaves links of deleted records at their other ends.
    LinksHalfSwept,
    /// A link that is deleted is still found from the record that it went to.
    LinkDeletedOneWay,
    /// Words that were kept on the disk are a record's whatever its texts are.
    KeptWordsBelieved,
}

impl Bug {
    /// The mistakes that 1,000 seeds must find: all but [`Bug::ViewBeyondLog`] and [`Bug::SharedIdBelieved`], for which it takes
    /// more, and which have tests of their own.
    #[cfg(feature = "planted-bugs")]
    pub const ALL: [Bug; 68] = [
        Bug::AnswerBeforeSync,
        Bug::HalfABatch,
        Bug::LostTail,
        Bug::AppliedTwice,
        Bug::RefusalLeavesSomething,
        Bug::StaleDecision,
        Bug::TtlIgnored,
        Bug::RetryDoneTwice,
        Bug::DeleteForgotten,
        Bug::TimeGoesBack,
        Bug::WrittenNeverSynced,
        Bug::SequenceGivenTwice,
        Bug::ExpiredSessionLives,
        Bug::SessionNotRenewed,
        Bug::MessagesHalfSwept,
        Bug::SearchIgnoresSnapshot,
        Bug::CompactedUnderReaders,
        Bug::OldVectorStays,
        Bug::LivingBlobCollected,
        Bug::BlobNotKept,
        Bug::DoubtIsBelieved,
        Bug::DeletionMergedAway,
        Bug::TakenValueStays,
        Bug::OtherOwnersCleared,
        Bug::PatchedVectorStays,
        Bug::ExpiriesPassedOver,
        Bug::CopyNotCounted,
        Bug::ChainPruned,
        Bug::ItemVectorsStay,
        Bug::TouchedItemSwept,
        Bug::PathsOfTheDead,
        Bug::UpdateRenewsNothing,
        Bug::HistoryNotRecovered,
        Bug::PastBeforeBirth,
        Bug::HistoryCutShort,
        Bug::UnknownRunsAgain,
        Bug::EpochNotCompared,
        Bug::ResolvedNotFenced,
        Bug::RenewedNotMoved,
        Bug::WatchedBeforeSync,
        Bug::WatchSkipsOne,
        Bug::DiscardedRowsShown,
        Bug::OtherVersionShown,
        Bug::BackupHoldsNothing,
        Bug::CancelledJobGoesOn,
        Bug::RestingJobTaken,
        Bug::LowerRunsForgotten,
        Bug::SharedChunksCollected,
        Bug::BackupNotSynced,
        Bug::KeptOneTooFew,
        Bug::RunningCallForgotten,
        Bug::ChainNotRetained,
        Bug::RetentionRenews,
        Bug::SharedMessageChanged,
        Bug::SharedMessageComesBack,
        Bug::UsedLayerSwept,
        Bug::ImportMarkedApart,
        Bug::LoadMarkedApart,
        Bug::ExportSkipsMessages,
        Bug::TrimmedUnarchived,
        Bug::ArchiveSkipsGroups,
        Bug::ForkSeesWrites,
        Bug::ForkOfThePresent,
        Bug::ForkPutsAsideBehind,
        Bug::LinksOfTheDead,
        Bug::LinksHalfSwept,
        Bug::LinkDeletedOneWay,
        Bug::KeptWordsBelieved,
    ];
}

#[cfg(feature = "planted-bugs")]
mod selected {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants a mistake on this thread, or takes it back.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    pub(crate) fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted-bugs")]
pub(crate) use selected::is;
#[cfg(feature = "planted-bugs")]
pub use selected::plant;

/// Whether a mistake is planted.
#[cfg(not(feature = "planted-bugs"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}
