//! The log on a simulated disk: what was synced is there, what was not is a prefix, and damage is never silent.

use std::path::Path;

use agentdb_env::sim::{Random, World};
use agentdb_types::{ChainHash, Code, Lsn, Result, Timestamp};
use proptest::prelude::*;

use crate::segment::DATA_START;
use crate::{Group, HEADER_BYTES, LocalLog, Log, NewGroup, Options, decode_frame, frame, verify};

const DIR: &str = "/log";

fn options() -> Options {
    Options { first_segment_bytes: 8 << 10, segment_bytes: 16 << 10 }
}

fn open(world: &World, view: Lsn) -> Result<LocalLog> {
    let env = world.env();
    env.files.create_dir_all(Path::new(DIR))?;
    env.files.sync_dir(Path::new("/"))?;
    LocalLog::open(&env, Path::new(DIR), options(), view).map(|opened| opened.log)
}

fn append(log: &mut LocalLog, count: u32, body: &[u8]) -> Result<()> {
    let head = log.head();
    let group = NewGroup { epoch: 1, expected_head: head.lsn, count, time: Timestamp::default(), body };
    log.append(group).map(drop)
}

/// Bytes that cannot be packed.
fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut out);
    out
}

fn read(log: &LocalLog) -> Vec<Group> {
    log.reader(Lsn(1)).collect::<Result<_>>().unwrap()
}

fn trim(log: &mut LocalLog, below: Lsn) -> Result<()> {
    while let Some(old) = log.let_go(below) {
        old.remove()?;
    }
    Ok(())
}

#[derive(Clone, Debug)]
enum Step {
    Append(u32, Vec<u8>),
    Sync,
    Stamp,
    Prepare,
    Discard,
    BeginAnew,
    PowerLoss(u64),
    Kill,
    FailSync,
}

fn step() -> impl Strategy<Value = Step> {
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|b| b.repeat(20)),
    ];
    prop_oneof![
        8 => (1u32..5, body).prop_map(|(count, body)| Step::Append(count, body)),
        5 => Just(Step::Sync),
        1 => Just(Step::Stamp),
        2 => Just(Step::Prepare),
        1 => Just(Step::Discard),
        1 => Just(Step::BeginAnew),
        1 => any::<u64>().prop_map(Step::PowerLoss),
        1 => Just(Step::Kill),
        1 => Just(Step::FailSync),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn what_was_synced_survives_and_the_rest_is_a_prefix(steps in prop::collection::vec(step(), 1..80), seed: u64) {
        let world = World::new(seed);
        let mut log = open(&world, Lsn::ZERO).unwrap();
        // Bodies of the groups in order, and how many are synced.
        let mut written: Vec<(u32, Vec<u8>)> = Vec::new();
        let mut synced = 0;
        for step in steps {
            let mut down = None;
            match step {
                Step::Append(count, body) => {
                    append(&mut log, count, &body).unwrap();
                    written.push((count, body));
                    // A roll syncs the segment before.
                    synced = synced.max(written.iter().scan(0, |lsn, (c, _)| { *lsn += u64::from(*c); Some(*lsn) })
                        .take_while(|lsn| *lsn <= log.synced().0).count());
                }
                Step::Sync => {
                    log.sync().unwrap();
                    synced = written.len();
                }
                Step::Stamp => {
                    log.sync().unwrap();
                    append(&mut log, 0, &[]).unwrap();
                    synced = written.len();
                }
                Step::Prepare => {
                    log.preparer().step().unwrap();
                }
                Step::Discard => log.preparer().discard().unwrap(),
                Step::BeginAnew => {
                    log.begin_anew().unwrap();
                    synced = written.len();
                }
                Step::PowerLoss(dice) => down = Some(Some(dice)),
                Step::Kill => down = Some(None),
                Step::FailSync => {
                    let before = log.synced();
                    world.faults().fail_sync(2);
                    if log.sync().is_err() {
                        prop_assert_eq!(log.sync().unwrap_err().code(), Code::Poisoned);
                        prop_assert_eq!(append(&mut log, 1, b"x").unwrap_err().code(), Code::Poisoned);
                        prop_assert_eq!(log.synced(), before);
                        down = Some(None);
                    }
                    world.faults().clear();
                }
            }
            if let Some(power) = down {
                match power {
                    Some(dice) => world.crash(&mut Random::new(dice)),
                    None => world.process_kill(),
                }
                log = open(&world, Lsn::ZERO).unwrap();
                let groups = read(&log);
                prop_assert!(groups.len() >= synced && groups.len() <= written.len());
                if power.is_none() {
                    prop_assert_eq!(groups.len(), written.len());
                }
                written.truncate(groups.len());
                synced = groups.len();
            }
            let found: Vec<_> = read(&log).into_iter().map(|g| (g.count, g.body)).collect();
            prop_assert_eq!(&found, &written);
        }
    }

    #[test]
    fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), salt: u64, offset: u64) {
        let _ = decode_frame(&bytes, salt, offset);
    }
}

