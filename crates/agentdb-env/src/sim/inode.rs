//! One file of the simulated disk: what is durable, what readers see, and what lies between.

use super::counters::Counters;
use super::pages::{Pages, is_zero};
use super::random::Random;

/// The unit that a disk writes whole or not at all.
pub(super) const SECTOR: u64 = 512;

pub(super) struct Inode {
    durable: Pages,
    current: Pages,
    /// What was done since the last sync, oldest first.
    pending: Vec<Pending>,
    /// Names that lead here now.
    pub(super) links: u32,
    /// Handles of the running process.
    pub(super) opens: u32,
}

enum Pending {
    Write { offset: u64, data: Data },
    SetLen(u64),
}

enum Data {
    Zeros(u64),
    Bytes(Box<[u8]>),
}

/// Which unsynced changes reach the disk when nobody waits for them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// None.
    Lose,
    /// All.
    Keep,
    /// All up to one, which may be torn.
    Prefix,
    /// Any set of them, each whole or in part.
    Scatter,
}

impl Mood {
    pub(super) fn any(random: &mut Random) -> Self {
        match random.below(6) {
            0 => Mood::Lose,
            1 => Mood::Keep,
            2 => Mood::Prefix,
            _ => Mood::Scatter,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Torn,
    Lost,
}

impl Inode {
    /// A file with one name, whose bytes are durable.
    pub(super) fn named(bytes: &[u8]) -> Self {
        let mut pages = Pages::default();
        pages.write(0, bytes);
        Inode { durable: pages.clone(), current: pages, pending: Vec::new(), links: 1, opens: 0 }
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let data = Data::new(bytes);
        data.apply(&mut self.current, offset, 0, bytes.len() as u64);
        self.pending.push(Pending::Write { offset, data });
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.current.set_len(len);
        self.pending.push(Pending::SetLen(len));
    }

    /// Everything unsynced becomes durable.
    ///
    /// The changes are replayed rather than the current bytes copied: what an earlier failed sync lost stays lost
    /// unless it was written again.
    pub(super) fn sync(&mut self) {
        for pending in self.pending.drain(..) {
            pending.apply(&mut self.durable);
        }
    }

    /// Some part of what is unsynced becomes durable, and the rest never will: what a failed sync leaves, and the
    /// first half of a power loss.
    pub(super) fn settle(&mut self, mood: Mood, random: &mut Random, counters: &mut Counters) {
        let pending = std::mem::take(&mut self.pending);
        let cut = random.below(pending.len() as u64 + 1) as usize;
        let mut lost_before = false;
        for (i, change) in pending.into_iter().enumerate() {
            let wish = match mood {
                Mood::Lose => Fate::Lost,
                Mood::Keep => Fate::Kept,
                Mood::Prefix if i == cut => Fate::Torn,
                Mood::Prefix if i < cut => Fate::Kept,
                Mood::Prefix => Fate::Lost,
                Mood::Scatter => [Fate::Kept, Fate::Torn, Fate::Lost][random.below(3) as usize],
            };
            let fate = change.settle(wish, &mut self.durable, random);
            match fate {
                Fate::Kept => {}
                Fate::Torn => counters.add("torn_writes"),
                Fate::Lost => counters.add("lost_writes"),
            }
            if fate != Fate::Lost && lost_before {
                counters.add("reordered_writes");
            }
            lost_before |= fate != Fate::Kept;
        }
        if mood == Mood::Scatter && self.current.len() > self.durable.len() && random.chance(1, 4) {
            // The length was journalled, the bytes were not.
            self.durable.extend_to(self.current.len());
        }
    }

    /// Readers see what is durable: the second half of a power loss.
    pub(super) fn forget(&mut self) {
        self.pending.clear();
        self.current = self.durable.clone();
    }

    /// Damages a bit on the disk and in the cache; false beyond the end of the file.
    pub(super) fn flip(&mut self, offset: u64, bit: u8) -> bool {
        let seen = self.current.flip(offset, bit);
        self.durable.flip(offset, bit) || seen
    }

    pub(super) fn has_unsynced(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The bytes that readers see.
    pub(super) fn pages(&self) -> &Pages {
        &self.current
    }
}

impl Pending {
    fn apply(&self, disk: &mut Pages) {
        match self {
            Pending::Write { offset, data } => data.apply(disk, *offset, 0, data.len()),
            Pending::SetLen(len) => disk.set_len(*len),
        }
    }

    /// Does to the disk what fate wishes, and says what came of it: a change within one sector cannot tear.
    fn settle(&self, wish: Fate, disk: &mut Pages, random: &mut Random) -> Fate {
        match (wish, self) {
            (Fate::Lost, _) => Fate::Lost,
            (Fate::Kept, _) => {
                self.apply(disk);
                Fate::Kept
            }
            (Fate::Torn, Pending::Write { offset, data }) => tear(*offset, data, disk, random),
            (Fate::Torn, Pending::SetLen(_)) if random.chance(1, 2) => {
                self.apply(disk);
                Fate::Kept
            }
            (Fate::Torn, Pending::SetLen(_)) => Fate::Lost,
        }
    }
}

/// Lets each sector of a write survive or not.
fn tear(offset: u64, data: &Data, disk: &mut Pages, random: &mut Random) -> Fate {
    let (mut at, mut kept, mut lost) = (0, 0, 0);
    while at < data.len() {
        let end = ((offset + at) / SECTOR * SECTOR + SECTOR - offset).min(data.len());
        if random.chance(1, 2) {
            data.apply(disk, offset, at, end);
            kept += 1;
        } else {
            lost += 1;
        }
        at = end;
    }
    match (kept, lost) {
        (0, _) => Fate::Lost,
        (_, 0) => Fate::Kept,
        _ => Fate::Torn,
    }
}

impl Data {
    fn new(bytes: &[u8]) -> Self {
        if is_zero(bytes) { Data::Zeros(bytes.len() as u64) } else { Data::Bytes(bytes.into()) }
    }

    fn len(&self) -> u64 {
        match self {
            Data::Zeros(len) => *len,
            Data::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Writes the part `from..to` of this data, which as a whole belongs at `offset`.
    fn apply(&self, disk: &mut Pages, offset: u64, from: u64, to: u64) {
        match self {
            Data::Zeros(_) => disk.write_zeros(offset + from, to - from),
            Data::Bytes(bytes) => disk.write(offset + from, &bytes[from as usize..to as usize]),
        }
    }
}
