//! What a contender must offer to be measured.
//!
//! A contender is added by implementing [`Store`] and [`Client`] in a module of its own and naming it in
//! [`crate::contenders`].

use std::path::Path;

use anyhow::Result;

/// A row to load: key, value.
pub type Row = (Vec<u8>, Vec<u8>);

/// A durable key-value store, open.
pub trait Store: Send + Sync {
    /// What one thread uses to reach the store; made on that thread. It may hold a connection or prepared statements.
    fn client(&self) -> Result<Box<dyn Client + '_>>;

    /// Takes rows by the fastest way that there is, and returns when all are durable.
    fn load(&self, rows: &mut dyn Iterator<Item = Row>) -> Result<()>;

    /// Waits until background work is done that earlier puts caused, so that it does not disturb the next contender.
    fn settle(&self) -> Result<()> {
        Ok(())
    }
}

/// One thread's access to a store.
pub trait Client {
    /// Puts a row and returns when it is durable: it survives a power cut.
    fn put_durable(&mut self, key: &[u8], value: &[u8]) -> Result<()>;

    /// Puts the row's newest value into `value`, and tells whether there is one. Sees every put that has returned.
    fn get(&mut self, key: &[u8], value: &mut Vec<u8>) -> Result<bool>;
}

/// A store, or a way of using one, that takes part in a run.
#[derive(Clone, Copy)]
pub struct Contender {
    /// Its name in the results. Contenders of one name are ways of using one store: the better figure counts.
    pub name: &'static str,
    /// Names the way, and with it the directory.
    pub way: &'static str,
    /// Opens or creates it in a directory.
    pub open: fn(&Path) -> Result<Box<dyn Store>>,
    /// Whether it recovers by itself what was durable when it was killed.
    pub recovers: bool,
}

/// The name of AgentDB among the contenders.
pub const OURS: &str = "agentdb";