/// A log of several segments, synced and stamped.
fn sample(world: &World) -> (Vec<Group>, ChainHash) {
    let mut log = open(world, Lsn::ZERO).unwrap();
    for number in 0..12u32 {
        append(&mut log, 1 + number % 3, &noise(number as u8, 700 * (number as usize % 4 + 1))).unwrap();
        log.sync().unwrap();
    }
    append(&mut log, 1, &noise(12, 40).repeat(30)).unwrap();
    log.sync().unwrap();
    append(&mut log, 0, &[]).unwrap();
    log.sync().unwrap();
    (read(&log), log.head().chain)
}

#[test]
fn every_flipped_byte_of_a_frame_is_damage_that_is_named() {
    let world = World::new(9);
    let (groups, chain) = sample(&world);
    world.process_kill();
    let segments: Vec<_> =
        world.list_all().into_iter().filter(|p| p.extension().is_some_and(|e| e == "log")).collect();
    assert!(segments.len() > 1);
    let (mut reported, mut harmless) = (0, 0);
    for path in &segments {
        let bytes = world.read_file(path).unwrap();
        for offset in (0..bytes.len()).filter(|o| *o < 64 || bytes[*o] != 0 || o % 61 == 0) {
            world.flip_bit(path, offset as u64, (offset % 8) as u8).unwrap();
            match verify(&world.env(), Path::new(DIR), &mut |_| Ok(())) {
                Ok(found) => {
                    // Zeros behind the end, or the last stamp, which nothing later proves.
                    assert_eq!(
                        (found.head.lsn, found.head.chain),
                        (groups[groups.len() - 1].last_lsn(), chain)
                    );
                    harmless += 1;
                }
                Err(err) => {
                    let named = err.value("segment").or(err.value("path")).unwrap();
                    let known = [Code::LogCorrupt, Code::FormatCorrupt, Code::FormatTooNew];
                    assert!(known.contains(&err.code()) && named.contains(".log"), "{err}");
                    assert!(open(&world, Lsn::ZERO).is_err());
                    reported += 1;
                }
            }
            world.flip_bit(path, offset as u64, (offset % 8) as u8).unwrap();
        }
    }
    assert!(reported > 10_000 && harmless > 0, "{reported} reported, {harmless} harmless");
}

#[test]
fn a_packed_group_takes_less_and_comes_back_and_a_lie_about_its_length_is_refused() {
    let world = World::new(13);
    let body = noise(3, 100).repeat(20);
    let mut log = open(&world, Lsn::ZERO).unwrap();
    append(&mut log, 2, &body).unwrap();
    log.sync().unwrap();
    drop(log);
    world.process_kill();
    let path = Path::new("/log/0000000001.log");
    let segment = world.read_file(path).unwrap();
    let frame = &segment[4096..];
    let stored = frame::body_len(frame).unwrap();
    assert!(stored * 5 < body.len(), "{stored}");
    let salt = frame::u64_at(&segment, 32);
    let group = crate::decode_frame(frame, salt, 4096).unwrap().unwrap().group;
    assert_eq!((group.count, &group.body), (2, &body));
    let told = |len: u32| {
        let mut lying = segment.clone();
        lying[4096 + 52..4096 + 56].copy_from_slice(&len.to_le_bytes());
        let whole = &lying[4096..4096 + HEADER_BYTES + stored];
        let crc = frame::checksum(salt, 4096, &whole[..92], &whole[HEADER_BYTES..]);
        lying[4096 + 92..4096 + 96].copy_from_slice(&crc.to_le_bytes());
        crate::decode_frame(&lying[4096..], salt, 4096).unwrap()
    };
    assert_eq!(told(body.len() as u32).unwrap().group.body, body);
    for len in [0, body.len() as u32 - 1, body.len() as u32 + 1, 1 << 20, u32::MAX] {
        assert!(told(len).is_none(), "{len}");
    }
    assert_eq!(read(&open(&world, Lsn::ZERO).unwrap())[0].body, body);
}

