//! `kill -9` of the real binary under mixed batches, against a ledger outside.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use agentdb::modules::session::message;
use agentdb::modules::state;
use agentdb::modules::watch::{Noun, Thing};
use agentdb::{Database, Lsn, Namespace};
use serde_json::{Value, json};

use super::agentdb;

const ROUNDS: u64 = 100;

/// What batch `number` writes: a state of its own, a shared one, a message, and sometimes a delete.
fn batch(number: u64) -> Value {
    let mut batch = vec![
        json!({"op": "state.put", "request": {"owner": "ledger", "key": format!("{number:08}"), "value": number}}),
        json!({"op": "state.put", "request": {"owner": "shared", "key": "last", "value": number}}),
        json!({"op": "message.append", "request":
            {"session": "s", "owner": "ledger", "role": "user", "message": format!("m{number:08}"), "content": number}}),
    ];
    if number % 3 == 2 {
        let before = format!("{:08}", number - 2);
        batch.push(json!({"op": "state.delete", "request": {"owner": "ledger", "key": before}}));
    }
    json!({ "batch": batch })
}

fn start(dir: &Path) -> Child {
    agentdb(dir).arg("pipe").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Feeds batches from `first` on until the process is killed; returns the first number that was never acknowledged and
/// the first that was never sent.
fn feed_and_kill(dir: &Path, first: u64, after: Duration) -> (u64, u64) {
    let mut child = start(dir);
    let mut input = child.stdin.take().unwrap();
    let output = child.stdout.take().unwrap();
    let (acked, sent) = std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut next = first;
            for line in BufReader::new(output).lines() {
                let answer: Value = match serde_json::from_str(&line.unwrap()) {
                    Ok(answer) => answer,
                    // Cut by the kill: not acknowledged.
                    Err(_) => break,
                };
                assert!(answer["lsn"].is_u64(), "{answer}");
                next += 1;
            }
            next
        });
        scope.spawn(move || {
            std::thread::sleep(after);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        let mut sent = first;
        while writeln!(input, "{}", batch(sent)).is_ok() {
            sent += 1;
        }
        (reader.join().unwrap(), sent)
    });
    (acked, sent + 1)
}

/// How many batches from `from` on are there; each wholly or not at all, and none after a missing one.
fn present(namespace: &Namespace, from: u64, to: u64) -> u64 {
    let states = namespace.read(state::List {
        owner: "ledger".into(),
        prefix: String::new(),
        limit: Some(10_000),
        cursor: None,
        reverse: true,
    });
    let states: BTreeMap<String, Value> =
        states.unwrap().items.into_iter().map(|e| (e.key, e.value)).collect();
    let mut next = from;
    while next < to {
        let id = format!("m{next:08}");
        let message = namespace.read(message::Get { session: "s".into(), message: id });
        let key = format!("{next:08}");
        // A state is deleted by the batch two later where that one is there.
        let deleted = next.is_multiple_of(3);
        match message {
            Ok(message) => {
                assert_eq!(message.content, json!(next));
                assert!(deleted || states.get(&key) == Some(&json!(next)), "half of batch {next}");
                next += 1;
            }
            Err(_) => {
                assert!(!states.contains_key(&key), "half of batch {next}");
                break;
            }
        }
    }
    for number in next..to {
        let id = format!("m{number:08}");
        assert!(
            namespace.read(message::Get { session: "s".into(), message: id }).is_err(),
            "{number} after {next}"
        );
    }
    next
}

/// A consumer that keeps its position takes what there is off a feed; some of its own filter, all or the ledger's alone.
fn consume(namespace: &Namespace, position: &mut Lsn, owner: Option<&str>, seen: &mut Vec<(Lsn, String)>) {
    let mut watching = namespace.watch().from(position.next()).noun(Noun::State);
    if let Some(owner) = owner {
        watching = watching.key(owner);
    }
    let mut watch = watching.open().unwrap();
    while let Some(event) = watch.try_next().unwrap() {
        for change in event.changes {
            let Thing::State { owner, key } = change.thing else { panic!("{change:?}") };
            seen.push((event.lsn, format!("{:?} {owner} {key}", change.kind)));
        }
    }
    *position = watch.position();
}

/// What a feed of all batches must have told of states, in order.
fn told(count: u64, owner: Option<&str>) -> Vec<String> {
    let of_batch = |number: u64| {
        let put = format!("Put ledger {number:08}");
        let mut told: Vec<String> =
            (number % 3 == 2).then(|| format!("Deleted ledger {:08}", number - 2)).into_iter().collect();
        told.push(put);
        told.extend(owner.is_none().then(|| "Put shared last".to_owned()));
        told
    };
    (0..count).flat_map(of_batch).collect()
}

