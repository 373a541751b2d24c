//! The edges of the flat index: what is refused, what is empty, what ties.
#![expect(clippy::unwrap_used, reason = "tests")]

use agentdb_types::{Code, Lsn, limits};
use agentdb_vector::{Dimension, FlatIndex, Kernel, Metric, Slot};

fn index(dimension: usize, metric: Metric) -> FlatIndex {
    FlatIndex::new(Dimension::new(dimension).unwrap(), metric)
}

fn slots(index: &FlatIndex, query: &[f32], k: usize, at: u64) -> Vec<Slot> {
    index.search(query, k, Lsn(at), None).unwrap().iter().map(|h| h.slot).collect()
}

#[test]
fn an_empty_index_and_k_zero_give_nothing() {
    let index = index(2, Metric::Dot);
    assert!(slots(&index, &[1.0, 0.0], 5, 9).is_empty() && index.is_empty());
    assert_eq!(index.compact(Lsn(9)), 0);
    index.insert(1, Lsn(1), &[1.0, 1.0]).unwrap();
    assert!(slots(&index, &[1.0, 0.0], 0, 9).is_empty());
    assert_eq!(slots(&index, &[1.0, 0.0], usize::MAX, 9), [1]);
    assert!(index.get(2, Lsn(9)).is_none());
}

#[test]
fn a_refused_vector_changes_nothing() {
    let index = index(2, Metric::Cosine);
    index.insert(1, Lsn(1), &[1.0, 0.0]).unwrap();
    let refused: [(&[f32], Code); 4] = [
        (&[1.0], Code::DimensionMismatch),
        (&[f32::NAN, 0.0], Code::VectorNotFinite),
        (&[1.0, f32::INFINITY], Code::VectorNotFinite),
        (&[0.0, -0.0], Code::VectorZero),
    ];
    for (vector, code) in refused {
        assert_eq!(index.insert(1, Lsn(2), vector).unwrap_err().code(), code);
        assert_eq!(index.search(vector, 1, Lsn(2), None).unwrap_err().code(), code);
        assert_eq!(index.search(vector, 0, Lsn(2), None).unwrap_err().code(), code);
    }
    assert_eq!((index.len(), index.rows()), (1, 1));
    assert_eq!(index.get(1, Lsn(2)).unwrap(), [1.0, 0.0]);
}

#[test]
fn a_slot_that_is_inserted_again_is_replaced_from_that_lsn_on() {
    let index = index(1, Metric::Euclidean);
    index.insert(7, Lsn(1), &[1.0]).unwrap();
    index.insert(7, Lsn(3), &[3.0]).unwrap();
    assert_eq!((index.len(), index.rows()), (1, 2));
    assert_eq!((index.get(7, Lsn(2)), index.get(7, Lsn(3))), (Some(vec![1.0]), Some(vec![3.0])));
    assert_eq!(index.search(&[0.0], 9, Lsn(2), None).unwrap()[0].score, 1.0);
    assert_eq!(index.search(&[0.0], 9, Lsn(3), None).unwrap().len(), 1);
    assert!(index.delete(7, Lsn(4)) && !index.delete(7, Lsn(5)));
    assert_eq!(slots(&index, &[0.0], 9, 3), [7]);
    assert!(slots(&index, &[0.0], 9, 4).is_empty());
    assert_eq!(index.compact(Lsn(3)), 1);
    assert_eq!(slots(&index, &[0.0], 9, 3), [7]);
    assert_eq!((index.compact(Lsn(4)), index.rows()), (1, 0));
}

#[test]
fn what_is_inserted_and_deleted_by_one_commit_is_never_seen() {
    let index = index(1, Metric::Dot);
    index.insert(1, Lsn(2), &[1.0]).unwrap();
    index.delete(1, Lsn(2));
    assert!((0..4).all(|at| slots(&index, &[1.0], 1, at).is_empty()));
    index.insert(2, Lsn(3), &[1.0]).unwrap();
    assert_eq!(slots(&index, &[1.0], 1, u64::MAX), [2]);
}

#[test]
fn equal_vectors_tie_in_slot_order_whatever_the_order_of_insertion() {
    for metric in Metric::ALL {
        let index = index(3, metric);
        for slot in (0..400u64).rev() {
            index.insert(slot * 7 % 400, Lsn(1), &[0.1, 0.2, 0.3]).unwrap();
        }
        assert_eq!(slots(&index, &[0.3, 0.2, 0.1], 50, 1), (0..50).collect::<Vec<_>>());
    }
}

