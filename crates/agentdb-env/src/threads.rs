//! Threads.

use agentdb_types::Result;

/// Starts threads. The simulator starts none: it steps the same state machines itself.
pub trait Threads: Send + Sync {
    /// Runs `body` on a new thread called `name`.
    ///
    /// # Errors
    /// [`Io`](agentdb_types::Code::Io) if the system has no thread to give.
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<Join>;

    /// Puts the calling thread last for good: it runs when no other thread wants to. A system that cannot do that lets it
    /// run as before.
    fn yield_to_others(&self) {}
}

/// Waits for a thread to end.
pub struct Join(pub(crate) Box<dyn FnOnce() + Send>);

impl Join {
    /// Blocks until the thread has ended, whether it returned or panicked.
    pub fn join(self) {
        (self.0)();
    }
}