#[test]
fn a_hundred_kills_lose_nothing_acknowledged_and_leave_no_half_batch() {
    let dir = tempfile::tempdir().unwrap();
    let mut next = 0;
    let mut unacknowledged = 0;
    let mut consumers = [None, Some("ledger")].map(|owner| (owner, Lsn(0), Vec::new()));
    for round in 0..ROUNDS {
        // Uneven times, from before the first answer to many groups later.
        let after = Duration::from_millis(5 + round * 37 % 90);
        let (acked, sent) = feed_and_kill(dir.path(), next, after);
        let db = Database::open(dir.path().join("db")).unwrap();
        let namespace = db.namespace("default").unwrap();
        let found = present(&namespace, next, sent);
        assert!(found >= acked, "round {round}: {acked} were acknowledged, {found} are there");
        unacknowledged += found - acked;
        for (owner, position, seen) in &mut consumers {
            // One of them comes only now and then.
            if owner.is_none() || round % 3 == 0 {
                consume(&namespace, position, *owner, seen);
            }
        }
        let last = namespace.read(state::Get::new("shared", "last"));
        assert_eq!(last.ok().map(|e| e.value), found.checked_sub(1).map(|n| json!(n)));
        next = found;
    }
    assert!(next > ROUNDS, "only {next} batches in {ROUNDS} rounds");
    let db = Database::open(dir.path().join("db")).unwrap();
    for (owner, mut position, mut seen) in consumers {
        consume(&db.namespace("default").unwrap(), &mut position, owner, &mut seen);
        assert!(seen.is_sorted_by_key(|(lsn, _)| *lsn) && position == db.lsn());
        let keys: Vec<String> = seen.into_iter().map(|(_, told)| told).collect();
        assert_eq!(keys, told(next, owner), "a feed that was taken up after each kill");
    }
    assert_eq!(db.verify(&mut |_| {}).unwrap().problems, []);
    println!("{next} batches, {unacknowledged} of them there without an acknowledgement");
}

/// Sends a line to `agentdb pipe`, and reads its answer.
fn ask(child: &mut Child, operation: &str, request: &Value) -> Value {
    writeln!(child.stdin.as_mut().unwrap(), "{}", json!({"op": operation, "request": request})).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

#[test]
fn a_tool_call_that_was_claimed_before_a_kill_is_unknown_and_one_that_was_completed_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let claim = |key: &str| json!({"owner": "run-1", "key": key, "tool": "pay", "arguments": {"cents": 100}, "lease_us": 500_000});
    let mut child = start(dir.path());
    let unfinished = ask(&mut child, "tool_call.claim", &claim("unfinished"));
    assert_eq!(unfinished["response"]["outcome"], "claimed", "{unfinished}");
    let finished = ask(&mut child, "tool_call.claim", &claim("finished"));
    let complete =
        json!({"owner": "run-1", "key": "finished", "epoch": finished["response"]["epoch"], "result": "r-1"});
    ask(&mut child, "tool_call.complete", &complete);
    // The side effect of the first one may have happened by now.
    child.kill().unwrap();
    child.wait().unwrap();

    let mut child = start(dir.path());
    let replay = ask(&mut child, "tool_call.claim", &claim("finished"));
    assert_eq!(replay["response"]["result"], "r-1", "{replay}");
    let ended = std::time::Instant::now() + Duration::from_millis(500);
    loop {
        let refused = ask(&mut child, "tool_call.claim", &claim("unfinished"));
        match refused["error"]["name"].as_str() {
            Some("tool_call_running") if std::time::Instant::now() < ended => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Some("tool_call_unknown") => break,
            _ => panic!("it was answered {refused}"),
        }
    }
    let epoch = &unfinished["response"]["epoch"];
    let resolve = json!({"owner": "run-1", "key": "unfinished", "epoch": epoch, "resolution": "retry"});
    ask(&mut child, "tool_call.resolve", &resolve);
    let again = ask(&mut child, "tool_call.claim", &claim("unfinished"));
    assert_eq!(again["response"]["outcome"], "claimed", "{again}");
    assert!(again["response"]["epoch"].as_u64() > epoch.as_u64());
    let late = json!({"owner": "run-1", "key": "unfinished", "epoch": epoch, "result": "r-2"});
    assert_eq!(ask(&mut child, "tool_call.complete", &late)["error"]["name"], "tool_call_fenced");
    child.kill().unwrap();
    child.wait().unwrap();
}
