//! How a search with a filter goes about it.
//!
//! *Walk*: the graph is walked through as if there were no filter, and what matches is collected, as in hnswlib. Its cost grows as matches
//! get rarer. *Scan*: the codes of all that matches are compared. Its cost is their number. *Inside*: where a walk turns out to cost more
//! than the share of matches lets expect, they lie together and elsewhere; then it goes on over matching nodes alone, which are one
//! another's neighbours there.

use super::walk::Enough;

/// Codes that a walk compares for each candidate that it keeps: measured on graphs of degree 32.
const COMPARED_PER_CANDIDATE: f64 = 20.0;
/// The cost of comparing a code in a scan, against one in a walk.
const SCAN_COST: f64 = 0.8;

/// Candidates of a walk over matching nodes alone, in multiples of `ef`: their links are fewer, and lead about less well.
pub(super) const INSIDE: usize = 4;
/// Matches that a walk collects, at least, in multiples of `k`.
const LEAST: usize = 4;

/// How much more than expected a walk may cost before it is done otherwise.
const PATIENCE: f64 = 2.0;

/// How a search is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plan {
    /// The walk kept the nearest, and visibility was tested on what it had found.
    #[default]
    Nearest,
    /// The walk asked of each node near enough whether it may be an answer, and went on until it had enough of those: with a filter, and
    /// where many of the nearest are not visible.
    Matching,
    /// The walk found few that may be an answer where it looked, and went on over such nodes alone.
    Inside,
    /// The codes of all slots that match were compared, because they are few, or because a walk came to none of them.
    Scan,
}

/// What a filtered search is expected to take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Expected {
    pub(super) plan: Plan,
    /// When a walk has enough.
    pub(super) enough: Enough,
}

/// The plan for a filter that `matches` of `living` vectors pass.
pub(super) fn expect(ef: usize, k: usize, matches: usize, living: usize) -> Expected {
    let share = (matches.max(1) as f64 / living.max(1) as f64).min(1.0);
    let least = (LEAST * k).min(ef);
    let wanted = (ef as f64 * share.sqrt()).max(least as f64);
    let walk = COMPARED_PER_CANDIDATE * wanted / share;
    let scan = SCAN_COST * matches as f64;
    let plan = if scan <= walk { Plan::Scan } else { Plan::Matching };
    Expected { plan, enough: Enough { ef, least, most: (PATIENCE * walk) as usize } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_matches_are_scanned_and_many_walked_to() {
        assert_eq!(expect(200, 10, 1_000, 1_000_000).plan, Plan::Scan);
        assert_eq!(expect(200, 10, 500_000, 1_000_000).plan, Plan::Matching);
        assert_eq!(expect(200, 10, 0, 1_000_000).plan, Plan::Scan);
        assert_eq!(expect(200, 10, 0, 0).plan, Plan::Scan);
        let Expected { plan, enough } = expect(200, 10, 1_000_000, 1_000_000);
        assert_eq!((plan, enough.ef, enough.least), (Plan::Matching, 200, 40));
        assert!(enough.most < 20_000);
    }
}
