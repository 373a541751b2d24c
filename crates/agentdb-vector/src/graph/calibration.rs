//! Which `ef` reaches which recall, measured on queries of the caller's.
//!
//! It is measured when a graph is sealed, and again when it has changed much; a search only looks it up.

use std::sync::{Arc, PoisonError};

use agentdb_types::{Lsn, Result};

use super::search::EF_MAX;
use super::{Graph, GraphQuery, Vectors};
use crate::Hit;

/// From one `ef` that is measured to the next.
const STEP: f64 = 1.25;
/// Recall beyond which no greater `ef` is measured.
const ENOUGH: f64 = 0.999;
/// The share of `ef` that is scored with the full vectors, and the least number.
const SCORED: (usize, usize) = (5, 20);

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibrated {
    /// The `ef` of the searches.
    pub ef: usize,
    /// Of the hits that the exact answers hold, the share that the searches found: 0 to 1.
    pub recall: f64,
}

impl Graph {
    /// Measures, at snapshot `at`, the recall of the best `k` for growing `ef`, and keeps the result in place of the one before. It takes
    /// as long as some twenty searches a query with the `ef` that finds nearly everything.
    ///
    /// `queries` are vectors like those that will be searched for, and not stored themselves: a stored vector finds itself, which says
    /// little. Some hundred are enough for the second digit. `exact` gives the exact answer to one of them, as
    /// [`crate::FlatIndex::search`] does.
    ///
    /// # Errors
    /// Those of [`Graph::search`] and of `exact`; what was kept stays then.
    pub fn calibrate<'q>(
        &self,
        k: usize,
        at: Lsn,
        queries: impl Iterator<Item = &'q [f32]>,
        mut exact: impl FnMut(&[f32]) -> Result<Vec<Hit>>,
        vectors: &dyn Vectors,
    ) -> Result<()> {
        let mut asked = Vec::new();
        for vector in queries {
            asked.push((vector, exact(vector)?));
        }
        let wanted: usize = asked.iter().map(|(_, exact)| exact.len().min(k)).sum();
        let mut points = Vec::new();
        let mut hits = Vec::new();
        let mut ef = k.clamp(1, EF_MAX);
        // Without anything to find there is nothing to measure.
        let mut reached = if wanted == 0 { 1.0 } else { 0.0 };
        while reached < ENOUGH {
            let mut found = 0;
            for (vector, exact) in &asked {
                let query = GraphQuery { vector, k, ef, rerank: Graph::rerank(ef), at, filter: None };
                self.search(&query, vectors, &mut hits)?;
                let exact = &exact[..exact.len().min(k)];
                found += hits.iter().filter(|hit| exact.iter().any(|e| e.slot == hit.slot)).count();
            }
            reached = found as f64 / wanted as f64;
            points.push(Calibrated { ef, recall: reached });
            if ef == EF_MAX {
                break;
            }
            ef = ((ef as f64 * STEP).ceil() as usize).min(EF_MAX);
        }
        self.set_calibration(points.into());
        Ok(())
    }

    /// The measurements of the last calibration, in the order of `ef`; none if there was none.
    pub fn calibration(&self) -> Arc<[Calibrated]> {
        self.calibration.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The least calibrated `ef` that reached `recall`. None if none did, or nothing was calibrated.
    pub fn ef_for(&self, recall: f64) -> Option<usize> {
        self.calibration().iter().find(|point| point.recall >= recall).map(|point| point.ef)
    }

    /// How many candidates the calibration scores with their full vectors for this `ef`; for [`GraphQuery::rerank`].
    pub fn rerank(ef: usize) -> usize {
        (ef / SCORED.0).max(SCORED.1)
    }

    pub(super) fn set_calibration(&self, points: Arc<[Calibrated]>) {
        *self.calibration.write().unwrap_or_else(PoisonError::into_inner) = points;
    }
}
