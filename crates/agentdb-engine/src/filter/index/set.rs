//! Sets of ordinals in as few bytes as their size allows.

use roaring::RoaringBitmap;

/// A set of ordinals. Most values of most fields belong to one record or to a few; those are no bitmaps of their own, which cost
/// about a hundred bytes each, and more the further apart their ordinals lie.
#[derive(Clone, Debug)]
pub(super) enum Set {
    One(u32),
    /// In order.
    Few(Vec<u32>),
    Many(Box<RoaringBitmap>),
}

impl Default for Set {
    fn default() -> Self {
        Set::Few(Vec::new())
    }
}

impl Set {
    /// Adds an ordinal; whether it was not there.
    pub(super) fn insert(&mut self, ordinal: u32) -> bool {
        match self {
            Set::One(one) if *one == ordinal => return false,
            Set::One(one) => *self = Set::Few(vec![(*one).min(ordinal), (*one).max(ordinal)]),
            Set::Few(few) if few.is_empty() => *self = Set::One(ordinal),
            Set::Few(few) => {
                let Err(at) = few.binary_search(&ordinal) else { return false };
                few.insert(at, ordinal);
                self.widen();
            }
            Set::Many(many) => return many.insert(ordinal),
        }
        true
    }

    /// Takes an ordinal out; whether it was there.
    pub(super) fn remove(&mut self, ordinal: u32) -> bool {
        match self {
            Set::One(one) if *one == ordinal => *self = Set::default(),
            Set::One(_) => return false,
            Set::Few(few) => {
                let Ok(at) = few.binary_search(&ordinal) else { return false };
                few.remove(at);
            }
            Set::Many(many) => {
                let removed = many.remove(ordinal);
                if many.len() < SMALL as u64 / 2 {
                    *self = Set::Few(many.iter().collect());
                }
                return removed;
            }
        }
        true
    }

    pub(super) fn contains(&self, ordinal: u32) -> bool {
        match self {
            Set::One(one) => *one == ordinal,
            Set::Few(few) => few.binary_search(&ordinal).is_ok(),
            Set::Many(many) => many.contains(ordinal),
        }
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Set::One(_) => 1,
            Set::Few(few) => few.len() as u64,
            Set::Many(many) => many.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Set::Few(few) if few.is_empty())
    }

    /// How many of these ordinals are in it.
    pub(super) fn shared(&self, within: &RoaringBitmap) -> u64 {
        match self {
            Set::One(one) => u64::from(within.contains(*one)),
            Set::Few(few) => few.iter().filter(|o| within.contains(**o)).count() as u64,
            Set::Many(many) => many.intersection_len(within),
        }
    }

    /// Whether one of these ordinals is in it.
    pub(super) fn meets(&self, within: &RoaringBitmap) -> bool {
        match self {
            Set::One(one) => within.contains(*one),
            Set::Few(few) => few.iter().any(|o| within.contains(*o)),
            Set::Many(many) => !many.is_disjoint(within),
        }
    }

    /// The ordinals, ascending.
    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            Set::One(one) => Box::new(std::iter::once(*one)),
            Set::Few(few) => Box::new(few.iter().copied()),
            Set::Many(many) => Box::new(many.iter()),
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Set::One(_) => 0,
            Set::Few(few) => few.capacity() * 4,
            Set::Many(many) => bitmap_bytes(many),
        }
    }

    /// Becomes a bitmap if that is the smaller of the two: a bitmap takes room for each stretch of 65,536 ordinals.
    fn widen(&mut self) {
        let Set::Few(few) = self else { return };
        if few.len() < SMALL || !few.len().is_power_of_two() {
            return;
        }
        let stretches = (few[few.len() - 1] >> 16) - (few[0] >> 16) + 1;
        if few.len() > 32 * stretches as usize {
            *self = Set::Many(Box::new(few.iter().copied().collect()));
        }
    }
}

/// Ordinals below which a set is never a bitmap.
const SMALL: usize = 64;

/// Bytes of a bitmap on the heap, about.
pub(super) fn bitmap_bytes(bitmap: &RoaringBitmap) -> usize {
    let stats = bitmap.statistics();
    let arrays =
        stats.n_bytes_array_containers + stats.n_bytes_bitset_containers + stats.n_bytes_run_containers;
    24 + 40 * stats.n_containers as usize + arrays as usize
}

/// Ordinals that are gathered from many sets in any order, to become one bitmap.
#[derive(Debug, Default)]
pub(super) struct Gather {
    list: Vec<u32>,
    bitmap: RoaringBitmap,
}

impl Gather {
    pub(super) fn add(&mut self, ordinals: &[u32]) {
        self.list.extend_from_slice(ordinals);
    }

    pub(super) fn add_set(&mut self, set: &Set) {
        match set {
            Set::One(one) => self.list.push(*one),
            Set::Few(few) => self.list.extend_from_slice(few),
            Set::Many(many) => self.add_bitmap(many),
        }
    }

    pub(super) fn add_bitmap(&mut self, bitmap: &RoaringBitmap) {
        if self.bitmap.is_empty() {
            self.bitmap = bitmap.clone();
        } else {
            self.bitmap |= bitmap;
        }
    }

    /// All that was added.
    pub(super) fn finish(mut self) -> RoaringBitmap {
        let from_list = bitmap_of(&mut self.list);
        if self.bitmap.is_empty() {
            return from_list;
        }
        self.bitmap |= from_list;
        self.bitmap
    }
}

/// A bitmap of ordinals in any order: by way of plain bits where there are enough of them, which takes a nanosecond or two
/// each; by sorting otherwise.
fn bitmap_of(list: &mut Vec<u32>) -> RoaringBitmap {
    let most = list.iter().copied().max().unwrap_or(0) as usize;
    if list.len() >= 512 && most / 8 < list.len() * 32 {
        let mut bytes = vec![0u8; most / 8 + 1];
        for ordinal in list.iter() {
            bytes[(ordinal >> 3) as usize] |= 1 << (ordinal & 7);
        }
        return RoaringBitmap::from_lsb0_bytes(0, &bytes);
    }
    list.sort_unstable();
    list.dedup();
    list.iter().copied().collect()
}
