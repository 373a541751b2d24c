//! The newest node of each slot.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};

use super::nodes::{NONE, Node};
use super::search::EachSlot;
use crate::Slot;

/// Slots of a page.
const PAGE: usize = 64;

/// Pages of 64 neighbouring slots: four bytes and a little for each slot where slots are handed out in sequence. Slots that
/// lie far apart cost a page each.
#[derive(Default)]
pub(super) struct Slots(RwLock<HashMap<u64, Box<Page>>>);

type Page = [AtomicU32; PAGE];

impl Slots {
    /// Makes `node` the newest of its slot. Returns the one that was.
    pub(super) fn replace(&self, slot: Slot, node: Node) -> Option<Node> {
        let pages = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = pages.get(&number(slot)) {
            return exchange(page, slot, node);
        }
        drop(pages);
        let mut pages = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let empty = || Box::new(std::array::from_fn(|_| AtomicU32::new(NONE)));
        exchange(pages.entry(number(slot)).or_insert_with(empty), slot, node)
    }

    /// Forgets a slot. Returns its newest node.
    pub(super) fn remove(&self, slot: Slot) -> Option<Node> {
        let pages = self.0.read().unwrap_or_else(PoisonError::into_inner);
        pages.get(&number(slot)).and_then(|page| exchange(page, slot, NONE))
    }

    /// Calls `each` with the newest node of each of the slots that `slots` gives and that have one.
    pub(super) fn look_up(&self, slots: &EachSlot<'_>, each: &mut dyn FnMut(Node)) {
        let pages = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut last: Option<(u64, Option<&Page>)> = None;
        slots(&mut |slot| {
            let page = match last {
                Some((last, page)) if last == number(slot) => page,
                _ => pages.get(&number(slot)).map(|page| &**page),
            };
            last = Some((number(slot), page));
            let node = page.map_or(NONE, |page| page[row(slot)].load(Ordering::Acquire));
            if node != NONE {
                each(node);
            }
        });
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        let pages = self.0.read().unwrap_or_else(PoisonError::into_inner);
        pages.capacity() * (size_of::<(u64, Box<Page>)>() + 1) + pages.len() * size_of::<Page>()
    }
}

fn number(slot: Slot) -> u64 {
    slot / PAGE as u64
}

fn row(slot: Slot) -> usize {
    (slot % PAGE as u64) as usize
}

fn exchange(page: &Page, slot: Slot, node: Node) -> Option<Node> {
    // Acquire and release: who finds the node finds its mark and its code.
    let old = page[row(slot)].swap(node, Ordering::AcqRel);
    (old != NONE).then_some(old)
}