/// The end of the segment is no end for a part that takes more than the whole did.
#[test]
fn a_part_of_a_packed_group_is_kept_where_the_segment_ends() {
    let world = World::new(14);
    let env = world.env();
    let mut log = open(&world, Lsn::ZERO).unwrap();
    // Two small entries that do not pack, and what makes the whole worth packing.
    let part = noise(4, 900);
    let whole = [&part[..], &part.repeat(20)].concat();
    for n in 0.. {
        append(&mut log, 1, &noise(n, 500)).unwrap();
        log.sync().unwrap();
        if log.current_room() < 1_400 {
            break;
        }
    }
    assert_eq!(log.segment_starts().count(), 1);
    append(&mut log, 3, &whole).unwrap();
    log.sync().unwrap();
    let lsn = Lsn(log.head().lsn.0 - 1);
    assert_eq!(log.segment_starts().count(), 1, "the packed group still fits");
    drop(log);
    let cut_part = |group: &Group, count: u32| {
        assert_eq!((count, &group.body), (2, &whole));
        Ok([&part[..], &noise(9, 124)].concat())
    };
    let head = crate::cut(&env, Path::new(DIR), crate::Bound::Lsn(lsn), &cut_part).unwrap();
    assert_eq!(head.lsn, lsn);
    let log = open(&world, Lsn::ZERO).unwrap();
    assert_eq!((log.head().lsn, log.head().chain), (lsn, head.chain));
    let groups = read(&log);
    assert_eq!(groups[groups.len() - 1].body, [&part[..], &noise(9, 124)].concat());
}

#[test]
fn a_reader_reads_what_was_there_while_the_writer_goes_on() {
    let world = World::new(12);
    let (groups, _) = sample(&world);
    let mut log = open(&world, Lsn::ZERO).unwrap();
    let (all, late) = (log.reader(Lsn(1)), log.reader(groups[1].last_lsn()));
    append(&mut log, 1, b"later").unwrap();
    assert!(all.map(Result::unwrap).eq(groups.iter().cloned()));
    assert!(late.map(Result::unwrap).eq(groups[1..].iter().cloned()));
    // What is let go of under a reader is told, whether its file is still there or not.
    let second = log.segment_starts().nth(1).unwrap();
    let mut begun = log.reader(Lsn(1));
    begun.next().unwrap().unwrap();
    let (mut whole, mut at_second) = (log.reader(Lsn(1)), log.reader(second));
    let old = log.let_go(second).unwrap();
    let refused = begun.next().unwrap().unwrap_err();
    assert_eq!((refused.code(), refused.value("earliest")), (Code::LogTrimmed, Some(&*second.to_string())));
    assert!(begun.next().is_none());
    old.remove().unwrap();
    assert_eq!(whole.next().unwrap().unwrap_err().code(), Code::LogTrimmed);
    assert_eq!(log.reader_from(Lsn(1)).err().unwrap().code(), Code::LogTrimmed);
    assert_eq!(at_second.next().unwrap().unwrap().first_lsn, second);
}

#[test]
fn a_reader_that_is_extended_goes_on_where_it_stands_over_any_number_of_segments() {
    let world = World::new(14);
    let mut log = open(&world, Lsn::ZERO).unwrap();
    let mut reader = log.reader(Lsn(1));
    assert!(reader.next().is_none());
    let mut read = Vec::new();
    for n in 0..60u32 {
        append(&mut log, 1 + n % 3, &vec![n as u8; 200 + 97 * n as usize]).unwrap();
        if n % 7 == 0 {
            // Until it is told, it is at its end.
            assert!(reader.next().is_none());
            log.extend(&mut reader);
            read.extend(reader.by_ref().map(Result::unwrap));
            assert_eq!(read.last().unwrap().last_lsn(), log.head().lsn);
        }
    }
    assert!(log.segment_starts().count() > 2);
    log.extend(&mut reader);
    read.extend(reader.map(Result::unwrap));
    assert!(log.reader(Lsn(1)).map(Result::unwrap).eq(read));
}

