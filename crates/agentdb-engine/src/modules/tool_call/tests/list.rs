//! Lists of calls: by owner, by state, by tool, page by page.

use agentdb_types::Code;
use serde_json::json;

use super::super::{Answer, Claim, Complete, Fail, List, State};
use super::{LONG_US, SECOND_US};
use crate::modules::testing::TestDb;

/// Calls of two owners and two tools in every state; what is claimed first is listed last by its lease.
fn filled() -> TestDb {
    let db = TestDb::new(30);
    for (number, (owner, key)) in
        [("ann", "a"), ("ann", "ab"), ("ann", "b"), ("bob", "a"), ("bob", "c"), ("bob", "d")]
            .into_iter()
            .enumerate()
    {
        db.world.advance_us(SECOND_US);
        let tool = if number % 2 == 0 { "pay" } else { "mail" };
        let lease_us = Some((100 - 10 * number as i64) * 1_000_000);
        let claim = Claim { lease_us, ..Claim::new(owner, key, tool, json!(number)) };
        let Answer::Claimed { epoch, .. } = db.write(claim).unwrap().response else { panic!("{key}") };
        let (owner, key) = (owner.to_owned(), key.to_owned());
        match number {
            0 => drop(db.write(Complete { owner, key, epoch, result: json!(1) }).unwrap()),
            1 | 2 => drop(db.write(Fail { owner, key, epoch, error: json!(1), retry: number == 1 }).unwrap()),
            _ => {}
        }
    }
    db
}

fn listed(db: &TestDb, list: List) -> Vec<(String, String)> {
    let (mut list, mut found) = (List { limit: Some(1), ..list }, Vec::new());
    loop {
        let page = db.read(list.clone()).unwrap();
        found.extend(page.items.into_iter().map(|entry| (entry.owner, entry.key)));
        match page.cursor {
            Some(cursor) => list.cursor = Some(cursor),
            None => return found,
        }
    }
}

/// What a list tells in pages of one, forwards and backwards.
fn tells(db: &TestDb, list: List, expected: &[(&str, &str)]) {
    let mut expected: Vec<_> =
        expected.iter().map(|(owner, key)| ((*owner).to_owned(), (*key).to_owned())).collect();
    assert_eq!(listed(db, list.clone()), expected, "{list:?}");
    expected.reverse();
    assert_eq!(listed(db, List { reverse: true, ..list.clone() }), expected, "{list:?} backwards");
}

#[test]
fn calls_are_listed_by_owner_state_and_tool() {
    let db = filled();
    let all = [("ann", "a"), ("ann", "ab"), ("ann", "b"), ("bob", "a"), ("bob", "c"), ("bob", "d")];
    tells(&db, List::default(), &all);
    let ann = || List { owner: Some("ann".into()), ..List::default() };
    tells(&db, ann(), &all[..3]);
    tells(&db, List { prefix: "a".into(), ..ann() }, &all[..2]);
    tells(&db, List { state: Some(State::Retryable), ..ann() }, &all[1..2]);
    tells(&db, List { tool: Some("pay".into()), ..ann() }, &[all[0], all[2]]);
    let pay = || List { tool: Some("pay".into()), ..List::default() };
    tells(&db, pay(), &[all[0], all[2], all[4]]);
    tells(&db, List { state: Some(State::Claimed), ..pay() }, &[all[4]]);
    let of = |state| List { state: Some(state), ..List::default() };
    tells(&db, of(State::Completed), &all[..1]);
    tells(&db, of(State::Failed), &all[2..3]);
    tells(&db, of(State::Unknown), &[]);
    // By the end of their leases: 70, 60, 50 seconds, the last one first.
    tells(&db, of(State::Claimed), &[all[5], all[4], all[3]]);
}

#[test]
fn claims_move_from_claimed_to_unknown_as_their_leases_end() {
    let db = filled();
    let of = |state| List { state: Some(state), ..List::default() };
    db.world.advance_us(55 * SECOND_US);
    tells(&db, of(State::Unknown), &[("bob", "d")]);
    tells(&db, of(State::Claimed), &[("bob", "c"), ("bob", "a")]);
    db.drain();
    db.world.advance_us(LONG_US);
    tells(&db, of(State::Unknown), &[("bob", "d"), ("bob", "c"), ("bob", "a")]);
    tells(&db, of(State::Claimed), &[]);
    tells(&db, List { tool: Some("mail".into()), ..of(State::Unknown) }, &[("bob", "d"), ("bob", "a")]);
}

#[test]
fn a_list_is_refused_what_it_cannot_tell() {
    let db = filled();
    for (list, code) in [
        (List { prefix: "a".into(), ..List::default() }, Code::InvalidValue),
        (List { limit: Some(0), ..List::default() }, Code::PageTooLarge),
        (List { cursor: Some("zz".into()), ..List::default() }, Code::InvalidCursor),
        (List { owner: Some(String::new()), ..List::default() }, Code::IdEmpty),
        (List { tool: Some(String::new()), ..List::default() }, Code::IdEmpty),
    ] {
        assert_eq!(db.read(list).unwrap_err().code(), code);
    }
}
