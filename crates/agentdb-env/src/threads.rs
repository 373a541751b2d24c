//! Threads.

use agentdb_types::Result;

/// Starts threads. The simulator starts none: it steps the same state machines itself.
pub trait Threads: Send + Sync {
    /// Runs `body` on a new thread called `name`.
    ///
    /// # Errors
    /// [`Io`](agentdb_types::Code::Io) if the system has no thread to give.
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<Join>;
}

/// Waits for a thread to end.
pub struct Join(pub(crate) Box<dyn FnOnce() + Send>);

impl Join {
    /// Blocks until the thread has ended, whether it returned or panicked.
    pub fn join(self) {
        (self.0)();
    }
}