#[test]
fn a_reader_tells_of_damage_and_never_passes_it_over() {
    let world = World::new(13);
    let (groups, _) = sample(&world);
    let log = open(&world, Lsn::ZERO).unwrap();
    let (count, path) = (groups.len(), Path::new("/log/0000000001.log"));
    let reader = || log.reader(Lsn(1)).collect::<Result<Vec<Group>>>();
    assert_eq!(reader().unwrap().len(), count);
    let mut told = 0;
    for offset in (DATA_START..8 << 10).step_by(97) {
        world.flip_bit(path, offset, 3).unwrap();
        match reader() {
            Err(err) => told += u32::from(err.code() == Code::LogCorrupt),
            // Zeros behind the last frame.
            Ok(read) => assert_eq!(read, groups),
        }
        world.flip_bit(path, offset, 3).unwrap();
    }
    assert!(told > 20, "{told}");
}

#[test]
fn a_trimmed_log_opens_and_goes_on() {
    let world = World::new(10);
    let (groups, _) = sample(&world);
    let mut log = open(&world, Lsn::ZERO).unwrap();
    let second = log.segment_starts().nth(1).unwrap();
    trim(&mut log, second).unwrap();
    drop(log);
    world.process_kill();
    let view = groups[groups.len() - 2].last_lsn();
    let opened = LocalLog::open(&world.env(), Path::new(DIR), options(), view).unwrap();
    assert_eq!(opened.first_lsn, second);
    assert_eq!(opened.chain_at, Some(groups[groups.len() - 2].chain));
    let mut log = opened.log;
    append(&mut log, 1, b"on").unwrap();
    assert_eq!(log.sync().unwrap(), log.head().lsn);
}

#[test]
fn a_trimmed_segment_that_comes_back_behind_a_gap_is_no_damage() {
    let mut came_back = 0;
    for seed in 0..16 {
        let world = World::new(seed);
        let (groups, _) = sample(&world);
        let mut log = open(&world, Lsn::ZERO).unwrap();
        let starts: Vec<Lsn> = log.segment_starts().collect();
        // The removal is seen, but perhaps no later sync of the directory makes it last.
        world.faults().fail_sync(2);
        assert!(trim(&mut log, starts[1]).is_err());
        drop(log);
        world.process_kill();
        let view = groups[groups.len() - 1].last_lsn();
        let mut log = open(&world, view).unwrap();
        trim(&mut log, starts[2]).unwrap();
        drop(log);
        world.crash(&mut Random::new(seed));
        came_back += u32::from(world.read_file(Path::new("/log/0000000001.log")).is_ok());
        let opened = LocalLog::open(&world.env(), Path::new(DIR), options(), view).unwrap();
        assert_eq!((opened.first_lsn, opened.log.head().lsn), (starts[2], view));
        assert_eq!(verify(&world.env(), Path::new(DIR), &mut |_| Ok(())).unwrap().head.lsn, view);
    }
    assert!(came_back > 0);
}

#[test]
fn a_missing_segment_is_named_the_newest_too() {
    let world = World::new(11);
    let (groups, _) = sample(&world);
    let names = world.list_all();
    assert!(names.len() > 2);
    for name in names.iter().rev() {
        let saved = world.read_file(name).unwrap();
        world.env().files.remove(name).unwrap();
        // What lies before the first segment may have been trimmed; whoever needs it knows better.
        if name != &names[0] {
            let err = open(&world, Lsn::ZERO).err().unwrap();
            assert_eq!(err.code(), Code::FormatCorrupt, "{name:?}");
            assert_eq!(err.value("path"), name.to_str(), "{name:?}");
            assert!(verify(&world.env(), Path::new(DIR), &mut |_| Ok(())).is_err());
        }
        world.write_file(name, &saved).unwrap();
    }
    assert_eq!(read(&open(&world, Lsn::ZERO).unwrap()), groups);
}

