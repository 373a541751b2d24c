//! Where the living entry of each slot is.

use std::collections::HashMap;

use crate::Slot;

/// Slots of a page.
const PAGE: usize = 256;

/// From slots to places. Slots are mostly numbers that count up: they lie in pages, so that many slots in ascending order are
/// looked up without a hash for each. Slots that are far from each other cost a page each.
#[derive(Default)]
pub(crate) struct Places {
    pages: HashMap<u64, Box<Page>>,
    len: usize,
}

struct Page {
    places: [Option<Place>; PAGE],
    used: usize,
}

/// The chunk, and the row in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) chunk: u32,
    pub(crate) row: u32,
}

impl Place {
    pub(crate) fn new(chunk: usize, row: usize) -> Self {
        // More chunks than that would be beyond any address space.
        Place { chunk: chunk as u32, row: row as u32 }
    }
}

/// The page of a slot, and the place in it.
fn split(slot: Slot) -> (u64, usize) {
    (slot / PAGE as u64, (slot % PAGE as u64) as usize)
}

impl Places {
    /// The number of slots that have a place.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Gives a slot a place, and returns the one that it had.
    pub(crate) fn insert(&mut self, slot: Slot, place: Place) -> Option<Place> {
        let (page, at) = split(slot);
        let new = || Box::new(Page { places: [None; PAGE], used: 0 });
        let page = self.pages.entry(page).or_insert_with(new);
        let old = page.places[at].replace(place);
        if old.is_none() {
            page.used += 1;
            self.len += 1;
        }
        old
    }

    /// Takes a slot's place away, and returns it.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Place> {
        let (number, at) = split(slot);
        let page = self.pages.get_mut(&number)?;
        let old = page.places[at].take()?;
        page.used -= 1;
        self.len -= 1;
        if page.used == 0 {
            self.pages.remove(&number);
        }
        Some(old)
    }

    /// The place of a slot.
    pub(crate) fn get(&self, slot: Slot) -> Option<Place> {
        let (page, at) = split(slot);
        self.pages.get(&page)?.places[at]
    }

    /// The places of slots; none if one of them has none.
    pub(crate) fn get_all(&self, slots: &[Slot]) -> Option<Vec<Place>> {
        let mut last: Option<(u64, &Page)> = None;
        let place = |slot: &Slot| {
            let (number, at) = split(*slot);
            let page = match last {
                Some((known, page)) if known == number => page,
                _ => last.insert((number, self.pages.get(&number)?)).1,
            };
            page.places[at]
        };
        slots.iter().map(place).collect()
    }

    /// Takes every place away.
    pub(crate) fn clear(&mut self) {
        *self = Places::default();
    }

    /// The size in memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.pages.capacity() * (size_of::<(u64, Box<Page>)>() + 1) + self.pages.len() * size_of::<Page>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_are_those_of_a_map(
            steps in prop::collection::vec((prop_oneof![0u64..600, any::<u64>()], any::<bool>()), 1..200)
        ) {
            let (mut places, mut model) = (Places::default(), HashMap::new());
            for (n, (slot, insert)) in steps.iter().enumerate() {
                if *insert {
                    let place = Place::new(n, n % 7);
                    prop_assert_eq!(places.insert(*slot, place), model.insert(*slot, place));
                } else {
                    prop_assert_eq!(places.remove(*slot), model.remove(slot));
                }
                prop_assert_eq!(places.len(), model.len());
            }
            let slots: Vec<u64> = steps.iter().map(|(slot, _)| *slot).collect();
            for slot in &slots {
                prop_assert_eq!(places.get(*slot), model.get(slot).copied());
            }
            let all: Option<Vec<Place>> = slots.iter().map(|slot| model.get(slot).copied()).collect();
            prop_assert_eq!(places.get_all(&slots), all);
            let there: Vec<u64> = model.keys().copied().collect();
            prop_assert_eq!(places.get_all(&there).map(|places| places.len()), Some(model.len()));
            for slot in there {
                places.remove(slot);
            }
            prop_assert_eq!((places.len(), places.pages.len()), (0, 0));
        }
    }
}
