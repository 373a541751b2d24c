//! Diversity: hits that are not all alike.

/// The order of hits by maximal marginal relevance (Carbonell and Goldstein, 1998): the next hit is the one with the
/// greatest `lambda * relevance - (1 - lambda) * similarity`, where similarity is that to the most similar hit that was
/// taken already. Relevance is brought into 0 to 1, by the best and the worst hit. `similarity` is symmetric, from -1 to 1,
/// and `None` where one of the two has no vector: they are not alike then. Of equal ones, the first comes first.
///
/// Computes at most `take * scores.len()` similarities.
pub(super) fn diversify(
    scores: &[f64],
    lambda: f64,
    take: usize,
    similarity: &mut dyn FnMut(usize, usize) -> Option<f64>,
) -> Vec<usize> {
    let (low, high) = scores.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), s| (l.min(*s), h.max(*s)));
    let relevance = |at: usize| if high > low { (scores[at] - low) / (high - low) } else { 1.0 };
    let mut left: Vec<(usize, f64)> = (0..scores.len()).map(|at| (at, 0.0)).collect();
    let mut taken = Vec::with_capacity(take.min(scores.len()));
    while taken.len() < take && !left.is_empty() {
        let worth = |(at, alike): &(usize, f64)| lambda * relevance(*at) - (1.0 - lambda) * alike;
        let mut best = 0;
        for at in 1..left.len() {
            if worth(&left[at]) > worth(&left[best]) {
                best = at;
            }
        }
        let (next, _) = left.remove(best);
        let first = taken.is_empty();
        taken.push(next);
        for (at, alike) in &mut left {
            let found = similarity(*at, next).unwrap_or(0.0);
            *alike = if first { found } else { alike.max(found) };
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_copy_of_the_first_comes_after_what_is_new() {
        let (scores, places) = ([1.0, 0.99, 0.5], [0.0f64, 0.0, 1.0]);
        let mut alike = |a: usize, b: usize| Some(1.0 - (places[a] - places[b]).abs());
        assert_eq!(diversify(&scores, 0.5, 3, &mut alike), [0, 2, 1]);
        assert_eq!(diversify(&scores, 1.0, 2, &mut alike), [0, 1]);
    }

    proptest! {
        /// Each step takes the best by the definition, computed anew.
        #[test]
        fn as_defined(scores in prop::collection::vec(-2.0..2.0f64, 0..9), lambda in 0.0..=1.0f64, seed in any::<u64>()) {
            let alike = |a: usize, b: usize| {
                let mixed = seed.wrapping_mul((a + b) as u64 + 3).wrapping_add((a * b) as u64).rotate_left(17);
                (mixed % 5 != 0).then(|| (mixed % 1000) as f64 / 500.0 - 1.0)
            };
            let order = diversify(&scores, lambda, 6, &mut |a, b| alike(a, b));
            prop_assert_eq!(order.len(), scores.len().min(6));
            let (low, high) = scores.iter().fold((f64::MAX, f64::MIN), |(l, h), s| (l.min(*s), h.max(*s)));
            for (n, taken) in order.iter().enumerate() {
                let worth = |at: usize| {
                    let relevance = if high > low { (scores[at] - low) / (high - low) } else { 1.0 };
                    let most = order[..n].iter().map(|o| alike(at, *o).unwrap_or(0.0)).fold(f64::NEG_INFINITY, f64::max);
                    lambda * relevance - (1.0 - lambda) * if n == 0 { 0.0 } else { most }
                };
                for other in (0..scores.len()).filter(|o| !order[..=n].contains(o)) {
                    prop_assert!(worth(*taken) >= worth(other));
                }
            }
        }
    }
}
