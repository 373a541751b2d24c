//! A change feed: where it stands, and how it goes on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use agentdb_log::{Log, LogReader};
use agentdb_types::{Code, Error, Lsn, Result, Timestamp};

use super::changes::{self, Found};
use super::filter::Filter;
use super::{Change, Event, Kind, Thing, Watch, value};
use crate::engine::Core;
use crate::key::NamespaceId;
use crate::mutation::{self, Entry};
use crate::planted::{self, Bug};
use crate::signal::Signal;
use crate::{Engine, Snapshot};

/// Batches that one poll passes over before others have their turn.
const STRIDE: usize = 1_024;

/// The change feed of a namespace. Reading it takes nothing from writers, dropping it costs nothing.
///
/// After an error it stands where it stood: what comes next was not given.
pub struct Feed {
    core: Arc<Core>,
    id: u64,
    namespace: NamespaceId,
    filter: Filter,
    values: bool,
    progress: Option<u64>,
    /// Everything up to here was given, or passed over.
    position: Lsn,
    /// How much was passed over since the last event.
    quiet: u64,
    reader: Option<LogReader>,
    /// What was read and not looked at, in order.
    read: VecDeque<(Lsn, Timestamp, Entry)>,
    ended: bool,
}

/// What looking on may find.
enum Step {
    Event(Event),
    /// There is nothing more that is durable.
    End,
    /// There may be more; others should have their turn.
    More,
}

impl Engine {
    /// The change feed of a namespace. The handle must live as long as the feed is to go on.
    ///
    /// # Errors
    /// [`Code::LogTrimmed`] if the log no longer reaches back to where it is to start; [`Code::LsnAhead`];
    /// [`Code::NamespaceNotFound`]; [`Code::InvalidValue`].
    pub fn watch(&self, namespace: NamespaceId, watch: &Watch) -> Result<Feed> {
        watch.check()?;
        let core = &self.core;
        core.check_failed()?;
        core.check_alive(namespace, core.rows.visible())?;
        let (from, reader) =
            begin(core, self.forked(namespace)?, watch.from.filter(|from| *from != Lsn::ZERO))?;
        Ok(Feed {
            core: core.clone(),
            id: core.watchers.id(),
            namespace,
            filter: Filter::of(watch),
            values: watch.values,
            progress: watch.progress,
            position: Lsn(from.0 - 1),
            quiet: 0,
            reader: Some(reader),
            read: VecDeque::new(),
            ended: false,
        })
    }

    /// The batch that completed the namespace if it is a fork: what made its rows is no change of it.
    fn forked(&self, namespace: NamespaceId) -> Result<Lsn> {
        if namespace == NamespaceId::SYSTEM {
            return Ok(Lsn::ZERO);
        }
        let completed = crate::modules::namespace::fork_completed(&self.core.snapshot(namespace)?)?;
        Ok(completed.unwrap_or(Lsn::ZERO))
    }
}

/// Where to begin, behind the batch that completed the namespace if it is a fork, and what reads from there.
fn begin(core: &Core, forked: Lsn, from: Option<Lsn>) -> Result<(Lsn, LogReader)> {
    let log = &core.lock_sequencer().log;
    let head = log.head().lsn;
    let from = match from {
        Some(from) if from > head.next() => {
            return Err(Error::new(Code::LsnAhead).with("from", from).with("head", head));
        }
        Some(from) if from <= forked => {
            return Err(Error::new(Code::LogTrimmed).with("from", from).with("earliest", forked.next()));
        }
        Some(from) => from,
        None => log.segment_starts().next().unwrap_or(Lsn(1)).max(forked.next()),
    };
    Ok((from, log.reader_from(from)?))
}

impl Feed {
    /// The LSN up to which everything was given or, because it is not watched, passed over. Who starts behind it misses nothing.
    pub fn position(&self) -> Lsn {
        self.position
    }

    /// The next event, if there is one by now.
    ///
    /// # Errors
    /// [`Code::LogTrimmed`] if the log has let go of what comes next; [`Code::NamespaceNotFound`] after the event of
    /// the namespace's deletion; [`Code::LogCorrupt`], errors of files; [`Code::Poisoned`], [`Code::Closed`].
    pub fn try_next(&mut self) -> Result<Option<Event>> {
        loop {
            match self.step()? {
                Step::Event(event) => return Ok(Some(event)),
                Step::End => return Ok(None),
                Step::More => {}
            }
        }
    }

