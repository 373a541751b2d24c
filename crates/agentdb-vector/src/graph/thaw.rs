//! From bytes that were opened, and are only read, to a graph that changes: the first change makes a copy.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::Graph;
use super::nodes::{NONE, Node, View};
use super::slots::Slots;

impl Graph {
    /// Takes note that the graph uses bytes that are only read, with these checksums of its chunks.
    pub(super) fn freeze(&self, sums: Vec<[u64; 4]>) {
        *self.sums.lock().unwrap_or_else(PoisonError::into_inner) = sums.into();
        self.frozen.store(true, Ordering::Release);
    }

    /// The checksums of the chunks that the graph was opened with.
    pub(super) fn sums(&self) -> Arc<[[u64; 4]]> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes sure that the graph can be changed. Whoever comes first copies it, others wait; searches go on where they are.
    pub(super) fn thaw(&self) {
        if !self.frozen.load(Ordering::Acquire) {
            return;
        }
        let _alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        if !self.frozen.load(Ordering::Acquire) {
            return;
        }
        self.slots();
        let view = self.view();
        let mut growth = self.growth();
        let chunks = view.chunks.iter().map(|chunk| {
            let owned = chunk.parts().iter().all(|part| part.is_owned());
            // SAFETY: nobody writes to a frozen graph.
            if owned { chunk.clone() } else { Arc::new(unsafe { chunk.copied() }) }
        });
        let new = View::new(self.shape, chunks.collect(), view.entries.clone());
        for node in 0..growth.next {
            new.clean(node, growth.next);
            if new.died(node).is_some() {
                growth.dead.push(node);
            }
        }
        drop(view);
        self.publish(&mut growth, new, Vec::new());
        self.frozen.store(false, Ordering::Release);
    }

    /// The newest node of each slot: of an opened graph, found out when it is first needed.
    pub(super) fn slots(&self) -> &Slots {
        self.slots.get_or_init(|| {
            let (slots, view, nodes) = (Slots::default(), self.view(), self.growth().next);
            for node in (0..nodes).filter(|node| view.died(*node).is_none()) {
                slots.replace(view.slot(node), node);
            }
            slots
        })
    }
}

impl View {
    /// Mends what a writer relies on and bytes that were not verified may lack: links lead to nodes below `nodes`, and nothing is
    /// being taken out.
    fn clean(&self, node: Node, nodes: Node) {
        let links = self.links(node);
        let sound = links.iter().take_while(|link| link.load(Ordering::Relaxed) < nodes).count();
        links[sound..].iter().for_each(|link| link.store(NONE, Ordering::Relaxed));
        self.pardon(node);
    }
}
