//! A skip list (W. Pugh, 1990) of versions of rows, in the order of (key, descending LSN), whose nodes lie in chunks of
//! memory: one allocation a thousand nodes, and freeing all of them is freeing the chunks. Nothing is ever taken out.
//!
//! One thread at a time adds nodes, under a lock; any number read meanwhile and wait for nobody. **Publication:** a node
//! is written whole, its own links included, before the first link to it is stored with release; links are followed with
//! acquire loads, so whoever gets to a node sees all that was written of it. It is linked from the lowest level up, each
//! store after that of the level below, so a node that is found on one level is on all levels below. Of a node that is
//! linked nothing changes but its links, which are atomic. Readers borrow the list, and memory is freed with the list.
//!
//! A node: its header, as many links as it has levels, the key; a whole number of words. Bodies lie in chunks of their own,
//! so that the nodes which a search passes lie close together, and so do nodes that were put aside, each before its body.
//! A large body lies outside, where it is shared with whoever reads it.
//!
//! This module and `chunks` are the only ones of the rows with unsafe code.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use agentdb_types::Lsn;

use super::chunks::{Arena, Spare};

/// A node in four has a second level, a node in sixteen a third: enough for 16 million.
const MOST_LEVELS: usize = 12;
/// Bytes of a body up to which it lies in chunks, and is copied by whoever reads it.
const MOST_INLINE: usize = 4 << 10;
/// Nodes that were put aside and are linked in one go, between which another thread may take over.
const AT_ONCE: usize = 16;

type Link = AtomicPtr<Node>;

/// The start of a node.
#[repr(C)]
struct Node {
    lsn: u64,
    /// Where an inline body lies.
    body: *const u8,
    key_bytes: u32,
    /// Of a body that lies outside: its number there.
    body_bytes: u32,
    levels: u8,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Deleted,
    Inline,
    Outside,
}

/// The body of a version that is added; parts are put one behind another.
pub(super) enum Body<'a> {
    Deleted,
    Parts(&'a [&'a [u8]]),
    Shared(Arc<[u8]>),
}

impl<'a> Body<'a> {
    /// A body that exists already; `part` is where it is borrowed.
    pub(super) fn of(body: &'a Option<Arc<[u8]>>, part: &'a mut [&'a [u8]; 1]) -> Self {
        match body {
            None => Body::Deleted,
            Some(body) if body.len() > MOST_INLINE => Body::Shared(body.clone()),
            Some(body) => {
                *part = [body];
                Body::Parts(part)
            }
        }
    }

    /// Parts that are one body.
    pub(super) fn joined(parts: &'a [&'a [u8]]) -> Self {
        match parts.iter().map(|part| part.len()).sum::<usize>() {
            0..=MOST_INLINE => Body::Parts(parts),
            _ => Body::Shared(parts.concat().into()),
        }
    }
}

pub(super) struct SkipList {
    /// The first node of each level.
    head: [Link; MOST_LEVELS],
    /// Levels that have nodes; a reader that sees too few of them only walks further.
    levels: AtomicUsize,
    writer: Mutex<Writer>,
    outside: RwLock<Vec<Arc<[u8]>>>,
    bytes: AtomicUsize,
}

struct Writer {
    nodes: Arena,
    bodies: Arena,
    /// Whole nodes that are not linked yet, from the oldest to the newest, each with its lowest link to the next.
    aside: Option<(NonNull<Node>, NonNull<Node>)>,
    random: u64,
}

// SAFETY: the pointers lead to nodes in the writer's own arenas, which threads may share by the protocol above.
unsafe impl Send for Writer {}

/// A version in the list.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    list: &'a SkipList,
    node: NonNull<Node>,
}

