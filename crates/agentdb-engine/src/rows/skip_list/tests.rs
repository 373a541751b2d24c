//! The list against a plain map, and with readers beside the writer.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

type Model = BTreeMap<(Vec<u8>, Reverse<u64>), Option<Vec<u8>>>;

fn list() -> SkipList {
    SkipList::new(Arc::default())
}

fn insert(list: &SkipList, key: &[u8], lsn: u64, body: Option<&[u8]>) {
    let body = body.map(Arc::from);
    list.insert(&[key], Lsn(lsn), Body::of(&body, &mut [&[]]));
}

fn put_aside(list: &SkipList, key: &[u8], lsn: u64, body: &[u8]) {
    let (first, rest) = key.split_at(key.len() / 2);
    let (start, end) = body.split_at(body.len() / 3);
    list.put_aside(&[first, rest], Lsn(lsn), Body::joined(&[start, end]));
}

fn all(list: &SkipList) -> Vec<(Vec<u8>, u64, Option<Vec<u8>>)> {
    let entries = std::iter::successors(list.seek(&[], Lsn(u64::MAX)), |entry| entry.next());
    entries.map(|e| (e.key().to_vec(), e.lsn().0, e.body().map(|body| body.to_vec()))).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<u8>, u64, Option<Vec<u8>>),
    PutAside(Vec<u8>, u64, Vec<u8>),
    Link,
    Seek(Vec<u8>, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let key = || prop::collection::vec(0u8..3, 0..5);
    let lsn = || prop_oneof![0u64..8, Just(u64::MAX)];
    // Some lie in the node, some outside.
    let body = || {
        let long = (0usize..3, any::<u8>()).prop_map(|(n, byte)| vec![byte; MOST_INLINE - 1 + n]);
        prop_oneof![4 => prop::collection::vec(any::<u8>(), 0..40), 1 => long]
    };
    prop_oneof![
        8 => (key(), lsn(), prop::option::of(body())).prop_map(|(k, l, b)| Step::Insert(k, l, b)),
        3 => (key(), lsn(), body()).prop_map(|(k, l, b)| Step::PutAside(k, l, b)),
        1 => Just(Step::Link),
        4 => (key(), lsn()).prop_map(|(k, l)| Step::Seek(k, l)),
    ]
}

