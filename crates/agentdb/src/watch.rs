//! Watching what changes.

use std::future::{Future, poll_fn};
use std::time::Duration;

use agentdb_engine::modules::watch::{self, Event, Feed, Noun};
use agentdb_types::{Lsn, Result};

use crate::Namespace;

/// What of a namespace is watched, and from where on; [`open`](Watching::open) begins. Everything that the log still holds, if
/// nothing is said.
///
/// ```
/// # use agentdb::json;
/// # let dir = tempfile::tempdir().unwrap();
/// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
/// ns.state("agent-7").put("plan/1", json!({"step": 1})).wait()?;
/// ns.state("agent-8").put("plan/1", json!({"step": 1})).wait()?;
/// let mut watch = ns.watch().key("agent-7").prefix("plan/").values().open()?;
/// let event = watch.try_next()?.unwrap();
/// assert_eq!(event.changes[0].value.as_ref().unwrap()["value"], json!({"step": 1}));
/// assert!(watch.try_next()?.is_none());
/// # Ok::<(), agentdb::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is watched until it is opened"]
pub struct Watching {
    namespace: Namespace,
    request: watch::Watch,
}

impl Watching {
    pub(crate) fn new(namespace: Namespace) -> Self {
        Watching { namespace, request: watch::Watch::default() }
    }

    /// From this LSN on: to go on, the one behind [`Watch::position`]; to watch what is still to come, the one behind
    /// [`Database::lsn`](crate::Database::lsn) or a snapshot's.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let first = ns.state("agent-7").put("plan", json!(1)).wait()?.lsn;
    /// let second = ns.state("agent-7").put("plan", json!(2)).wait()?.lsn;
    /// assert_eq!(ns.watch().from(first.next()).open()?.try_next()?.unwrap().lsn, second);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn from(mut self, from: Lsn) -> Self {
        self.request.from = Some(from);
        self
    }

    /// Only this noun, or also this one.
    ///
    /// ```
    /// # use agentdb::{json, modules::watch::Noun};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").append("user", "hello").owner("agent-7").wait()?;
    /// let event = ns.watch().noun(Noun::Message).open()?.try_next()?.unwrap();
    /// assert_eq!(event.changes.len(), 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn noun(mut self, noun: Noun) -> Self {
        self.request.nouns.push(noun);
        self
    }

    /// Only what has this next component of its key: an owner for state, a session for messages, a collection for
    /// records, a thread for checkpoints, then what comes next in it.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// assert!(ns.watch().key("agent-7").key("plan").open()?.try_next()?.is_some());
    /// assert!(ns.watch().key("agent-8").open()?.try_next()?.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn key(mut self, component: impl Into<String>) -> Self {
        self.request.key.push(component.into());
        self
    }

    /// Only what has a next component of its key that starts so.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// assert!(ns.watch().prefix("agent-").open()?.try_next()?.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.request.prefix = prefix.into();
        self
    }

    /// With what was put, as far as it is still there as it was put; what is not is said to be superseded.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// ns.state("agent-7").put("plan", json!(2)).wait()?;
    /// let mut watch = ns.watch().values().open()?;
    /// assert!(watch.try_next()?.unwrap().changes[0].superseded);
    /// assert_eq!(watch.try_next()?.unwrap().changes[0].value.as_ref().unwrap()["value"], 2);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn values(mut self) -> Self {
        self.request.values = true;
        self
    }

    /// After so many batches without a change that is watched, an event without changes tells how far the feed is.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let put = ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// let event = ns.watch().key("nobody").progress(1).open()?.try_next()?.unwrap();
    /// assert_eq!((event.lsn, event.changes.len()), (put.lsn, 0));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn progress(mut self, batches: u64) -> Self {
        self.request.progress = Some(batches);
        self
    }

    /// Begins.
    ///
    /// # Errors
    /// [`LogTrimmed`](crate::Code::LogTrimmed) if the log no longer reaches back to where it is to start, which its value
    /// `earliest` names; [`LsnAhead`](crate::Code::LsnAhead) if the database has never been there;
    /// [`NamespaceNotFound`](crate::Code::NamespaceNotFound), [`InvalidValue`](crate::Code::InvalidValue).
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let ahead = ns.watch().from(agentdb::Lsn(9)).open();
    /// assert_eq!(ahead.err().unwrap().code(), agentdb::Code::LsnAhead);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn open(self) -> Result<Watch> {
        let feed = self.namespace.engine().watch(self.namespace.id(), &self.request)?;
        Ok(Watch { feed, _open: self.namespace })
    }
}

/// A change feed: what is committed, in order, each batch once, as soon as it is durable. Await it, wait for it, or look.
///
/// Store its [position](Watch::position) with what you make of the events, and watch from behind it after a crash: nothing
/// is missed, and nothing comes twice. It reads the log's files on the thread that asks, makes no writer wait, and costs
/// nothing when it is dropped. While it lives, the database stays open.
pub struct Watch {
    feed: Feed,
    _open: Namespace,
}

impl Watch {
    /// The next event, as soon as there is one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Those of [`Watch::try_next`].
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let mut watch = ns.watch().open()?;
    /// let writer = std::thread::spawn(move || ns.state("agent-7").put("plan", json!(1)).wait());
    /// let event = pollster::block_on(watch.next())?;
    /// assert_eq!(event.lsn, writer.join().unwrap()?.lsn);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[allow(clippy::should_implement_trait, reason = "a feed has no end, and each event may be an error")]
    pub fn next(&mut self) -> impl Future<Output = Result<Event>> + Send + '_ {
        poll_fn(|cx| self.feed.poll_next(cx))
    }

    /// The next event; blocks until there is one.
    ///
    /// # Errors
    /// Those of [`Watch::try_next`].
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let mut watch = ns.watch().open()?;
    /// let writer = std::thread::spawn(move || ns.state("agent-7").put("plan", json!(1)).wait());
    /// assert_eq!(watch.wait()?.operation, "state.put");
    /// # writer.join().unwrap()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn wait(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.feed.wait_next(None)? {
                return Ok(event);
            }
        }
    }

    /// The next event; blocks until there is one or the time has passed.
    ///
    /// # Errors
    /// Those of [`Watch::try_next`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert!(ns.watch().open()?.wait_for(Duration::from_millis(1))?.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn wait_for(&mut self, at_most: Duration) -> Result<Option<Event>> {
        self.feed.wait_next(Some(at_most))
    }

    /// The next event, if there is one by now.
    ///
    /// # Errors
    /// [`LogTrimmed`](crate::Code::LogTrimmed) if the log has let go of what comes next: it names the earliest LSN from which
    /// one can start. [`NamespaceNotFound`](crate::Code::NamespaceNotFound) after the event of the namespace's deletion;
    /// [`Poisoned`](crate::Code::Poisoned), [`LogCorrupt`](crate::Code::LogCorrupt), errors of files. The feed stands where
    /// it stood then.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert!(ns.watch().open()?.try_next()?.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn try_next(&mut self) -> Result<Option<Event>> {
        self.feed.try_next()
    }

    /// The LSN up to which everything was given or, because it is not watched, passed over.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let put = ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// let mut watch = ns.watch().key("somebody else").open()?;
    /// assert!(watch.try_next()?.is_none());
    /// assert_eq!(watch.position(), put.lsn);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn position(&self) -> Lsn {
        self.feed.position()
    }
}