impl SkipList {
    pub(super) fn new(spare: Arc<Spare>) -> Self {
        SkipList {
            head: [const { Link::new(std::ptr::null_mut()) }; MOST_LEVELS],
            levels: AtomicUsize::new(1),
            writer: Mutex::new(Writer {
                nodes: Arena::new(spare.clone()),
                bodies: Arena::new(spare),
                aside: None,
                random: 0x9e37_79b9_7f4a_7c15,
            }),
            outside: RwLock::default(),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Adds a version. One that is equal to one that is there comes before it, and so hides it.
    pub(super) fn insert(&self, key: &[&[u8]], lsn: Lsn, body: Body<'_>) {
        let mut writer = self.lock();
        let node = self.write(&mut writer, key, lsn, body, false);
        self.link(node);
    }

    /// Writes a version that is not found before it was linked: that costs little now.
    pub(super) fn put_aside(&self, key: &[&[u8]], lsn: Lsn, body: Body<'_>) {
        let mut writer = self.lock();
        let node = self.write(&mut writer, key, lsn, body, true);
        writer.aside = match writer.aside {
            None => Some((node, node)),
            Some((first, last)) => {
                self.entry(last).links()[0].store(node.as_ptr(), Ordering::Relaxed);
                Some((first, node))
            }
        };
    }

    /// Links some of the versions that were put aside, and tells `linked` their keys; returns whether there were any.
    /// Whoever hears that there are none finds all that were put aside before.
    pub(super) fn link_aside(&self, mut linked: impl FnMut(&[u8])) -> bool {
        let mut writer = self.lock();
        let worked = writer.aside.is_some();
        for _ in 0..AT_ONCE {
            let Some((first, last)) = writer.aside else { break };
            let next = self.entry(first).links()[0].load(Ordering::Relaxed);
            writer.aside = NonNull::new(next).filter(|_| first != last).map(|next| (next, last));
            linked(self.entry(first).key());
            self.link(first);
        }
        worked
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a node, linked to nothing and from nowhere.
    fn write(
        &self,
        writer: &mut Writer,
        key: &[&[u8]],
        lsn: Lsn,
        body: Body<'_>,
        aside: bool,
    ) -> NonNull<Node> {
        let inline = match &body {
            Body::Parts(parts) => *parts,
            _ => &[],
        };
        let sum = |parts: &[&[u8]]| parts.iter().map(|part| part.len()).sum::<usize>();
        let (key_bytes, inline_bytes) = (sum(key), sum(inline));
        let (kind, body_bytes) = match body {
            Body::Deleted => (Kind::Deleted, 0),
            Body::Parts(_) => (Kind::Inline, inline_bytes),
            Body::Shared(body) => {
                self.bytes.fetch_add(body.len(), Ordering::Relaxed);
                let mut outside = self.outside.write().unwrap_or_else(PoisonError::into_inner);
                outside.push(body);
                (Kind::Outside, outside.len() - 1)
            }
        };
        let levels = writer.next_levels();
        let bytes = size_of::<Node>() + levels * size_of::<Link>() + key_bytes;
        let nodes = if aside { &mut writer.bodies } else { &mut writer.nodes };
        let (at, cost) = nodes.allocate(bytes.div_ceil(8));
        let (body_at, body_cost) = writer.bodies.allocate(inline_bytes.div_ceil(8));
        self.bytes.fetch_add(8 * (cost + body_cost), Ordering::Relaxed);
        let (node, body_at) = (at.cast::<Node>(), body_at.cast::<u8>());
        let header = Node {
            lsn: lsn.0,
            body: body_at,
            // Both are bounded by what a batch may hold.
            key_bytes: key_bytes as u32,
            body_bytes: body_bytes as u32,
            levels: levels as u8,
            kind,
        };
        // SAFETY: the arenas gave at least the `bytes` and the `inline_bytes` that are written here, aligned to eight, to
        // nobody else: header, links and key, in this order, and no more; and the body.
        unsafe {
            node.write(header);
            let links = node.add(1).cast::<Link>();
            for level in 0..levels {
                links.add(level).write(Link::new(std::ptr::null_mut()));
            }
            copy(key, links.add(levels).cast());
            copy(inline, body_at);
            NonNull::new_unchecked(node)
        }
    }

    /// Links a node that was written; only whoever holds the writer's lock may.
    fn link(&self, node: NonNull<Node>) {
        let entry = self.entry(node);
        let (key, lsn) = (entry.key(), entry.lsn());
        let mut path = [None; MOST_LEVELS];
        self.last_where(|other| other.is_before(key, lsn), |level, before| path[level] = before);
        let links = entry.links();
        for (level, link) in links.iter().enumerate() {
            let next = self.links_behind(path[level])[level].load(Ordering::Relaxed);
            link.store(next, Ordering::Relaxed);
        }
        for (level, before) in path.into_iter().enumerate().take(links.len()) {
            // Here it becomes visible, and all that was written of it with it.
            self.links_behind(before)[level].store(node.as_ptr(), Ordering::Release);
        }
        self.levels.fetch_max(links.len(), Ordering::Relaxed);
    }

    /// The last version for which `is_before` holds; it holds for all before one for which it does. `passed` hears on each
    /// level, from the highest in use down, which one that was.
    fn last_where<'a>(
        &'a self,
        is_before: impl Fn(Entry<'a>) -> bool,
        mut passed: impl FnMut(usize, Option<Entry<'a>>),
    ) -> Option<Entry<'a>> {
        let (mut last, mut beyond) = (None, std::ptr::null_mut());
        for level in (0..self.levels.load(Ordering::Relaxed)).rev() {
            loop {
                let next = self.links_behind(last)[level].load(Ordering::Acquire);
                match NonNull::new(next).map(|node| self.entry(node)) {
                    // What was too far on the level above is not looked at again.
                    Some(entry) if next != beyond && is_before(entry) => last = Some(entry),
                    _ => break beyond = next,
                }
            }
            passed(level, last);
        }
        last
    }

    fn links_behind<'a>(&'a self, entry: Option<Entry<'a>>) -> &'a [Link] {
        entry.map_or(&self.head[..], Entry::links)
    }

    fn next_behind<'a>(&'a self, entry: Option<Entry<'a>>) -> Option<Entry<'a>> {
        NonNull::new(self.links_behind(entry)[0].load(Ordering::Acquire)).map(|node| self.entry(node))
    }

    /// The first version at or behind a place.
    pub(super) fn seek(&self, key: &[u8], lsn: Lsn) -> Option<Entry<'_>> {
        let mut next = self.next_behind(self.last_where(|entry| entry.is_before(key, lsn), |_, _| {}));
        // What was linked since the last one before the place was found may lie before it, too.
        while let Some(entry) = next.filter(|entry| entry.is_before(key, lsn)) {
            next = entry.next();
        }
        next
    }

    /// The last version of the last key before this one, or of all.
    pub(super) fn last_before(&self, key: Option<&[u8]>) -> Option<Entry<'_>> {
        self.last_where(|entry| key.is_none_or(|key| entry.key() < key), |_, _| {})
    }

    /// Bytes of all nodes, of what was left of chunks, and of bodies outside.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head[0].load(Ordering::Relaxed).is_null()
    }

