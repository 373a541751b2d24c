//! Files that a newer version wrote.

use std::path::Path;

use agentdb::modules::state;
use agentdb::{Database, Lsn, Value};
use agentdb_env::sim::World;
use agentdb_log::{LocalLog, Log, NewGroup};

use super::damage::{change_rows, real};
use super::simulated::{Files, LOG, Simulated, bytes_of, path_of};
use super::told;

const SEGMENT: &str = "0000000001.log";

/// Changes the last frame of the log, checksum included, as its writer would have.
fn change_last_frame(world: &World, saved: &Files, change: impl FnOnce(&mut [u8])) {
    let path = path_of(saved, SEGMENT);
    let mut bytes = bytes_of(saved, &path);
    let at = (4096..bytes.len() - 4).step_by(8).rfind(|&at| bytes[at..at + 4] == *b"ADBG").unwrap();
    change(&mut bytes[at..]);
    let body = u32::from_le_bytes(bytes[at + 48..at + 52].try_into().unwrap()) as usize;
    let mut crc = crc32c::crc32c(&bytes[32..40]);
    crc = crc32c::crc32c_append(crc, &(at as u64).to_le_bytes());
    crc = crc32c::crc32c_append(crc, &bytes[at..at + 92]);
    crc = crc32c::crc32c_append(crc, &bytes[at + 96..at + 96 + body]);
    bytes[at + 92..at + 96].copy_from_slice(&crc.to_le_bytes());
    world.write_file(&path, &bytes).unwrap();
}

/// Replaces bytes of a file whose last four are the checksum of the rest.
fn change_key_file(world: &World, saved: &Files, change: impl FnOnce(&mut [u8])) {
    let path = path_of(saved, ".key");
    let mut bytes = bytes_of(saved, &path);
    let end = bytes.len() - 4;
    change(&mut bytes[..end]);
    let crc = crc32c::crc32c(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_le_bytes());
    world.write_file(&path, &bytes).unwrap();
}

pub(super) fn format_too_new() -> Vec<Value> {
    let mut db = Simulated::new();
    let mut errors = vec![
        db.refuses_to_open(&[("path", "FORMAT"), ("actual", "2"), ("supported", "1")], |w, f| {
            let path = path_of(f, "FORMAT");
            let text = String::from_utf8(bytes_of(f, &path)).unwrap();
            let line = text.lines().next().unwrap().replacen("\"agentdb\":1", "\"agentdb\":2", 1);
            let text = format!("{line}\n{:08x}\n", crc32c::crc32c(line.as_bytes()));
            w.write_file(&path, text.as_bytes()).unwrap();
        }),
        db.refuses_to_open(&[("path", SEGMENT), ("actual", "2")], |w, f| {
            let path = path_of(f, SEGMENT);
            let mut bytes = bytes_of(f, &path);
            bytes[8] = 2;
            let crc = crc32c::crc32c(&bytes[..40]);
            bytes[40..44].copy_from_slice(&crc.to_le_bytes());
            w.write_file(&path, &bytes).unwrap();
        }),
        db.refuses_to_open(&[("path", "a frame of the log"), ("actual", "2")], |w, f| {
            change_last_frame(w, f, |frame| frame[4] = 2);
        }),
        db.refuses_to_open(&[("path", ".key"), ("actual", "2"), ("supported", "1")], |w, f| {
            change_key_file(w, f, |key| key[7] = b'2');
        }),
    ];
    errors.extend(newer_rows());
    errors.push(newer_row());
    errors
}

/// A newer version of the manifest, and of a run.
fn newer_rows() -> [Value; 2] {
    let told_of = |name: &str, change: fn(&mut Vec<u8>)| {
        let dir = real();
        let path = dir.path().join("rows").join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[8] = 2;
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let err = Database::open(dir.path()).err().unwrap();
        told(&err, &[("path", name), ("actual", "2"), ("supported", "1")])
    };
    let manifest = told_of("MANIFEST", |bytes| {
        let (fields, crc) = bytes.split_last_chunk_mut::<4>().unwrap();
        *crc = crc32c::crc32c(fields).to_le_bytes();
    });
    let run = told_of("0000000001.run", |bytes| {
        let (header, footer) = (bytes[..16].to_vec(), bytes.len() - 48);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&header), &bytes[footer..footer + 36]);
        bytes[footer + 36..footer + 40].copy_from_slice(&crc.to_le_bytes());
    });
    [manifest, run]
}

fn newer_row() -> Value {
    let dir = real();
    change_rows(dir.path(), 16, |body| body[0] = 2);
    let db = Database::open(dir.path()).unwrap();
    let err = db.namespace("default").unwrap().read(state::Get::new("ann", "plan")).unwrap_err();
    told(&err, &[("path", "a state's row"), ("actual", "2"), ("supported", "1")])
}

pub(super) fn unknown_critical() -> Vec<Value> {
    let mut db = Simulated::new();
    vec![
        db.refuses_to_open(&[("what", "a frame of the log"), ("field", "flags 0x0002")], |w, f| {
            change_last_frame(w, f, |frame| frame[6] = 2);
        }),
        // Field 77, critical, one byte.
        db.refuses_to_open(&[("what", "an entry of the log"), ("field", "77"), ("lsn", "9")], |w, _| {
            append(w, &[4, 0x9b, 0x01, 0x01, b'x']);
        }),
    ]
}

/// Appends a group of one entry to the log.
pub(super) fn append(world: &World, body: &[u8]) {
    let mut log = LocalLog::open(&world.env(), Path::new("/db/log"), LOG, Lsn(0)).unwrap().log;
    let head = log.head();
    let (epoch, expected_head, time) = (head.epoch, head.lsn, head.time);
    log.append(NewGroup { epoch, expected_head, count: 1, time, body }).unwrap();
    log.sync().unwrap();
}
