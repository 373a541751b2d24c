//! Watching: the change feed of a namespace. Every committed batch that changes what is watched is one event, in the order of
//! the LSNs, from any LSN on that the log still holds, for as long as anyone looks.
//!
//! The feed is read from the log, and the log alone: keys hold numbers, whose names stand beside them there, so that it
//! says the same whenever it is read, whatever was deleted since. Nothing is given before it is durable. A consumer that
//! stores the position of its feed and starts again behind it misses nothing and sees nothing twice, across any crash:
//! no event was ever given that a crash can take back.
//!
//! *Things, not rows*: which rows are changes of what is in [`changes`], a line a table; all other rows are bookkeeping. What
//! is deleted as a whole is told as a whole; that the engine sweeps its rows later is no event. Values are not in the
//! feed but read beside it, and only the ones that an event is about: a value that has changed since is left out and said
//! to be superseded, because its own event is still to come.
//!
//! *Waiting*: a feed at its end registers a waker; a commit or a sync that moves the end wakes all. Slow readers
//! read files, and hold nothing that a writer waits for. What the log lets go of before they come is a typed error.

mod changes;
mod event;
mod feed;
mod filter;
#[cfg(test)]
mod link_tests;
mod request;
#[cfg(test)]
mod tests;
mod thing;
mod value;

pub use event::{Change, Event, Kind};
pub use feed::Feed;
pub use request::Watch;
pub use thing::{Noun, Thing};

use crate::operation::{Operation, Shape};

pub(super) fn operations() -> Vec<Operation> {
    vec![Operation::shaped::<Watch>(Shape::Stream)]
}
