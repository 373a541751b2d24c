//! Retention: how long the history of a noun is kept in a namespace.

mod list;
mod set;
pub(crate) mod transfer;

pub use list::{Entry, List, Listed};
pub use set::{Set, SetTo};
pub use transfer::RetentionLine;

use crate::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![Operation::read::<List>(), Operation::write::<Set>()]
}
