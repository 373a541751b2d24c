//! Keeping an index: its segments as bytes, and an index of such bytes.

use std::sync::Arc;

use agentdb_types::{Lsn, Result};

use crate::bundle;
use crate::index::{Slot, State, TextIndex};
use crate::part::Part;
use crate::segment::ALIVE;
use crate::{Field, policy};

/// The name of a segment, unique in its index for as long as the index is open. A segment never changes, but for the
/// entries in it that die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(u64);

impl TextIndex {
    /// Makes one segment of the small ones, those of the entries inserted last, so that there are few to be kept. Returns
    /// whether there were several.
    pub fn seal(&self) -> bool {
        let _stepping = self.stepping();
        let state = self.state();
        let from = state.parts.len() - state.parts.iter().rev().take_while(|p| policy::small(p)).count();
        if state.parts.len() - from < 2 {
            return false;
        }
        self.replace(&state.parts[from..], state.watermark);
        true
    }

    /// The segments, from the oldest to the newest.
    pub fn segment_ids(&self) -> Vec<SegmentId> {
        self.state().parts.iter().map(|p| SegmentId(p.id)).collect()
    }

    /// The slots of the entries that live, by the latest change; in no order.
    pub fn living(&self) -> Vec<Slot> {
        self.writer().places.keys().copied().collect()
    }

    /// The bytes of a segment, with the slot and the birth of each entry in it; none if it was merged meanwhile. The
    /// same changes in the same order give the same bytes.
    pub fn bundle(&self, id: SegmentId) -> Option<Vec<u8>> {
        let state = self.state();
        let part = state.parts.iter().find(|p| p.id == id.0)?;
        Some(bundle::write(&part.segment, &self.fields))
    }

    /// An index of the segments of these bytes, from the oldest to the newest.
    ///
    /// When entries died is not in the bytes. Of several entries of one slot each dies when the next is born; which of
    /// the others are dead is to be told with [`TextIndex::bury`], before anybody searches.
    ///
    /// # Errors
    /// [`agentdb_types::Code::TextCorrupt`] if bytes are damaged, or are of an index of other fields or analyzers (weights
    /// may differ); [`agentdb_types::Code::FormatTooNew`]; as [`TextIndex::new`].
    pub fn open<B: AsRef<[u8]>>(
        fields: Vec<Field>,
        bundles: impl IntoIterator<Item = B>,
    ) -> Result<TextIndex> {
        let index = TextIndex::new(fields)?;
        let mut segments = Vec::new();
        for bytes in bundles {
            segments.push(Arc::new(bundle::read(bytes.as_ref(), &index.fields)?));
        }
        let mut entries: Vec<(Slot, u64, usize, u32)> = Vec::new();
        for (at, segment) in segments.iter().enumerate() {
            let entry = |doc: u32| (segment.slots[doc as usize], segment.born[doc as usize], at, doc);
            entries.extend((0..segment.len() as u32).map(entry));
        }
        entries.sort_unstable();
        for pair in entries.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            segments[pair[0].2].kill(pair[0].3, Lsn(pair[1].1));
        }
        let mut writer = index.writer();
        let parts: Vec<Part> = segments.iter().map(|s| Part::new(writer.new_id(), s.clone())).collect();
        for (slot, _, at, doc) in entries {
            writer.places.insert(slot, (parts[at].id, doc));
        }
        drop(writer);
        index.publish(State { parts, watermark: Lsn::ZERO });
        Ok(index)
    }

    /// The entries stored: the slot and the birth of each, dead ones too.
    pub fn stored(&self) -> Vec<(Slot, Lsn)> {
        let state = self.state();
        let of = |p: &Part| -> Vec<_> {
            p.segment.slots.iter().zip(&p.segment.born).map(|(slot, born)| (*slot, Lsn(*born))).collect()
        };
        state.parts.iter().flat_map(of).collect()
    }

    /// Says that the entry of a slot that was born at `born` died at `died`: for what an index that was opened does not
    /// know. Returns whether there is such an entry. If it is known to have died earlier, nothing changes.
    pub fn bury(&self, slot: Slot, born: Lsn, died: Lsn) -> bool {
        let mut writer = self.writer();
        let state = self.state();
        let mut parts = state.parts.clone();
        let place = |part: &Part, doc: u32| {
            let segment = &part.segment;
            segment.slots[doc as usize] == slot && segment.born[doc as usize] == born.0
        };
        // The latest entry of a slot is known; for the others all are looked at.
        let latest = writer.places.get(&slot).copied();
        let latest = latest.and_then(|(id, doc)| Some((parts.iter().position(|p| p.id == id)?, doc)));
        let found = latest.filter(|(at, doc)| place(&parts[*at], *doc)).or_else(|| {
            let all = |(at, part): (usize, &Part)| {
                Some((at, (0..part.segment.len() as u32).find(|d| place(part, *d))?))
            };
            parts.iter().enumerate().find_map(all)
        });
        let Some((at, doc)) = found else { return false };
        match parts[at].segment.died(doc) {
            ALIVE => {
                parts[at] = parts[at].kill(doc, died);
                writer.places.remove(&slot);
                self.publish(State { parts, watermark: state.watermark });
            }
            known => parts[at].segment.kill(doc, Lsn(known.min(died.0))),
        }
        true
    }
}
