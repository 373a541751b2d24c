//! Running a plan over the parts of a state.

mod leaf;
mod phrase;
mod tree;
mod union;

use agentdb_types::Lsn;

use crate::cursor::END;
use crate::index::{Slot, State};
use crate::plan::Plan;
use crate::top::Top;

pub(crate) use phrase::{PLACES, occurrences};
pub(crate) use tree::Tree;

/// Which entries count.
#[derive(Clone, Copy)]
pub(crate) struct Admission<'a> {
    pub(crate) at: Lsn,
    pub(crate) filter: Option<&'a dyn Fn(Slot) -> bool>,
}

/// Offers to `top` what the plan finds, and may leave out what cannot enter.
pub(crate) fn search(plan: &Plan, state: &State, admission: Admission<'_>, top: &mut Top<'_>) {
    let union = plan.root.as_union();
    for (at, part) in state.parts.iter().enumerate() {
        let segment = &*part.segment;
        let admit = |doc: u32| {
            let slot = segment.slots[doc as usize];
            segment.visible(doc, admission.at) && admission.filter.is_none_or(|keep| keep(slot))
        };
        if let Some(leaves) = &union {
            union::search(plan, leaves, at, segment, &admit, top);
            continue;
        }
        let mut tree = Tree::new(plan, &plan.root, at, segment);
        let mut doc = tree.seek(0);
        while doc != END {
            let sum = tree.sum();
            if sum >= top.floor() {
                top.offer(segment.slots[doc as usize], sum, || admit(doc));
            }
            doc = tree.seek(doc + 1);
        }
    }
}

/// How many entries the plan finds.
pub(crate) fn count(plan: &Plan, state: &State, admission: Admission<'_>) -> usize {
    let mut count = 0;
    for (at, part) in state.parts.iter().enumerate() {
        let segment = &*part.segment;
        let mut tree = Tree::new(plan, &plan.root, at, segment);
        let mut doc = tree.seek(0);
        while doc != END {
            let slot = segment.slots[doc as usize];
            let admitted =
                segment.visible(doc, admission.at) && admission.filter.is_none_or(|keep| keep(slot));
            count += usize::from(admitted);
            doc = tree.seek(doc + 1);
        }
    }
    count
}
