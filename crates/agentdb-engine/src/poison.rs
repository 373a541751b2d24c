//! Stopping a handle after a failure: what is durable is unknown until the log is read again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use agentdb_types::{Code, Error, Result};

use crate::engine::Core;

impl Core {
    /// Runs work that may fail; a failure or a panic stops the handle.
    pub(crate) fn guard<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.check_failed()?;
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(Error::new(Code::Poisoned).with("reason", format_args!("a panic: {text}")))
        });
        if let Err(err) = &result {
            self.fail(err);
        }
        if self.failed.get().is_some() {
            self.abandon();
        }
        result
    }

    pub(crate) fn check_failed(&self) -> Result<()> {
        match self.failed.get() {
            Some(err) => Err(err.clone()),
            None => Ok(()),
        }
    }

    /// Stops the handle. The sequencer must not be locked by this thread.
    pub(crate) fn poison(&self, why: &Error) {
        self.fail(why);
        self.abandon();
    }

    /// Stops the handle, from within a decision: whoever holds the sequencer does the rest when it lets go.
    pub(crate) fn fail(&self, why: &Error) {
        let err = Error::new(Code::Poisoned).with("reason", why);
        self.shut(self.failed.get_or_init(|| err));
    }

    /// Answers everyone whose request was taken: nobody will commit it any more.
    fn abandon(&self) {
        if let Err(err) = self.check_failed() {
            self.lock_sequencer().abandon(&err);
        }
        self.waiting.call_all();
    }

    /// Takes no more requests, and refuses those that wait.
    pub(crate) fn shut(&self, why: &Error) {
        for write in self.queue.shut(why) {
            write.completion.answer(Err(why.clone()));
        }
        self.waiting.call_all();
        self.watchers.call();
    }
}
