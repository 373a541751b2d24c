//! The latest contents of channels, so that the next one is compared with what it follows without reading that through all
//! its changes. Nothing depends on what is here: a content that is not is read from its rows.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::content::Hash;
use crate::key::NamespaceId;

/// Bytes that are kept, at most: the values of the conversations that are going on.
const MOST_BYTES: usize = 8 << 20;
/// Below this size a content takes few rows, and is quickly read.
const LEAST: usize = 1 << 10;
/// What one takes beside its bytes, about.
const OVERHEAD: usize = 256;

/// Where a content is: contents are shared within a thread and its copies alone.
type Id = (NamespaceId, u64, Hash);

/// Contents that were stored last. One that is asked for is gone: whoever asks stores what follows it.
#[derive(Default)]
pub(crate) struct RecentContents(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    contents: BTreeMap<Id, (u64, Vec<u8>)>,
    /// By when they came.
    order: BTreeMap<u64, Id>,
    next: u64,
    bytes: usize,
}

impl Kept {
    fn take(&mut self, id: &Id) -> Option<Vec<u8>> {
        let (number, content) = self.contents.remove(id)?;
        self.order.remove(&number);
        self.bytes -= content.len() + OVERHEAD;
        Some(content)
    }
}

impl RecentContents {
    /// Keeps a content, and lets go of those that came first if there are too many.
    pub(super) fn keep(&self, id: Id, content: Vec<u8>) {
        if content.len() < LEAST {
            return;
        }
        self.with(|kept| {
            kept.take(&id);
            let number = kept.next;
            kept.next += 1;
            kept.bytes += content.len() + OVERHEAD;
            kept.order.insert(number, id);
            kept.contents.insert(id, (number, content));
            while kept.bytes > MOST_BYTES
                && let Some((_, first)) = kept.order.first_key_value().map(|(n, id)| (*n, *id))
            {
                kept.take(&first);
            }
        });
    }

    /// Takes a content out.
    pub(super) fn take(&self, id: &Id) -> Option<Vec<u8>> {
        self.with(|kept| kept.take(id))
    }

    /// Lets go of everything: what was deleted is not kept here.
    pub(crate) fn clear(&self) {
        self.with(|kept| *kept = Kept { next: kept.next, ..Kept::default() });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(namespace: u64, root: u64, first: u8) -> Id {
        let mut hash = [0; 32];
        hash[0] = first;
        (NamespaceId(namespace), root, hash)
    }

    #[test]
    fn a_content_is_given_once_and_only_where_it_is() {
        let recent = RecentContents::default();
        recent.keep(id(1, 1, 1), vec![7; LEAST]);
        recent.keep(id(1, 1, 2), vec![8; LEAST - 1]);
        for elsewhere in [id(2, 1, 1), id(1, 2, 1), id(1, 1, 2), id(1, 1, 3)] {
            assert_eq!(recent.take(&elsewhere), None);
        }
        assert_eq!(recent.take(&id(1, 1, 1)), Some(vec![7; LEAST]));
        assert_eq!(recent.take(&id(1, 1, 1)), None);
        recent.keep(id(1, 1, 1), vec![7; LEAST]);
        recent.clear();
        assert_eq!(recent.take(&id(1, 1, 1)), None);
    }

    #[test]
    fn the_first_ones_go_when_there_are_too_many_bytes() {
        let recent = RecentContents::default();
        let size = MOST_BYTES / 4;
        (0..4).for_each(|n| recent.keep(id(1, 1, n), vec![n; size]));
        // Kept once more, it is the last one.
        recent.keep(id(1, 1, 1), vec![1; size]);
        assert!(recent.0.lock().unwrap().bytes <= MOST_BYTES);
        let left: Vec<u8> = (0..4).filter(|n| recent.take(&id(1, 1, *n)).is_some()).collect();
        assert_eq!(left, [1, 2, 3]);
        let kept = recent.0.lock().unwrap();
        assert!(kept.bytes == 0 && kept.contents.is_empty() && kept.order.is_empty());
    }
}
