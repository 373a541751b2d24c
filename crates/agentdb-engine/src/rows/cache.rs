//! The cache of blocks, shared by all runs of a database.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::block::Block;

/// A run's number and the index of a block in it.
type Id = (u64, u32);

pub(super) struct BlockCache(Cache<Id, Arc<Block>, Weight, BuildHasherDefault<Mixer>>);

#[derive(Clone)]
struct Weight;

impl Weighter<Id, Arc<Block>> for Weight {
    fn weight(&self, _: &Id, block: &Arc<Block>) -> u64 {
        block.weight()
    }
}

/// Mixes the two numbers of an id. It has no random seed: what is evicted when is the same in every run of a simulation.
#[derive(Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u64(u64::from(*b)));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        // The finaliser of MurmurHash3.
        let mut mixed = (self.0.rotate_left(5) ^ value).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^= mixed >> 33;
        self.0 = mixed.wrapping_mul(0xc4ce_b9fe_1a85_ec53) ^ mixed >> 29;
    }
}

impl BlockCache {
    /// A cache of at most so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        const USUAL_BLOCK: usize = 4 << 10;
        let (mixer, lifecycle) = (BuildHasherDefault::default(), DefaultLifecycle::default());
        BlockCache(Cache::with((bytes / USUAL_BLOCK).max(16), bytes as u64, Weight, mixer, lifecycle))
    }

    pub(super) fn get(&self, run: u64, block: usize) -> Option<Arc<Block>> {
        self.0.get(&(run, block as u32))
    }

    pub(super) fn insert(&self, run: u64, block: usize, bytes: Arc<Block>) {
        self.0.insert((run, block as u32), bytes);
    }
}
