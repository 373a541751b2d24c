//! Segments as bytes and back, and what damage does.

use agentdb_text::{Analyzer, Field, Query, Search, TextIndex};
use agentdb_types::{Code, Lsn};
use proptest::prelude::*;

fn fields() -> Vec<Field> {
    vec![Field::new("title", Analyzer::German), Field::new("body", Analyzer::Standard)]
}

/// 700 entries, some replaced, some deleted.
fn filled() -> (TextIndex, Lsn, Vec<(u64, Lsn, Lsn)>) {
    let index = TextIndex::new(fields()).unwrap();
    let mut born = std::collections::HashMap::new();
    let mut deaths = Vec::new();
    for lsn in 1..=900u64 {
        let (slot, at) = (lsn * 7 % 701, Lsn(lsn));
        if lsn % 13 == 0 {
            if index.delete(slot, at) {
                deaths.push((slot, born[&slot], at));
            }
            continue;
        }
        let (title, body) =
            (format!("Haus{}", lsn % 50), format!("wort{} 東京 wort{} häuser", lsn % 17, lsn % 3));
        index.insert(slot, at, &[Some(&title), Some(&body)]).unwrap();
        born.insert(slot, at);
    }
    (index, Lsn(900), deaths)
}

fn bundles(index: &TextIndex) -> Vec<Vec<u8>> {
    index.segment_ids().into_iter().map(|id| index.bundle(id).unwrap()).collect()
}

fn answers(index: &TextIndex, at: Lsn) -> Vec<Vec<(u64, u32)>> {
    let queries = ["wort1", "haus3 wort2", "東京", "häuser haus"];
    let hits = |q: &&str| index.search(&Query::from(*q), &Search::new(at, 50)).unwrap();
    queries.iter().map(|q| hits(q).iter().map(|h| (h.slot, h.score.to_bits())).collect()).collect()
}

#[test]
fn an_index_that_was_stored_answers_the_same() {
    let (index, at, deaths) = filled();
    let expected = answers(&index, at);
    index.seal();
    assert!(index.segments() <= 2 && !index.seal());
    assert_eq!(answers(&index, at), expected);
    let stored = bundles(&index);
    let opened = TextIndex::open(fields(), &stored).unwrap();
    let mut entries = opened.stored();
    for (slot, born, died) in deaths {
        assert!(entries.contains(&(slot, born)) && opened.bury(slot, born, died));
    }
    assert!(!opened.bury(9_999, Lsn(1), Lsn(2)));
    assert_eq!((answers(&opened, at), opened.len()), (expected.clone(), index.len()));
    assert_eq!(answers(&opened, Lsn(600)), answers(&index, Lsn(600)));
    // It goes on as before.
    for index in [&index, &opened] {
        index.insert(3, Lsn(901), &[Some("Haus1"), None]).unwrap();
        index.compact(Lsn(901));
        index.purge();
    }
    assert_eq!(answers(&opened, Lsn(901)), answers(&index, Lsn(901)));
    entries = opened.stored();
    assert_eq!(entries.len(), opened.len());
}

#[test]
fn the_same_changes_give_the_same_bytes() {
    assert_eq!(bundles(&filled().0), bundles(&filled().0));
}

#[test]
fn every_changed_or_missing_byte_is_refused() {
    let index = TextIndex::new(fields()).unwrap();
    index.insert(1, Lsn(1), &[Some("Ein Haus"), Some("am See")]).unwrap();
    let good = bundles(&index).remove(0);
    let code = |bytes: &[u8]| TextIndex::open(fields(), [bytes]).map(|_| ()).unwrap_err().code();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        assert_eq!(code(&bad), Code::TextCorrupt, "byte {at}");
        assert_eq!(code(&good[..at]), Code::TextCorrupt, "cut at {at}");
    }
    assert!(TextIndex::open(fields(), [&good]).is_ok());
    let others = vec![Field::new("title", Analyzer::English), Field::new("body", Analyzer::Standard)];
    assert_eq!(TextIndex::open(others, [&good]).unwrap_err().code(), Code::TextCorrupt);
    // A later version, whose checksum holds.
    let mut later = good[..good.len() - 4].to_vec();
    later[8] = 2;
    later.extend_from_slice(&crc32c::crc32c(&later).to_le_bytes());
    assert_eq!(code(&later), Code::FormatTooNew);
}

/// The format is read for ever: what version 1 wrote.
#[test]
fn the_bytes_of_version_1_are_what_they_were() {
    let index = TextIndex::new(vec![Field::new("t", Analyzer::Standard)]).unwrap();
    index.insert(7, Lsn(9), &[Some("b a b")]).unwrap();
    let bytes = bundles(&index).remove(0);
    let golden = include_bytes!("../golden/segment-v1.bin");
    assert_eq!(bytes, golden);
    let opened = TextIndex::open(vec![Field::new("t", Analyzer::Standard)], [golden]).unwrap();
    assert_eq!(opened.stored(), [(7, Lsn(9))]);
    assert_eq!(opened.count(&Query::from("b"), Lsn(9), None).unwrap(), 1);
}

proptest! {
    #[test]
    fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(TextIndex::open(fields(), [&bytes]).is_err());
    }
}