    /// The next event as soon as there is one; until then the waker is kept, to be woken.
    ///
    /// # Errors
    /// Those of [`Feed::try_next`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event>> {
        let mut waits = false;
        loop {
            match self.step() {
                Ok(Step::Event(event)) => return Poll::Ready(Ok(event)),
                Err(err) => return Poll::Ready(Err(err)),
                Ok(Step::End) if waits => return Poll::Pending,
                Ok(Step::End) => {
                    self.core.watchers.wait(self.id, cx.waker());
                    waits = true;
                }
                Ok(Step::More) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    /// The next event; blocks until there is one, or the time has passed: then there is none.
    ///
    /// # Errors
    /// Those of [`Feed::try_next`].
    pub fn wait_next(&mut self, at_most: Option<Duration>) -> Result<Option<Event>> {
        const LONG: Duration = Duration::from_secs(3_600);
        let signal = Arc::<Signal>::default();
        let waker = Waker::from(signal.clone());
        let clock = self.core.env.clock.clone();
        let began_us = clock.monotonic_us();
        loop {
            if let Poll::Ready(next) = self.poll_next(&mut Context::from_waker(&waker)) {
                return next.map(Some);
            }
            let passed = Duration::from_micros(clock.monotonic_us() - began_us);
            let left = match at_most {
                Some(at_most) if passed >= at_most => return Ok(None),
                Some(at_most) => at_most - passed,
                None => LONG,
            };
            signal.wait(left);
        }
    }

    /// Looks on, over so many batches at most.
    fn step(&mut self) -> Result<Step> {
        self.core.check_failed()?;
        if self.ended {
            let name = format_args!("number {}", self.namespace.number());
            return Err(Error::new(Code::NamespaceNotFound).with("name", name));
        }
        let settled = self.core.settled_lsn();
        let end = if planted::is(Bug::WatchedBeforeSync) { self.core.rows.visible() } else { settled };
        for _ in 0..STRIDE {
            if self.position >= end {
                return Ok(Step::End);
            }
            self.read_on()?;
            let Some((lsn, time, entry)) = self.read.front() else { return Ok(Step::End) };
            let event = self.event(*lsn, *time, entry)?;
            self.position = *lsn;
            self.read.pop_front();
            if let Some(event) = event {
                self.quiet = 0;
                self.ended = event.changes.iter().any(|change| change.thing == Thing::Namespace);
                return Ok(Step::Event(event));
            }
            self.quiet += 1;
        }
        Ok(Step::More)
    }

    /// Sees to it that what comes next is read.
    fn read_on(&mut self) -> Result<()> {
        if !self.read.is_empty() {
            return Ok(());
        }
        if self.reader.is_none() {
            self.reader = Some(self.core.lock_sequencer().log.reader_from(self.position.next())?);
        }
        let Some(reader) = &mut self.reader else { return Ok(()) };
        let mut next = reader.next();
        if next.is_none() {
            self.core.lock_sequencer().log.extend(reader);
            next = reader.next();
        }
        match next {
            Some(Ok(group)) => {
                let entries = mutation::entries(&group.body, group.count, group.first_lsn);
                let entries = entries.inspect_err(|_| self.reader = None)?;
                let entries = (group.first_lsn.0..).map(Lsn).zip(entries);
                let next = if planted::is(Bug::WatchSkipsOne) && group.count > 2 { 2 } else { 1 };
                let new = entries.filter(|(lsn, _)| lsn.0 >= self.position.0 + next);
                self.read.extend(new.map(|(lsn, entry)| (lsn, group.time, entry)));
                Ok(())
            }
            None => Ok(()),
            Some(Err(err)) => {
                self.reader = None;
                // The segment that it stood at the end of may have gone, and all that comes next still be there.
                if err.code() == Code::LogTrimmed { self.read_on() } else { Err(err) }
            }
        }
    }

    /// What of a batch is watched, or that it is time to tell progress.
    fn event(&self, lsn: Lsn, time: Timestamp, entry: &Entry) -> Result<Option<Event>> {
        let mut found = changes::of(entry, self.namespace, lsn)?;
        found.retain(|found| self.filter.selects(&found.told));
        let told = self.progress.is_some_and(|after| self.quiet + 1 >= after);
        if found.is_empty() && !told {
            return Ok(None);
        }
        let mut event = Event {
            lsn,
            time,
            operation: String::new(),
            principal: None,
            subject: None,
            changes: self.with_values(found, lsn)?,
        };
        // Of a batch that is not watched, or is another namespace's, nothing is told.
        if !event.changes.is_empty() {
            event.operation.clone_from(&entry.operation);
            event.principal.clone_from(&entry.principal);
            event.subject.clone_from(&entry.subject);
        }
        Ok(Some(event))
    }

    fn with_values(&self, found: Vec<Found>, lsn: Lsn) -> Result<Vec<Change>> {
        // The rows of a deleted namespace are still read, as far as they are there.
        let snapshot = match self.values && !found.is_empty() {
            true => Some(self.core.snapshot(NamespaceId::SYSTEM)?.in_namespace(self.namespace)),
            false => None,
        };
        let with_value = |mut found: Found| {
            if let Some(snapshot) = snapshot.as_ref().filter(|_| found.told.kind == Kind::Put) {
                found.told.value = value(snapshot, &found, lsn)?;
                found.told.superseded = found.told.value.is_none();
            }
            Ok(found.told)
        };
        found.into_iter().map(with_value).collect()
    }
}

fn value(snapshot: &Snapshot, found: &Found, lsn: Lsn) -> Result<Option<serde_json::Value>> {
    value::of(snapshot, found, lsn)
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.core.watchers.forget(self.id);
    }
}
