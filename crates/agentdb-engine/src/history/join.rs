//! Comparing the rows of a table at two points.

use std::cmp::Ordering;

use agentdb_types::Result;

use super::past::Ahead;
use crate::Row;
use crate::key::Key;
use crate::read::{Page, Read};

/// Rows at one point: those whose keys start with a prefix, from some key on.
pub(crate) struct Side<'a> {
    pub(crate) rows: &'a dyn Read,
    pub(crate) prefix: &'a Key,
    /// What follows the prefix in the first key that is looked at.
    pub(crate) from: &'a [u8],
}

/// What hears of a key: what follows the prefix in it, and its rows on the two sides.
type Visit<'a> = dyn FnMut(&[u8], Option<Row>, Option<Row>) -> Result<bool> + 'a;

/// Calls `visit` with each key of the two sides, as what follows their prefixes, in order, with its rows, until it returns
/// false.
pub(crate) fn join(before: &Side<'_>, after: &Side<'_>, visit: &mut Visit<'_>) -> Result<()> {
    let ahead = |side: &Side<'_>| {
        let from = side.prefix.clone().raw(side.from);
        (from, side.prefix.after_prefix())
    };
    let ((from, to), (other_from, other_to)) = (ahead(before), ahead(after));
    let mut a = Ahead::new(before.rows, from, to, Page::Forward, false);
    let mut b = Ahead::new(after.rows, other_from, other_to, Page::Forward, false);
    let rest = |key: &Key, side: &Side<'_>| key.as_bytes()[side.prefix.as_bytes().len()..].to_vec();
    loop {
        let left = a.peek()?.map(|key| rest(key, before));
        let right = b.peek()?.map(|key| rest(key, after));
        let order = match (&left, &right) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => left.cmp(right),
        };
        let then = if order.is_le() { a.next().and_then(|(_, row)| row) } else { None };
        let now = if order.is_ge() { b.next().and_then(|(_, row)| row) } else { None };
        let key = if order.is_le() { left } else { right };
        if !visit(&key.unwrap_or_default(), then, now)? {
            return Ok(());
        }
    }
}
