//! Measures the exact scan on this machine: `cargo run --release -p agentdb-vector --example scan`.
//!
//! For each dimension and metric, over 100,000 rows: the batch kernels alone over one contiguous block (`kernel`),
//! over rows that stay in the cache (`cached`), and a whole search (`search`, k = 10), with the rate at which each kernel reads the rows (padding included). A plain read of the same
//! block gives the rate of the memory itself. Each figure is the best of several passes on one thread.
#![expect(clippy::disallowed_methods, reason = "a measurement needs the clock")]

use std::hint::black_box;
use std::time::Instant;

use agentdb_types::{Lsn, Result};
use agentdb_vector::{Dimension, FlatIndex, Kernel, Metric};

const ROWS: usize = 100_000;
const PASSES: usize = 15;
/// Rows of one call of a batch kernel, as in the index.
const BLOCK: usize = 256;
/// Rows that stay in the second-level cache, to see the arithmetic without the memory.
const CACHED: usize = 100;

fn main() -> Result<()> {
    println!("{ROWS} rows, one thread, best of {PASSES} passes");
    println!("{:>5} {:<10} {:<8} {:<8} {:>9} {:>7}", "dim", "metric", "kernel", "what", "ns/vector", "GB/s");
    for dimension in [100, 384, 768] {
        let stride = usize::next_multiple_of(dimension, 16);
        kernels(dimension, stride);
        for metric in Metric::ALL {
            for kernel in Kernel::available() {
                let index = filled(dimension, metric, kernel)?;
                let query = vector(dimension, 1);
                let ns = best(|| {
                    black_box(index.search(&query, 10, Lsn(1), None)).ok();
                });
                print(dimension, metric.name(), kernel.name(), "search", ns, stride);
            }
        }
    }
    Ok(())
}

/// The batch kernels over one block, 64-byte aligned as in the index, and the memory's own rate.
fn kernels(dimension: usize, stride: usize) {
    let mut memory = vec![0f32; ROWS * stride + 16];
    let start = memory.as_ptr().align_offset(64);
    let rows = &mut memory[start..start + ROWS * stride];
    for (i, row) in rows.chunks_exact_mut(stride).enumerate() {
        row[..dimension].copy_from_slice(&vector(dimension, i as u64));
    }
    let query: Vec<f32> = vector(stride, 1);
    let mut out = vec![0f32; ROWS];
    let ns = best(|| {
        black_box(read(rows));
    });
    print(dimension, "-", "-", "read", ns, stride);
    for kernel in Kernel::available() {
        let ns = best(|| in_blocks(&query, rows, black_box(&mut out), |q, r, o| kernel.dot_rows(q, r, o)));
        print(dimension, "dot", kernel.name(), "kernel", ns, stride);
        let ns = best(|| {
            in_blocks(&query, rows, black_box(&mut out), |q, r, o| kernel.squared_euclidean_rows(q, r, o))
        });
        print(dimension, "euclidean", kernel.name(), "kernel", ns, stride);
        let (cached, cached_out) = (&rows[..CACHED * stride], &mut out[..CACHED]);
        let ns = best(|| {
            for _ in 0..ROWS / CACHED {
                kernel.dot_rows(&query, black_box(cached), black_box(cached_out));
            }
        });
        print(dimension, "dot", kernel.name(), "cached", ns, stride);
    }
}

/// Calls a batch kernel as an index does.
fn in_blocks(query: &[f32], rows: &[f32], out: &mut [f32], batch: impl Fn(&[f32], &[f32], &mut [f32])) {
    for (rows, out) in rows.chunks(BLOCK * query.len()).zip(out.chunks_mut(BLOCK)) {
        batch(query, rows, out);
    }
}

/// Touches every cache line and does next to nothing with it.
fn read(rows: &[f32]) -> u32 {
    let (lines, _) = rows.as_chunks::<64>();
    let mut sums = [0u32; 4];
    for line in lines {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum ^= line[i * 16].to_bits();
        }
    }
    sums[0] ^ sums[1] ^ sums[2] ^ sums[3]
}

fn filled(dimension: usize, metric: Metric, kernel: Kernel) -> Result<FlatIndex> {
    let index = FlatIndex::with_kernel(Dimension::new(dimension)?, metric, kernel);
    for slot in 0..ROWS as u64 {
        index.insert(slot, Lsn(1), &vector(dimension, slot + 2))?;
    }
    Ok(index)
}

/// The nanoseconds of the fastest pass.
fn best(mut pass: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..PASSES {
        let start = Instant::now();
        pass();
        best = best.min(start.elapsed().as_nanos() as f64);
    }
    best
}

fn print(dimension: usize, metric: &str, kernel: &str, what: &str, ns: f64, stride: usize) {
    let (each, rate) = (ns / ROWS as f64, (ROWS * stride * size_of::<f32>()) as f64 / ns);
    println!("{dimension:>5} {metric:<10} {kernel:<8} {what:<8} {each:>9.1} {rate:>7.1}");
}

/// A deterministic vector with components in -1..1.
fn vector(dimension: usize, seed: u64) -> Vec<f32> {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..dimension).map(next).collect()
}
