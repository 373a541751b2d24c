//! Latencies, kept one by one.

use std::time::Duration;

/// Every latency of a measurement, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    nanos: Vec<u64>,
    sorted: bool,
}

impl Samples {
    /// Adds one latency.
    pub fn push(&mut self, latency: Duration) {
        self.nanos.push(latency.as_nanos() as u64);
        self.sorted = false;
    }

    /// Adds those of another measurement.
    pub fn merge(&mut self, other: &Samples) {
        self.nanos.extend_from_slice(&other.nanos);
        self.sorted = false;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nanos.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nanos.is_empty()
    }

    /// The exact percentile (nearest rank) in microseconds; 100 is the maximum. Zero if there are no samples.
    pub fn percentile_us(&mut self, percent: f64) -> f64 {
        if self.nanos.is_empty() {
            return 0.0;
        }
        if !self.sorted {
            self.nanos.sort_unstable();
            self.sorted = true;
        }
        let rank = (percent / 100.0 * self.nanos.len() as f64).ceil() as usize;
        self.nanos[rank.clamp(1, self.nanos.len()) - 1] as f64 / 1000.0
    }
}

/// The median of some figures, and their smallest and largest.
pub fn median_and_spread(figures: &[f64]) -> Option<(f64, [f64; 2])> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (first, last) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
    Some((median, [first, last]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact() {
        let mut samples = Samples::default();
        (1..=1000).rev().for_each(|us| samples.push(Duration::from_micros(us)));
        assert_eq!(samples.percentile_us(50.0), 500.0);
        assert_eq!(samples.percentile_us(99.0), 990.0);
        assert_eq!(samples.percentile_us(99.9), 999.0);
        assert_eq!(samples.percentile_us(100.0), 1000.0);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median_and_spread(&[4.0, 1.0, 2.0, 3.0]), Some((2.5, [1.0, 4.0])));
        assert_eq!(median_and_spread(&[]), None);
    }
}
