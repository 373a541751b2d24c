//! Long work of the database itself.

use agentdb_engine::modules::job::{Cancel, Entry, Get, List, Listed, Pause, Resume};
use agentdb_engine::{Engine, NamespaceId};
use agentdb_types::{Code, Result};
use serde::de::DeserializeOwned;

use crate::{Write, present};

/// The jobs of a database: long work that runs, waits or rests, and what ended within seven days.
#[derive(Clone)]
pub struct Jobs {
    engine: Engine,
}

impl Jobs {
    pub(crate) fn new(engine: Engine) -> Self {
        Jobs { engine }
    }

    /// How a job stands; `None` if there is none of this number.
    ///
    /// # Errors
    /// Those of a read.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path())?;
    /// assert!(db.jobs().get(7)?.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn get(&self, job: u64) -> Result<Option<Entry>> {
        let snapshot = self.engine.snapshot(NamespaceId::SYSTEM)?;
        present(self.engine.read(&snapshot, Get { job }), Code::JobNotFound)
    }

    /// A page of the jobs, in the order in which they were begun.
    ///
    /// # Errors
    /// [`Code::PageTooLarge`], [`Code::InvalidCursor`].
    ///
    /// ```
    /// # use agentdb::modules::job::{Compact, List, State};
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path())?;
    /// db.compact(&Compact::default())?.wait(&mut |_progress| {})?;
    /// let done = db.jobs().list(List { state: Some(State::Done), ..List::default() })?;
    /// assert_eq!(done.items.len(), 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn list(&self, list: List) -> Result<Listed> {
        let snapshot = self.engine.snapshot(NamespaceId::SYSTEM)?;
        self.engine.read(&snapshot, list)
    }

    /// Lets a job rest. Refused with [`Code::JobNotFound`] or [`Code::JobEnded`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = agentdb::Database::open(dir.path())?;
    /// # use agentdb::modules::job::State;
    /// # use agentdb::modules::job::Compact;
    /// # let compaction = db.compact(&Compact::default())?;
    /// match db.jobs().pause(compaction.id()).wait() {
    ///     Ok(paused) => assert_eq!(paused.response.state, State::Paused),
    ///     Err(err) => assert_eq!(err.code(), agentdb::Code::JobEnded), // it was done before
    /// }
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn pause(&self, job: u64) -> Write<Pause> {
        self.write(Pause { job })
    }

    /// Lets a job that rests go on. Refused with [`Code::JobNotFound`] or [`Code::JobEnded`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = agentdb::Database::open(dir.path())?;
    /// # use agentdb::modules::job::Compact;
    /// # let compaction = db.compact(&Compact::default())?;
    /// # let _ = db.jobs().pause(compaction.id()).wait();
    /// # let _ =
    /// db.jobs().resume(compaction.id()).wait();
    /// compaction.wait(&mut |_progress| {})?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn resume(&self, job: u64) -> Write<Resume> {
        self.write(Resume { job })
    }

    /// Gives a job up. Refused with [`Code::JobNotFound`] or [`Code::JobEnded`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = agentdb::Database::open(dir.path())?;
    /// let refused = db.jobs().cancel(7).wait();
    /// assert_eq!(refused.unwrap_err().code(), agentdb::Code::JobNotFound);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn cancel(&self, job: u64) -> Write<Cancel> {
        self.write(Cancel { job })
    }

    fn write<R: agentdb_engine::WriteRequest>(&self, request: R) -> Write<R> {
        Write::new(self.engine.clone(), NamespaceId::SYSTEM, request)
    }
}

/// A job that was begun. The database does it, whether or not anyone waits.
pub struct Job<T> {
    engine: Engine,
    id: u64,
    result: std::marker::PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Job<T> {
    pub(crate) fn new(engine: Engine, id: u64) -> Self {
        Job { engine, id, result: std::marker::PhantomData }
    }

    /// The job's number.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = agentdb::Database::open(dir.path())?;
    /// let job = db.compact(&agentdb::modules::job::Compact::default())?;
    /// assert!(db.jobs().get(job.id())?.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Waits until it has ended; `progress` hears of it whenever its row changes, about once a second. A job that rests is
    /// waited for.
    ///
    /// # Errors
    /// [`Code::JobFailed`], [`Code::JobCancelled`]; [`Code::Poisoned`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = agentdb::Database::open(dir.path())?;
    /// let job = db.compact(&agentdb::modules::job::Compact::default())?;
    /// let compacted = job.wait(&mut |entry| println!("{} of {} bytes", entry.done, entry.total))?;
    /// assert!(compacted.runs <= 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn wait(self, progress: &mut dyn FnMut(&Entry)) -> Result<T> {
        self.engine.wait_for_job(self.id, progress)
    }
}
