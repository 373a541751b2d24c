//! How long things themselves are kept, and how many of them.

use std::num::NonZeroU64;
use std::time::Duration;

use agentdb_engine::modules::retention::{self, Noun};
use agentdb_types::{Code, Error, Result};

use crate::write::micros;
use crate::{Namespace, Write};

impl Namespace {
    /// Says how things of a noun are kept in the namespace, by what is added to it; the rest stays as it is. What is kept no longer
    /// is deleted in the background, up to a sixteenth of the age later.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use agentdb::modules::retention::Noun;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// const DAY: Duration = Duration::from_secs(24 * 3_600);
    /// ns.retain(Noun::Message).max_age(30 * DAY).keep_latest(1_000).wait()?;
    /// ns.retain(Noun::Checkpoint).keep_latest(10).wait()?;
    /// ns.retain(Noun::ToolCall).max_age(90 * DAY).wait()?;
    /// let refused = ns.retain(Noun::ToolCall).keep_latest(10).wait().unwrap_err();
    /// assert_eq!(refused.code(), agentdb::Code::RetentionNotApplicable);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn retain(&self, noun: impl Into<Noun>) -> Write<retention::Set> {
        self.write(retention::Set::new(noun))
    }
}

/// A number that is not zero.
fn positive(field: &str, number: u64) -> Result<NonZeroU64> {
    let refuse =
        || Error::new(Code::InvalidValue).with("field", field).with("reason", "it must be at least 1");
    NonZeroU64::new(number).ok_or_else(refuse)
}

impl Write<retention::Set> {
    /// How long a thing is kept after it was last written (a session or thread: used; a message or checkpoint: created; a tool
    /// call: settled); for ever with `None`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use agentdb::modules::retention::Noun;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let kept = ns.retain(Noun::Session).max_age(Duration::from_secs(3_600)).wait()?.response;
    /// assert_eq!(kept.max_age_us.unwrap().get(), 3_600_000_000);
    /// assert_eq!(ns.retain(Noun::Session).max_age(None).wait()?.response.max_age_us, None);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn max_age(self, age: impl Into<Option<Duration>>) -> Self {
        let age = age.into().map(|age| positive("max_age_us", micros(age).unsigned_abs())).transpose();
        self.try_with(|set| age.map(|age| set.max_age_us = Some(age)))
    }

    /// How many of the newest are kept, of messages in each session, of checkpoints in each part of a thread; all with `None`.
    ///
    /// ```
    /// # use agentdb::modules::retention::Noun;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let kept = ns.retain(Noun::Message).keep_latest(100).wait()?.response;
    /// assert_eq!(kept.keep_latest.unwrap().get(), 100);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn keep_latest(self, count: impl Into<Option<u64>>) -> Self {
        let count = count.into().map(|count| positive("keep_latest", count)).transpose();
        self.try_with(|set| count.map(|count| set.keep_latest = Some(count)))
    }

    /// How long the history of states, or of sessions, is kept: for ever with `None`, not at all with a duration of zero.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use agentdb::modules::retention::Noun;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let kept = ns.retain(Noun::State).history(Duration::ZERO).wait()?.response;
    /// assert_eq!((kept.history_us, kept.since), (Some(Some(0)), None));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn history(self, kept: impl Into<Option<Duration>>) -> Self {
        let history_us = kept.into().map(|kept| micros(kept).unsigned_abs());
        self.with(|set| set.history_us = Some(history_us))
    }
}
