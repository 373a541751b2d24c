//! Large texts, empty ones, odd ones; and readers beside a writer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use agentdb_text::{Analyzer, Field, Highlight, Phrase, Query, Search, TextIndex};
use agentdb_types::{Code, Lsn};

fn index() -> TextIndex {
    TextIndex::new(vec![Field::new("text", Analyzer::Standard)]).unwrap()
}

fn slots(index: &TextIndex, query: &Query, at: u64) -> Vec<u64> {
    let hits = index.search(query, &Search::new(Lsn(at), 10)).unwrap();
    hits.into_iter().map(|h| h.slot).collect()
}

#[test]
fn texts_of_a_mebibyte_are_whole() {
    let index = index();
    let repeated = "wort ".repeat(200_000);
    let long_word = "ab".repeat(1 << 19);
    let chinese = "我们喜欢中文".repeat(20_000);
    let distinct: String = (0..130_000).map(|n| format!("n{n} ")).collect();
    for (slot, text) in (1..).zip([&repeated, &long_word, &chinese, &distinct]) {
        index.insert(slot, Lsn(slot), &[Some(text)]).unwrap();
    }
    for n in 5..30u64 {
        index.insert(n, Lsn(n), &[Some("wort ende")]).unwrap();
    }
    while index.step() {}
    index.seal();
    assert_eq!(index.explain(&"wort".into(), 1, Lsn(29)).unwrap().shares[0].frequency, 200_000);
    assert!(slots(&index, &"wort".into(), 29).contains(&1));
    let keyed = TextIndex::new(vec![Field::new("k", Analyzer::Keyword)]).unwrap();
    keyed.insert(1, Lsn(1), &[Some(&long_word)]).unwrap();
    assert_eq!(keyed.stored().len(), 1);
    let prefix = Query::Prefix(agentdb_text::Prefix { text: long_word[..60_000].into(), fields: None });
    assert_eq!(slots(&index, &prefix, 29), [2]);
    let phrase = |text: &str| Query::Phrase(Phrase { text: text.into(), ..Phrase::default() });
    assert_eq!(slots(&index, &phrase("我们喜欢中文我们"), 29), [3]);
    assert_eq!(slots(&index, &phrase("n129998 n129999"), 29), [4]);
    let fragments =
        index.highlight(&"n500".into(), "text", &distinct, &Highlight { fragments: 3, chars: 60 }).unwrap();
    assert_eq!(&distinct[fragments[0].marks[0].clone()], "n500");
}

#[test]
fn empty_texts_are_entries() {
    let index = index();
    assert_eq!(slots(&index, &"a".into(), 0), [0u64; 0]);
    index.insert(1, Lsn(1), &[None]).unwrap();
    index.insert(2, Lsn(2), &[Some("")]).unwrap();
    index.insert(3, Lsn(3), &[Some("!!!")]).unwrap();
    assert_eq!((index.len(), slots(&index, &"a".into(), 3)), (3, vec![]));
    index.insert(4, Lsn(4), &[Some("a 👍 e\u{301}t\u{e9}")]).unwrap();
    for query in ["a", "👍", "ete", "été"] {
        assert_eq!(slots(&index, &query.into(), 4), [4], "{query}");
    }
    assert_eq!(index.search(&"a".into(), &Search::new(Lsn(4), 0)).unwrap(), []);
    let nan = Search { threshold: Some(f32::NAN), ..Search::new(Lsn(4), 1) };
    assert_eq!(index.search(&"a".into(), &nan).unwrap_err().code(), Code::InvalidValue);
}

#[test]
fn what_was_compacted_is_refused_and_freed() {
    let index = index();
    for n in 1..=40u64 {
        index.insert(n % 4, Lsn(n), &[Some("wort")]).unwrap();
    }
    assert_eq!(slots(&index, &"wort".into(), 10).len(), 4);
    index.compact(Lsn(40));
    assert_eq!(index.count(&"wort".into(), Lsn(39), None).unwrap_err().code(), Code::TextCompacted);
    index.purge();
    assert_eq!((index.entries(), index.len(), slots(&index, &"wort".into(), 40).len()), (4, 4, 4));
    for slot in 0..4 {
        assert!(index.delete(slot, Lsn(41)) && !index.delete(slot, Lsn(41)));
    }
    index.compact(Lsn(41));
    assert!(index.entries() == 0 && index.is_empty() && index.segments() == 0);
}

/// One thread writes, one does the background's work, two search: at every LSN that was made known they see the ten
/// entries there are, each with the same score.
#[test]
fn readers_see_snapshots_while_others_write_and_merge() {
    let index = index();
    let (known, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=6_000u64 {
                index.insert(n % 10, Lsn(n), &[Some(&format!("wort n{n}"))]).unwrap();
                known.store(n, Ordering::SeqCst);
            }
            done.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                // Readers may be as far behind as this.
                index.compact(Lsn(known.load(Ordering::SeqCst).saturating_sub(500)));
                if !index.step() {
                    index.seal();
                    index.purge();
                }
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut searches = 0;
                while !done.load(Ordering::SeqCst) || searches < 10 {
                    let at = Lsn(known.load(Ordering::SeqCst));
                    if at.0 < 10 {
                        continue;
                    }
                    let hits = match index.search(&"wort".into(), &Search::new(at, 20)) {
                        Ok(hits) => hits,
                        Err(error) if error.code() == Code::TextCompacted => continue,
                        Err(error) => panic!("{error}"),
                    };
                    assert_eq!(
                        hits.iter().map(|h| h.slot).collect::<Vec<_>>(),
                        (0..10).collect::<Vec<_>>(),
                        "{at}"
                    );
                    assert!(hits.iter().all(|h| h.score == hits[0].score));
                    let latest = format!("n{}", at.0);
                    assert_eq!(index.count(&Query::Text(latest), at, None).unwrap_or(1), 1);
                    searches += 1;
                }
            });
        }
    });
    assert_eq!(index.len(), 10);
}