    /// `node` is one of this list's, written whole.
    fn entry(&self, node: NonNull<Node>) -> Entry<'_> {
        Entry { list: self, node }
    }
}

/// Puts parts one behind another.
///
/// # Safety
/// As many bytes as they have together may be written from `to` on.
unsafe fn copy(parts: &[&[u8]], mut to: *mut u8) {
    for part in parts {
        // SAFETY: what the caller promises, less what was written; nobody else has a reference to that memory yet.
        unsafe {
            to.copy_from_nonoverlapping(part.as_ptr(), part.len());
            to = to.add(part.len());
        }
    }
}

impl Writer {
    /// How many levels the next node has: by chance, the same for the same writes.
    fn next_levels(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (1 + self.random.trailing_zeros() as usize / 2).min(MOST_LEVELS)
    }
}

impl<'a> Entry<'a> {
    fn header(self) -> &'a Node {
        // SAFETY: an entry's node was written whole before the entry was made, or before the link was that led to it (see
        // above); its header is never written again, and lives as long as the list, which is borrowed.
        unsafe { self.node.as_ref() }
    }

    fn links(self) -> &'a [Link] {
        let levels = usize::from(self.header().levels);
        // SAFETY: as for the header, behind which that many links lie; from then on they change atomically only.
        unsafe { std::slice::from_raw_parts(self.node.as_ptr().add(1).cast::<Link>(), levels) }
    }

    /// The key of the row.
    pub(super) fn key(self) -> &'a [u8] {
        let header = self.header();
        // SAFETY: as for the header; behind the links lies the key.
        unsafe {
            let start = self.node.as_ptr().add(1).cast::<Link>().add(usize::from(header.levels));
            std::slice::from_raw_parts(start.cast::<u8>(), header.key_bytes as usize)
        }
    }

    pub(super) fn lsn(self) -> Lsn {
        Lsn(self.header().lsn)
    }

    /// The body, unless the row was deleted.
    pub(super) fn body(self) -> Option<Arc<[u8]>> {
        let header = self.header();
        match header.kind {
            Kind::Deleted => None,
            Kind::Inline => {
                // SAFETY: as for the header; the body was written before, and lies in the list's chunks, too.
                let body = unsafe { std::slice::from_raw_parts(header.body, header.body_bytes as usize) };
                Some(body.into())
            }
            Kind::Outside => {
                let outside = self.list.outside.read().unwrap_or_else(PoisonError::into_inner);
                Some(outside[header.body_bytes as usize].clone())
            }
        }
    }

    /// The version behind this one, as of now.
    pub(super) fn next(self) -> Option<Entry<'a>> {
        self.list.next_behind(Some(self))
    }

    fn is_before(self, key: &[u8], lsn: Lsn) -> bool {
        match self.key().cmp(key) {
            std::cmp::Ordering::Equal => self.lsn() > lsn,
            order => order.is_lt(),
        }
    }
}

#[cfg(test)]
mod tests;
