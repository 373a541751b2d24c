//! Codes: every kernel against sums done naively, and the order that codes give against the metric's own.

use proptest::prelude::*;

use super::{CodeKernel, LINE_BYTES, Quantizer, TAIL_MAX};
use crate::{Dimension, Kernel, Metric};

fn naive(a: &[u8], b: &[u8]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (i64::from(*a) - i64::from(*b)).pow(2) as u32).sum()
}

proptest! {
    #[test]
    fn every_kernel_gives_the_same_integers(
        lines in 1..12usize,
        count in 0..40usize,
        seed in prop::collection::vec(any::<u8>(), 97),
        offset in 0..64usize,
    ) {
        let bytes = lines * LINE_BYTES;
        let memory: Vec<u8> = seed.iter().copied().cycle().take(offset + bytes * (count + 1)).collect();
        let (query, rows) = memory[offset..].split_at(bytes);
        let pointers: Vec<*const u8> = rows.chunks_exact(bytes).map(<[u8]>::as_ptr).collect();
        let expected: Vec<u32> = rows.chunks_exact(bytes).map(|row| naive(query, row)).collect();
        for kernel in CodeKernel::available() {
            let mut out = vec![u32::MAX; count];
            // SAFETY: the rows lie in `memory`, which nobody writes.
            unsafe { kernel.distances(query, &pointers, &mut out) };
            prop_assert_eq!(&out, &expected, "{}", kernel.name());
        }
    }
}

#[test]
fn the_greatest_distance_does_not_overflow() {
    let (low, high) = (vec![0u8; 8192], vec![255u8; 8192]);
    for kernel in CodeKernel::available() {
        let mut out = [0; 5];
        // SAFETY: the rows lie in `high`, which nobody writes.
        unsafe { kernel.distances(&low, &[high.as_ptr(); 5], &mut out) };
        assert_eq!(out, [8192 * 255 * 255; 5], "{}", kernel.name());
    }
    assert!(2 * u64::from(TAIL_MAX) + 8192 * 255 * 255 < u64::from(u32::MAX));
}

/// A deterministic stream of numbers in -1..1.
fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

/// The ten nearest by codes hold most of the ten nearest by the metric, for vectors far from the origin and of unequal norms.
#[test]
fn codes_order_as_the_metric_does() {
    let (dimension, n) = (Dimension::new(70).unwrap(), 600);
    let kernel = Kernel::best();
    for metric in Metric::ALL {
        let mut next = noise(7);
        let vectors: Vec<Vec<f32>> = (0..n)
            .map(|_| {
                let length = 1.0 + next();
                (0..70).map(|i| (next() + if i == 3 { 5.0 } else { 0.0 }) * length).collect()
            })
            .collect();
        let quantizer = Quantizer::train(dimension, metric, vectors.iter().map(Vec::as_slice)).unwrap();
        let coded: Vec<(Vec<u8>, u32)> = vectors
            .iter()
            .map(|v| {
                let mut code = vec![9; 128];
                let tail = quantizer.encode(v, kernel.norm(v), &mut code);
                (code, tail)
            })
            .collect();
        let mut found = 0;
        for query in 0..20 {
            let query: Vec<f32> = vectors[query * 7].iter().map(|x| x * 0.8 + 0.1 * next()).collect();
            let mut code = vec![0; 128];
            quantizer.encode_query(&query, kernel.norm(&query), &mut code);
            let mut by_code: Vec<usize> = (0..n).collect();
            by_code.sort_by_key(|i| naive(&code, &coded[*i].0) + coded[*i].1);
            let exact = |i: usize| match metric {
                Metric::Cosine => -kernel.exact_dot(&query, &vectors[i]) / kernel.norm(&vectors[i]),
                Metric::Dot => -kernel.exact_dot(&query, &vectors[i]),
                Metric::Euclidean => kernel.exact_squared_euclidean(&query, &vectors[i]),
            };
            let mut by_metric: Vec<usize> = (0..n).collect();
            by_metric.sort_by(|a, b| exact(*a).total_cmp(&exact(*b)));
            found += by_metric[..10].iter().filter(|i| by_code[..10].contains(i)).count();
        }
        assert!(found >= 180, "{metric:?}: {found} of 200");
    }
}

#[test]
fn ranges_of_extreme_samples_are_finite() {
    let dimension = Dimension::new(2).unwrap();
    for vector in [[0.0, 0.0], [f32::MAX, f32::MIN], [f32::from_bits(1), 0.0]] {
        let sample = [vector, [1.0, 1.0]];
        let quantizer =
            Quantizer::train(dimension, Metric::Euclidean, sample.iter().map(|v| v.as_slice())).unwrap();
        let (step, _) = quantizer.step_and_norm_max();
        assert!(step.is_finite() && step > 0.0, "{vector:?}: {step}");
        assert!(quantizer.center().iter().all(|x| x.is_finite()));
    }
    assert!(Quantizer::train(dimension, Metric::Euclidean, std::iter::empty()).is_err());
}
