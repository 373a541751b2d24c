//! The encoder as its callers see it: order, limits, errors, threads. These tests need the model directory that
//! `make models` fills, and fail without it.
#![allow(clippy::unwrap_used, reason = "a test's helpers")]

use agentdb_models::{MiniLm, ModelDir, Options, TextEncoder};
use agentdb_types::{Code, ErrorKind};

fn open(sessions: usize, intra_threads: usize) -> MiniLm {
    MiniLm::open(&ModelDir::locate().unwrap(), Options { sessions, intra_threads }).unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// 42 texts of 1 to 600 tokens, no two neighbours of similar length.
fn mixed_texts() -> Vec<String> {
    let words = ["agent", "memory", "harbour", "invoice", "password", "river", "tuesday"];
    let text = |i: usize| (0..1 + i * 37 % 101).map(|k| words[(i + k * k) % 7]).collect::<Vec<_>>().join(" ");
    let mut texts: Vec<String> = (0..40).map(text).collect();
    texts.insert(3, "lighthouse keeper ".repeat(300));
    texts.insert(30, "snow ".repeat(255));
    texts
}

#[test]
fn it_says_what_it_is() {
    let encoder = open(1, 1);
    assert_eq!((encoder.id(), encoder.dimension(), encoder.max_tokens()), ("minilm-l6-int8", 384, 254));
    assert_eq!(encoder.count_tokens("").unwrap(), 0);
    assert_eq!(encoder.count_tokens(&"word ".repeat(100_000)).unwrap(), 100_000);
}

#[test]
fn near_meanings_are_near() {
    let texts =
        ["How do I reset my password?", "Steps to recover a forgotten login credential", "The cat sat"];
    let vectors = open(1, 1).encode(&texts).unwrap();
    assert!(cosine(&vectors[0], &vectors[1]) > 0.5);
    assert!(cosine(&vectors[0], &vectors[2]) < 0.2);
}

#[test]
fn sessions_and_threads_change_the_speed_and_not_the_vectors() {
    let texts = mixed_texts();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let expected = open(1, 1).encode(&texts).unwrap();
    for encoder in [open(1, 2), open(3, 1)] {
        let vectors = encoder.encode(&texts).unwrap();
        for (i, (a, b)) in vectors.iter().zip(&expected).enumerate() {
            let difference = a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
            assert!(difference < 1e-5, "text {i}: {difference}");
        }
        assert_eq!(encoder.encode(&texts).unwrap(), vectors, "twice the same request");
    }
}

#[test]
fn many_callers_share_an_encoder() {
    let encoder = open(2, 1);
    let texts = ["one fish", "two fish", "red fish", "blue fish"];
    let expected = encoder.encode(&texts).unwrap();
    std::thread::scope(|scope| {
        for caller in 0..8 {
            let (encoder, expected) = (&encoder, &expected);
            scope.spawn(move || {
                for _ in 0..5 {
                    let i = caller % texts.len();
                    assert!(cosine(&encoder.encode(&texts[i..=i]).unwrap()[0], &expected[i]) > 0.99999);
                }
            });
        }
    });
}

#[test]
fn progress_counts_up_to_all_texts() {
    let texts = mixed_texts();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for sessions in [1, 2] {
        let mut seen = Vec::new();
        open(sessions, 1).encode_each(&texts, &mut |done| seen.push(done)).unwrap();
        assert!(seen.len() > 5 && seen.is_sorted_by(|a, b| a < b), "{seen:?}");
        assert_eq!(seen.last(), Some(&texts.len()));
    }
}

#[test]
fn the_end_of_a_long_text_counts() {
    let encoder = open(1, 1);
    let long = "The meeting was about the budget. ".repeat(60);
    let with_end = format!("{long} {}", "Giraffes live in the savanna. ".repeat(60));
    let vectors = encoder.encode(&[&long, &with_end, "giraffes in the savanna"]).unwrap();
    assert!(cosine(&vectors[1], &vectors[2]) > cosine(&vectors[0], &vectors[2]) + 0.2);
}

#[test]
fn markers_in_a_text_are_text() {
    let encoder = open(1, 1);
    assert_eq!(encoder.count_tokens("[SEP]").unwrap(), encoder.count_tokens("[ sep ]").unwrap());
    let vectors =
        encoder.encode(&["ignore [SEP] this [PAD] [MASK]", "ignore [ sep ] this [ pad ] [ mask ]"]).unwrap();
    assert!(cosine(&vectors[0], &vectors[1]) > 0.99999);
}

#[test]
fn no_texts_are_no_vectors() {
    let mut called = false;
    assert_eq!(open(2, 1).encode_each(&[], &mut |_| called = true).unwrap(), Vec::<Vec<f32>>::new());
    assert!(!called);
}

#[test]
fn a_text_with_nothing_in_it_is_refused_by_name_before_any_work() {
    let encoder = open(1, 1);
    for nothing in ["", " \t\n\u{3000}", "\u{0}\u{7}\u{200b}"] {
        let mut called = false;
        let err = encoder.encode_each(&["something", nothing], &mut |_| called = true).unwrap_err();
        assert_eq!((err.code(), err.kind()), (Code::InvalidValue, ErrorKind::Invalid));
        assert_eq!(err.value("field"), Some("texts[1]"));
        assert!(!called);
    }
}

#[test]
fn options_of_zero_are_refused() {
    let models = ModelDir::locate().unwrap();
    for options in [Options { sessions: 0, intra_threads: 1 }, Options { sessions: 1, intra_threads: 0 }] {
        assert_eq!(MiniLm::open(&models, options).unwrap_err().code(), Code::InvalidValue);
    }
}

#[test]
fn a_query_does_not_wait_for_a_long_job() {
    let encoder = open(1, 1);
    let texts: Vec<String> = (0..30).map(|i| format!("paragraph {i} ").repeat(80)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (progress, started) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let job = scope.spawn(|| encoder.encode_each(&texts, &mut |done| progress.send(done).unwrap()));
        started.recv().unwrap();
        encoder.encode(&["a short query"]).unwrap();
        assert!(started.try_iter().last().unwrap_or(1) < 10, "the query waited for its turn too long");
        job.join().unwrap().unwrap();
    });
}
