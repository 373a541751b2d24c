//! Tokens of many texts as windows, windows as batches: what is run together, and how it is put together again.

use std::ops::Range;

/// A run of one text's tokens that the model reads at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// The text's place in the request.
    pub(crate) text: usize,
    /// Which of its tokens.
    pub(crate) tokens: Range<usize>,
}

/// Every text's windows, in order. All but a text's last have `max_tokens` tokens.
pub(crate) fn windows(token_counts: &[usize], max_tokens: usize) -> Vec<Window> {
    let of_text = |(text, &count): (usize, &usize)| {
        (0..count)
            .step_by(max_tokens)
            .map(move |start| Window { text, tokens: start..count.min(start + max_tokens) })
    };
    token_counts.iter().enumerate().flat_map(of_text).collect()
}

/// Groups windows of similar length into batches, as places in `windows`. A batch has one window, or at most
/// `budget` tokens after the shorter windows are padded to the longest.
///
/// Short windows gain from company (the weights are read once for all of them); long ones lose by it (what they
/// make of each other's attention does not fit the cache), hence a budget of tokens and not a number of windows.
pub(crate) fn batches(windows: &[Window], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..windows.len()).collect();
    order.sort_by_key(|&i| (windows[i].tokens.len(), i));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for i in order {
        match batches.last_mut() {
            // The newest window is the longest: the others are padded to it.
            Some(batch) if (batch.len() + 1) * windows[i].tokens.len() <= budget => batch.push(i),
            _ => batches.push(vec![i]),
        }
    }
    batches
}

/// Brings a vector to length 1; `false` if it has no direction.
pub(crate) fn normalize(vector: &mut [f32]) -> bool {
    let norm = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if !norm.is_finite() || norm < f64::from(f32::MIN_POSITIVE) {
        return false;
    }
    for x in vector {
        *x = (f64::from(*x) / norm) as f32;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_every_token_of_every_text_once() {
        for max_tokens in [1, 2, 3, 254] {
            let counts = [1, 3, 254, 255, 1000, 508];
            let mut next = [0; 6];
            for window in windows(&counts, max_tokens) {
                assert_eq!(window.tokens.start, next[window.text]);
                assert!((1..=max_tokens).contains(&window.tokens.len()));
                next[window.text] = window.tokens.end;
            }
            assert_eq!(next, counts);
        }
    }

    #[test]
    fn batches_hold_every_window_once_within_the_budget() {
        let windows = windows(&[5, 900, 5, 17, 254, 1, 3, 120, 130, 5, 5, 5], 254);
        let batches = batches(&windows, 256);
        let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..windows.len()).collect::<Vec<_>>());
        for batch in &batches {
            let longest = batch.iter().map(|&i| windows[i].tokens.len()).max().unwrap();
            assert!(batch.len() == 1 || batch.len() * longest <= 256, "{batch:?}");
        }
        assert!(batches.len() < windows.len());
    }

    #[test]
    fn a_vector_without_direction_is_not_normalized() {
        assert!(
            !normalize(&mut [0.0, 0.0])
                && !normalize(&mut [f32::NAN, 1.0])
                && !normalize(&mut [f32::INFINITY])
        );
        let mut vector = [3.0, 4.0];
        assert!(normalize(&mut vector));
        assert_eq!(vector, [0.6, 0.8]);
    }
}
