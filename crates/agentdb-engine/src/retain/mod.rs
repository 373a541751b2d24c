//! Retention: letting go of things themselves, once they are old enough or there are enough newer ones.
//!
//! A [policy](Policy) says so of a noun of a namespace. It costs writes nothing: what goes is found by looking, in the
//! background, at rows that lie there anyhow, and decided in small batches by the sequencer, which looks again and judges by log
//! time. So what goes is a function of the log, and a crash in between loses nothing but the place where the look was.
//!
//! **How little is looked at.** What can be due is known from the last round through a noun: nothing is before the oldest
//! thing that stayed is too old, since whatever is written later is younger. Until then nothing is read; and rounds lie a
//! sixteenth of the age apart, so that a thing is looked at some 16 times in its life, however many there are. Finished tool calls
//! have an index in the order of time: of them only those that go are read. Messages and checkpoints can be too many as
//! soon as one is written: whoever applies rows notes [where](changed), and only there is looked.
//!
//! **What never goes** is for each noun to say, in its `retain.rs`.
//!
//! Row of a policy, format version 1. Key: (noun). Body: a version byte and JSON.

mod batch;
mod changed;
mod nouns;
mod policy;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use batch::OPERATION;
pub(crate) use nouns::Found;
pub use policy::Noun;
pub(crate) use policy::Policy;
pub(crate) use step::{Retainer, step};
