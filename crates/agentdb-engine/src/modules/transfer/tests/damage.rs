//! What is damaged or cut off is found, and nothing of it gets in.

use std::collections::BTreeSet;

use agentdb_types::Code;
use serde_json::json;

use super::{export, import, nouns};
use crate::WriteOptions;
use crate::modules::testing::TestDb;
use crate::modules::{blob, session, state};

/// A little of everything that has to do with the order of lines.
fn small() -> Vec<u8> {
    let db = TestDb::new(1);
    db.write(state::Put::new("ann", "a", json!({"n": 12_345, "t": "abc"}))).unwrap();
    db.write(session::message::Append {
        owner: Some("ann".into()),
        ..session::message::Append::new("s", "user", "hi")
    })
    .unwrap();
    db.engine()
        .put_blob(db.namespace, &mut &b"bytes"[..], blob::Put::default(), WriteOptions::default())
        .unwrap();
    export(&db, "default")
}

#[test]
fn every_flipped_bit_is_found() {
    let whole = small();
    let known: BTreeSet<String> = nouns(&whole).into_iter().collect();
    let mut codes = BTreeSet::new();
    for at in 0..whole.len() {
        for bit in [0, 4, 6, 7] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << bit;
            let db = TestDb::new(2);
            let err = import(&db, "default", &damaged).expect_err(&format!("byte {at}, bit {bit}"));
            codes.insert(err.code());
            assert!(!err.message().contains("(not given)"), "{err:?}");
            let got_in = nouns(&export(&db, "default"));
            let meant = |line: &String| known.contains(line) || line.contains("\"noun\":\"session\"");
            assert!(got_in.iter().all(meant), "byte {at}, bit {bit}: {got_in:?}");
        }
    }
    for code in
        [Code::ImportDamaged, Code::InvalidJson, Code::InvalidUtf8, Code::ImportLine, Code::InvalidValue]
    {
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
}

#[test]
fn every_truncated_import_is_found_and_the_whole_one_goes_on() {
    let whole = small();
    for end in 0..whole.len() - 1 {
        let db = TestDb::new(2);
        let err = import(&db, "default", &whole[..end]).expect_err(&format!("{end} bytes"));
        assert_eq!(err.code(), Code::ImportTruncated, "{end} bytes: {err:?}");
        import(&db, "default", &whole).unwrap_or_else(|err| panic!("behind {end} bytes: {err:?}"));
        assert_eq!(nouns(&export(&db, "default")), nouns(&whole), "{end} bytes");
    }
    // The end of the last line is no part of it.
    import(&TestDb::new(2), "default", &whole[..whole.len() - 1]).unwrap();
}

#[test]
fn a_large_import_commits_nothing_behind_the_last_check_that_holds() {
    let db = TestDb::new(1);
    for n in 0..3_000 {
        db.write(state::Put::new("ann", format!("{n:05}"), json!(n))).unwrap();
    }
    let mut lines = export(&db, "default");
    let known: BTreeSet<String> = nouns(&lines).into_iter().collect();
    // Another digit: nothing but the hash tells.
    let text = String::from_utf8(lines.clone()).unwrap();
    let at = text.find("\"value\":1777").unwrap() + 8;
    lines[at] = b'2';
    let other = TestDb::new(2);
    let err = import(&other, "default", &lines).unwrap_err();
    assert_eq!(err.code(), Code::ImportDamaged, "{err:?}");
    let got_in = nouns(&export(&other, "default"));
    assert!((1_000..=1_777).contains(&got_in.len()) && got_in.iter().all(|line| known.contains(line)));
    // The whole file goes on from there.
    let imported = import(&other, "default", text.as_bytes()).unwrap();
    assert!(imported.resumed_behind.is_some_and(|line| line > got_in.len() as u64));
    assert_eq!((imported.counts["state"].put, imported.counts["state"].skipped), (3_000, 0));
    assert_eq!(nouns(&export(&other, "default")), nouns(text.as_bytes()));
}