fn check_seek(list: &SkipList, model: &Model, key: &[u8], lsn: u64) {
    let place = (key.to_vec(), Reverse(lsn));
    let expected = model.range(place..).next().map(|((k, l), b)| (&k[..], Lsn(l.0), b.clone()));
    let found = list.seek(key, Lsn(lsn)).map(|e| (e.key(), e.lsn(), e.body().map(|body| body.to_vec())));
    assert_eq!(found, expected);
    let expected = model.range(..(key.to_vec(), Reverse(u64::MAX))).next_back();
    let found = list.last_before(Some(key)).map(|e| (e.key(), e.lsn().0));
    assert_eq!(found, expected.map(|((k, l), _)| (&k[..], l.0)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn it_holds_what_a_map_would(steps in prop::collection::vec(step(), 1..120)) {
        let (list, mut model, mut aside) = (list(), Model::new(), Vec::new());
        for step in steps {
            match step {
                Step::Insert(key, lsn, body) => {
                    insert(&list, &key, lsn, body.as_deref());
                    model.insert((key, Reverse(lsn)), body);
                }
                Step::PutAside(key, lsn, body) => {
                    put_aside(&list, &key, lsn, &body);
                    aside.push((key, lsn, body));
                }
                Step::Link => {
                    let mut linked = Vec::new();
                    while list.link_aside(|key| linked.push(key.to_vec())) {}
                    prop_assert!(linked.iter().eq(aside.iter().map(|(key, ..)| key)));
                    model.extend(aside.drain(..).map(|(key, lsn, body)| ((key, Reverse(lsn)), Some(body))));
                }
                Step::Seek(key, lsn) => check_seek(&list, &model, &key, lsn),
            }
            prop_assert_eq!(list.is_empty(), model.is_empty());
        }
        // Of equals the newest comes first.
        let mut found = all(&list);
        found.dedup_by(|b, a| (&a.0, a.1) == (&b.0, b.1));
        let expected: Vec<_> = model.iter().map(|((k, l), b)| (k.clone(), l.0, b.clone())).collect();
        prop_assert_eq!(found, expected);
        let last = model.keys().next_back().map(|(key, lsn)| (&key[..], Lsn(lsn.0)));
        prop_assert_eq!(list.last_before(None).map(|e| (e.key(), e.lsn())), last);
    }
}

#[test]
fn chunks_go_from_one_list_into_the_next_and_are_let_go_when_none_comes() {
    let spare: Arc<Spare> = Arc::default();
    let mut sizes = Vec::new();
    for _ in 0..3 {
        let list = SkipList::new(spare.clone());
        for n in 0..40_000u64 {
            insert(&list, &n.to_be_bytes(), n, Some(&[7; 100]));
        }
        // One key that fills more than a chunk.
        insert(&list, &vec![9; 3 << 20], 1, None);
        insert(&list, b"large", 1, Some(&vec![1; 1 << 20]));
        sizes.push(list.bytes());
        assert_eq!(all(&list).len(), 40_002);
    }
    let least = 40_000 * (8 + 104 + size_of::<Node>() + size_of::<Link>()) + (4 << 20);
    assert!(sizes.iter().all(|bytes| (least..least + least / 8).contains(bytes)), "{sizes:?} {least}");
    let held = spare.held();
    assert!((3..8).contains(&held), "{held}");
    spare.shrink();
    assert_eq!(spare.held(), held, "a list asked since");
    (0..2).for_each(|_| spare.shrink());
    assert_eq!(spare.held(), 0);
}

/// The body of a version tells what it is the body of.
fn body_of(key: u64, lsn: u64) -> Vec<u8> {
    let length = if key.is_multiple_of(97) { MOST_INLINE + 50 } else { 1 + (key % 60) as usize };
    let mut body = [key.to_be_bytes(), lsn.to_be_bytes()].concat();
    body.resize(16 + length, key as u8);
    body
}

fn is_whole(entry: Entry<'_>) -> bool {
    let key = u64::from_be_bytes(entry.key().try_into().unwrap());
    entry.body().unwrap()[..] == body_of(key, entry.lsn().0)
}

/// A writer, of which half of the versions are put aside, and readers that know up to where it came.
fn beside_a_writer(seed: u64, count: u64) {
    let list = list();
    let published = AtomicU64::new(0);
    // Different for each LSN, and spread.
    let key = |lsn: u64| lsn.wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ seed << 1) >> 20;
    let reader = |salt: u64| {
        let mut lsn = salt;
        while published.load(Ordering::Relaxed) < count {
            let up_to = published.load(Ordering::Acquire);
            while list.link_aside(|_| {}) {}
            // Any one that is published is there.
            lsn = lsn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed);
            if up_to > 0 {
                let lsn = 1 + (lsn >> 33) % up_to;
                let found = list.seek(&key(lsn).to_be_bytes(), Lsn(lsn)).unwrap();
                assert_eq!((found.key(), found.lsn()), (&key(lsn).to_be_bytes()[..], Lsn(lsn)));
                assert!(is_whole(found));
            }
            // Those that a walk passes are in order and whole, and as many as are published, at least.
            let mut last = None;
            let mut seen = 0;
            let mut next = list.seek(&[], Lsn(u64::MAX));
            while let Some(entry) = next {
                assert!(
                    last.is_none_or(|(key, lsn)| (key, Reverse(lsn)) < (entry.key(), Reverse(entry.lsn())))
                );
                assert!(is_whole(entry));
                last = Some((entry.key(), entry.lsn()));
                seen += u64::from(entry.lsn() <= Lsn(up_to));
                next = entry.next();
            }
            assert_eq!(seen, up_to);
            let before = list.last_before(None);
            assert!(before.is_none_or(is_whole) && before.is_some() | (up_to == 0));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| reader(1));
        scope.spawn(|| reader(2));
        for lsn in 1..=count {
            let (key, body) = (key(lsn).to_be_bytes(), body_of(key(lsn), lsn));
            match lsn % 2 {
                0 => insert(&list, &key, lsn, Some(&body)),
                _ => put_aside(&list, &key, lsn, &body),
            }
            published.store(lsn, Ordering::Release);
        }
    });
    while list.link_aside(|_| {}) {}
    assert_eq!(all(&list).len() as u64, count);
}

#[test]
fn readers_find_whole_what_was_published_before_they_looked() {
    (0..200).for_each(|seed| beside_a_writer(seed, 400));
    beside_a_writer(7, 20_000);
}

/// A version that is linked while a place before it is looked for is not found in its stead.
#[test]
fn readers_of_an_earlier_moment_find_what_was_there() {
    let list = list();
    let (count, published) = (40_000, AtomicU64::new(0));
    insert(&list, b"key", 1, None);
    let reader = || {
        loop {
            let lsn = published.load(Ordering::Acquire).max(1);
            for _ in 0..64 {
                let found = list.seek(b"key", Lsn(lsn)).unwrap();
                assert_eq!(found.lsn(), Lsn(lsn));
            }
            if lsn == count {
                break;
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(reader);
        scope.spawn(reader);
        for lsn in 2..=count {
            insert(&list, b"key", lsn, None);
            published.store(lsn, Ordering::Release);
        }
    });
}