#[test]
fn a_segment_that_was_begun_for_nothing_goes_and_is_not_missed() {
    let mut begun = 0;
    for seed in 0..64 {
        let world = World::new(seed);
        let (groups, _) = sample(&world);
        let mut log = open(&world, Lsn::ZERO).unwrap();
        let segments = log.segment_starts().count();
        // The group that moves on to the next segment does not reach the disk, whatever of the rest does.
        while log.segment_starts().count() == segments {
            log.sync().unwrap();
            append(&mut log, 1, &[7; 900]).unwrap();
        }
        let durable = log.synced();
        drop(log);
        world.crash(&mut Random::new(seed));
        begun += u32::from(world.list_all().len() > segments);
        // Taking the note back may fail; neither that nor the next power loss makes the log miss a segment.
        for nth in 1..4 {
            world.faults().fail_sync(nth);
            let _ = open(&world, Lsn::ZERO);
            world.faults().clear();
            world.crash(&mut Random::new(seed + nth));
            let log = open(&world, Lsn::ZERO).unwrap_or_else(|e| panic!("seed {seed}, sync {nth}: {e}"));
            assert!(log.head().lsn >= durable && read(&log).len() >= groups.len());
        }
    }
    assert!(begun > 0);
}

#[test]
fn a_segment_that_cannot_be_made_ahead_keeps_no_space() {
    let world = World::new(12);
    let mut log = open(&world, Lsn::ZERO).unwrap();
    assert!(!log.preparer().step().unwrap(), "nothing is made ahead for a log that is hardly used");
    append(&mut log, 1, &noise(1, 1 << 10)).unwrap();
    log.sync().unwrap();
    let before = world.list_all();
    world.faults().set_capacity(Some(12 << 10));
    assert_eq!(log.preparer().step().unwrap_err().code(), Code::DiskFull);
    assert_eq!(world.list_all(), before);
    // The log goes on meanwhile, and so does the preparer once there is space.
    append(&mut log, 1, b"on").unwrap();
    log.sync().unwrap();
    world.faults().set_capacity(None);
    while log.preparer().step().unwrap() {}
    assert_eq!(world.list_all().len(), before.len() + 1);
    // What was made ahead goes when the log is closed.
    log.preparer().discard().unwrap();
    assert_eq!(world.list_all(), before);
}

#[test]
fn a_log_that_begins_anew_takes_little_and_loses_nothing() {
    for seed in 0..32 {
        let world = World::new(seed);
        let (groups, _) = sample(&world);
        let mut log = open(&world, Lsn::ZERO).unwrap();
        let (head, bytes) = (log.head(), log.bytes());
        while log.quarters_used() == 0 {
            append(&mut log, 1, &[3; 300]).unwrap();
        }
        while log.preparer().step().unwrap() {}
        log.begin_anew().unwrap();
        assert_eq!(log.synced(), log.head().lsn);
        // Whatever of the removals a power loss leaves, the log opens.
        world.faults().fail_sync(seed % 7);
        let anew = log.head();
        let trimmed = trim(&mut log, anew.lsn.next());
        assert!(trimmed.is_err() || log.bytes() < bytes.min(9 << 10));
        drop(log);
        world.faults().clear();
        world.crash(&mut Random::new(seed));
        let opened = LocalLog::open(&world.env(), Path::new(DIR), options(), anew.lsn).unwrap();
        assert_eq!(opened.chain_at, Some(anew.chain));
        let mut log = opened.log;
        assert!(
            log.head().lsn == anew.lsn
                && anew.lsn >= head.lsn
                && head.lsn == groups[groups.len() - 1].last_lsn()
        );
        trim(&mut log, anew.lsn.next()).unwrap();
        assert_eq!((log.segment_starts().count(), world.list_all().len()), (1, 1));
        append(&mut log, 1, b"on").unwrap();
        assert_eq!(log.sync().unwrap(), anew.lsn.next());
        assert_eq!(verify(&world.env(), Path::new(DIR), &mut |_| Ok(())).unwrap().head.lsn, anew.lsn.next());
    }
}