#[test]
fn scores_are_as_documented_at_the_ends_of_the_range() {
    let huge = [f32::MAX; 3];
    let against = [f32::MIN; 3];
    let tiny = [f32::from_bits(1), 0.0, 0.0];
    for (metric, pair, expected) in [
        (Metric::Cosine, (huge, huge), 1.0),
        (Metric::Cosine, (huge, against), -1.0),
        (Metric::Cosine, (tiny, tiny), 1.0),
        (Metric::Cosine, (tiny, [1e30, 0.0, 0.0]), 1.0),
        (Metric::Dot, (huge, huge), f32::MAX),
        (Metric::Dot, (huge, against), f32::MIN),
        (Metric::Dot, (huge, [2.0, -1.0, -0.5]), f32::MAX / 2.0),
        (Metric::Euclidean, (huge, huge), 0.0),
        (Metric::Euclidean, (huge, against), f32::MAX),
        (Metric::Euclidean, ([3e30, 0.0, 0.0], [0.0, 4e30, 0.0]), 5e30),
        (Metric::Euclidean, (tiny, [0.0; 3]), f32::from_bits(1)),
    ] {
        let index = index(3, metric);
        index.insert(1, Lsn(1), &pair.1).unwrap();
        let hits = index.search(&pair.0, 1, Lsn(1), None).unwrap();
        assert_eq!(hits[0].score, expected, "{metric:?} {pair:?}");
    }
}

/// The best of two rows, on every kernel; the first one sets the threshold that the second must pass.
fn best_of(metric: Metric, query: [f32; 32], first: [f32; 32], second: [f32; 32]) -> Vec<Slot> {
    let best = |kernel| {
        let index = FlatIndex::with_kernel(Dimension::new(32).unwrap(), metric, kernel);
        index.insert(1, Lsn(1), &first).unwrap();
        index.insert(2, Lsn(1), &second).unwrap();
        slots(&index, &query, 1, 1)[0]
    };
    Kernel::available().into_iter().map(best).collect()
}

#[test]
fn a_row_whose_fast_score_left_the_range_is_not_ruled_out() {
    let one = |x: f32| std::array::from_fn(|i| if i == 0 { x } else { 0.0 });
    let all = |kernels: Vec<Slot>| assert!(kernels.iter().all(|slot| *slot == 2), "{kernels:?}");
    // One lane overflows to minus infinity, and the true sum is positive.
    let lanes = std::array::from_fn(|i| match i {
        0 | 16 => -2e38,
        1..9 => 0.6e38,
        _ => 0.0,
    });
    all(best_of(Metric::Dot, [1.0; 32], one(0.0), lanes));
    // Each product rounds to zero, and their sum would not.
    all(best_of(Metric::Dot, [1e-23; 32], one(6e-22), [6e-23; 32]));
    // Each square rounds up to the smallest float.
    all(best_of(Metric::Euclidean, [0.0; 32], one(1.8e-22), [2.83e-23; 32]));
    // Each square overflows.
    all(best_of(Metric::Euclidean, [0.0; 32], one(3e38), [3e37; 32]));
    // The norm is beyond what the fast cosine can divide by.
    all(best_of(Metric::Cosine, [1.0; 32], one(1.0), [f32::MAX; 32]));
    all(best_of(Metric::Cosine, [1.0; 32], one(1.0), [f32::from_bits(1); 32]));
}

#[test]
fn a_filter_that_leaves_fewer_than_k_gets_them_all() {
    let index = index(2, Metric::Cosine);
    for slot in 0..3_000u64 {
        index.insert(slot, Lsn(slot), &[slot as f32, 1.0]).unwrap();
    }
    let keep = |slot: Slot| slot % 1_000 == 5;
    let hits = index.search(&[1.0, 0.0], 10, Lsn(3_000), Some(&keep)).unwrap();
    assert_eq!(hits.iter().map(|h| h.slot).collect::<Vec<_>>(), [2005, 1005, 5]);
}

#[test]
fn memory_follows_what_is_stored() {
    let small = index(limits::DIMENSION, Metric::Dot);
    assert!(small.memory_bytes() < 1 << 10);
    small.insert(1, Lsn(1), &vec![0.5; limits::DIMENSION]).unwrap();
    assert!(small.memory_bytes() < 1 << 20, "{}", small.memory_bytes());

    let index = index(64, Metric::Dot);
    for slot in 0..10_000 {
        index.insert(slot, Lsn(1), &[1.0; 64]).unwrap();
    }
    let full = index.memory_bytes();
    assert!((2_560_000..3_800_000).contains(&full), "{full}");
    for slot in 0..9_990 {
        index.delete(slot, Lsn(2));
    }
    assert_eq!((index.len(), index.rows()), (10, 10_000));
    assert_eq!((index.compact(Lsn(2)), index.len(), index.rows()), (9_990, 10, 10));
    assert!(index.memory_bytes() < full / 100, "{}", index.memory_bytes());
}
