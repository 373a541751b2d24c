//! Every kernel that this machine can run, against sums done naively.

use proptest::prelude::*;

use super::Kernel;
use crate::rows::{LINE, Rows};

/// The documented bound of the `f32` arithmetic, for a sum of `n` terms with this sum of magnitudes. Underflow
/// adds what is below the normal numbers.
fn tolerance(n: usize, magnitude: f64) -> f64 {
    (n / 16 + 16) as f64 * 2f64.powi(-24) * magnitude + n as f64 * f64::from(f32::MIN_POSITIVE)
}

fn naive(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    a.iter().zip(b).map(|(x, y)| term(f64::from(*x), f64::from(*y))).sum()
}

/// Components whose products stay within `f32`: ordinary, tiny (denormal), large, zero.
fn component() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => -1f32..1.0,
        1 => -1e-38f32..1e-38,
        1 => -1e16f32..1e16,
        1 => Just(0.0),
    ]
}

/// Any finite component.
fn extreme() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits).prop_filter("finite", |x| x.is_finite())
}

fn vectors(component: impl Strategy<Value = f32>) -> impl Strategy<Value = (Vec<f32>, Vec<f32>, usize)> {
    (prop::collection::vec(component, 0..640), 0..4usize).prop_map(|(both, offset)| {
        let (a, b) = both.split_at(both.len() / 2);
        (a.to_vec(), b[..a.len()].to_vec(), offset)
    })
}

/// The same floats at an address that is aligned to a float only.
fn shift(vector: &[f32], offset: usize) -> Vec<f32> {
    [&vec![f32::NAN; offset], vector].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn pairs_are_within_the_documented_tolerance_at_any_length_and_alignment(
        (a, b, offset) in vectors(component())
    ) {
        let (shifted_a, shifted_b) = (shift(&a, offset), shift(&b, (offset * 3) % 5));
        let (x, y) = (&shifted_a[offset..], &shifted_b[(offset * 3) % 5..]);
        let dot = naive(&a, &b, |x, y| x * y);
        let dot_tolerance = tolerance(a.len(), naive(&a, &b, |x, y| (x * y).abs()));
        let squared = naive(&a, &b, |x, y| (x - y) * (x - y));
        // The difference is rounded before it is squared: two more roundings.
        let squared_tolerance = tolerance(a.len() + 32, squared);
        for kernel in Kernel::available() {
            let error = (f64::from(kernel.dot(x, y)) - dot).abs();
            prop_assert!(error <= dot_tolerance, "{kernel:?}: {error} > {dot_tolerance}");
            let error = (f64::from(kernel.squared_euclidean(x, y)) - squared).abs();
            prop_assert!(error <= squared_tolerance, "{kernel:?}: {error} > {squared_tolerance}");
        }
    }

    #[test]
    fn exact_sums_have_the_same_bits_on_every_kernel((a, b, offset) in vectors(extreme())) {
        let scalar = Kernel::available().pop().unwrap();
        let shifted = shift(&a, offset);
        let (dot, squared) = (scalar.exact_dot(&a, &b), scalar.exact_squared_euclidean(&a, &b));
        let magnitude = naive(&a, &b, |x, y| (x * y).abs());
        prop_assert!((dot - naive(&a, &b, |x, y| x * y)).abs() <= magnitude * 1e-12);
        prop_assert!((squared - naive(&a, &b, |x, y| (x - y) * (x - y))).abs() <= squared * 1e-12);
        for kernel in Kernel::available() {
            prop_assert_eq!(kernel.exact_dot(&shifted[offset..], &b).to_bits(), dot.to_bits());
            let other = kernel.exact_squared_euclidean(&shifted[offset..], &b);
            prop_assert_eq!(other.to_bits(), squared.to_bits());
            prop_assert_eq!(kernel.norm(&a).to_bits(), scalar.norm(&a).to_bits());
        }
    }

    #[test]
    fn padding_with_zeros_leaves_an_exact_sum_as_it_is((a, b, _) in vectors(extreme())) {
        let kernel = Kernel::best();
        let pad = |v: &[f32]| [v, &vec![0.0; v.len().next_multiple_of(LINE) - v.len()]].concat();
        prop_assert_eq!(kernel.exact_dot(&a, &b).to_bits(), kernel.exact_dot(&pad(&a), &pad(&b)).to_bits());
    }

    #[test]
    fn a_batch_is_its_pairs(lines in 1..20usize, count in 0..11usize, seed in prop::collection::vec(component(), 64)) {
        let stride = lines * LINE;
        let values: Vec<f32> = seed.iter().copied().cycle().take(stride * (count + 1) + count).collect();
        let query = &values[count..count + stride];
        let rows = &values[..stride * count];
        for kernel in Kernel::available() {
            let mut out = vec![f32::NAN; count];
            kernel.dot_rows(query, rows, &mut out);
            for (out, row) in out.iter().zip(rows.chunks_exact(stride)) {
                let bound = tolerance(stride, naive(query, row, |x, y| (x * y).abs()));
                let error = (f64::from(*out) - naive(query, row, |x, y| x * y)).abs();
                prop_assert!(error <= bound, "{kernel:?}: {error} > {bound}");
            }
            kernel.squared_euclidean_rows(query, rows, &mut out);
            for (out, row) in out.iter().zip(rows.chunks_exact(stride)) {
                let squared = naive(query, row, |x, y| (x - y) * (x - y));
                let error = (f64::from(*out) - squared).abs();
                prop_assert!(error <= tolerance(stride + 32, squared), "{kernel:?}: {error}");
            }
        }
    }
}

#[test]
fn the_best_kernel_is_the_first_and_the_portable_one_the_last() {
    let kernels = Kernel::available();
    assert_eq!(kernels[0].name(), Kernel::best().name());
    assert_eq!(kernels[kernels.len() - 1].name(), "scalar");
}

#[test]
fn norms_neither_overflow_nor_underflow() {
    let kernel = Kernel::best();
    assert_eq!(kernel.norm(&[3e30, 4e30]) as f32, 5e30);
    let tiny = f32::from_bits(1);
    assert_eq!(kernel.norm(&[tiny]) as f32, tiny);
    assert!(kernel.norm(&vec![f32::MAX; 8192]).is_finite());
    assert_eq!(kernel.norm(&[]), 0.0);
}

#[test]
#[should_panic(expected = "stride 8")]
fn a_stride_that_is_no_whole_line_is_refused() {
    Kernel::best().dot_rows(&[0.0; 8], &[0.0; 8], &mut [0.0]);
}

#[test]
fn rows_are_aligned_and_padded_with_zeros() {
    let rows = Rows::new(3, LINE);
    // SAFETY: this thread alone knows the rows, and no slice of row 1 is alive.
    unsafe { rows.write(1, &[1.0, 2.0]) };
    // SAFETY: nothing is written any more.
    let block = unsafe { rows.block(0, 3) };
    assert_eq!(block.as_ptr() as usize % 64, 0);
    assert_eq!(block.iter().sum::<f32>(), 3.0);
    assert_eq!(block[LINE..LINE + 3], [1.0, 2.0, 0.0]);
}
