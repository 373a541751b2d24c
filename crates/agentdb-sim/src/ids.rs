//! The ids that the engine generates, known to the model beforehand: they come from a stream of randomness that nothing
//! else draws from, of which the simulator holds a copy.

use std::sync::{Arc, Mutex, PoisonError};

use agentdb_env::sim::Random;
use agentdb_env::{Entropy, Env};

/// What the engine asks for to make an id; keys, nonces and names of files ask for other lengths.
const ID_BYTES: usize = 10;

/// Randomness in which ids have a stream of their own.
pub(crate) struct Ids {
    stream: Mutex<Random>,
    rest: Arc<dyn Entropy>,
}

impl Ids {
    /// Puts itself between the world and the engine.
    pub(crate) fn install(env: &mut Env) -> Arc<Ids> {
        let ids = Arc::new(Ids { stream: Mutex::new(Random::new(0)), rest: env.entropy.clone() });
        env.entropy = ids.clone();
        ids
    }

    /// Starts the stream anew, and returns its copy. After a failure nobody knows how far the engine had drawn.
    pub(crate) fn restart(&self, seed: u64) -> Random {
        let fresh = Random::new(seed);
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
        fresh
    }
}

impl Entropy for Ids {
    fn fill(&self, out: &mut [u8]) {
        if out.len() == ID_BYTES {
            self.stream.lock().unwrap_or_else(PoisonError::into_inner).fill(out);
        } else {
            self.rest.fill(out);
        }
    }
}
