//! A full disk and a read-only mount, on real file systems in a mount namespace of their own.
//!
//! Where mounting is not permitted the tests say so; the same refusals on the simulated disk are in `machine.rs`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use agentdb::Value;

const PUTS: usize = 300;

/// Runs a shell script where it may mount. `$DIR` is a directory, `$MNT` an empty one in it, `$BIN` the tool.
fn in_namespace(dir: &Path, script: &str) -> Output {
    fs::create_dir(dir.join("mnt")).unwrap();
    // Root mounts as itself (a loop device needs that), anyone else as root of a user namespace.
    let root = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|s| s.success());
    Command::new("unshare")
        .args([if root { "-m" } else { "-rm" }, "sh", "-c", script])
        .env("DIR", dir)
        .env("MNT", dir.join("mnt"))
        .env("BIN", env!("CARGO_BIN_EXE_agentdb"))
        .output()
        .expect("unshare is installed")
}

/// Exit code of a script whose mount was not permitted.
const NOT_PERMITTED: i32 = 77;

const MOUNT_TMPFS: &str = "mount -t tmpfs -o size=24m tmpfs $MNT 2>/dev/null || exit 77\n";
const MOUNT_EXT4: &str = "
    dd if=/dev/zero of=$DIR/image bs=1M count=32 status=none
    mkfs.ext4 -q $DIR/image 2>/dev/null && mount -o loop $DIR/image $MNT 2>/dev/null || exit 77
";

const FILL: &str = r#"
    set -eu
    trap 'umount $MNT' EXIT
    run() { "$BIN" --db $MNT/db --json "$@"; }
    run state put a first 1 > /dev/null
    dd if=/dev/zero of=$MNT/filler bs=64k status=none 2>/dev/null || true
    run pipe < $DIR/puts > $DIR/acknowledged
    run blob put $DIR/puts 2> $DIR/upload || echo $? > $DIR/upload.code
    "$BIN" --db $MNT/second --json state put a first 1 2> $DIR/second || echo $? > $DIR/second.code
    rm $MNT/filler
    run pipe < $DIR/gets > $DIR/found
    run verify > $DIR/verified
"#;

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// 64 KiB that no packing makes shorter.
fn value(number: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = number as u64 + 1;
    let letter = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(LETTERS[(state >> 58) as usize])
    };
    (0..64 << 10).map(letter).collect()
}

fn survives_a_full_disk(name: &str, mount: &str) {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (mut puts, mut gets) = (Vec::new(), Vec::new());
    for number in 0..PUTS {
        let key = format!(r#""owner":"a","key":"k{number}""#);
        let value = value(number);
        writeln!(puts, r#"{{"op":"state.put","request":{{{key},"value":"{value}"}}}}"#).unwrap();
        writeln!(gets, r#"{{"op":"state.get","request":{{{key}}}}}"#).unwrap();
    }
    fs::write(dir.join("puts"), puts).unwrap();
    fs::write(dir.join("gets"), gets).unwrap();
    let output = in_namespace(dir, &format!("{mount}{FILL}"));
    if output.status.code() == Some(NOT_PERMITTED) {
        println!("{name} cannot be mounted here: a full disk is tried on the simulated disk only");
        return;
    }
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let answers = lines(&dir.join("acknowledged"));
    assert_eq!(answers.len(), PUTS);
    let good = answers.iter().take_while(|a| a["lsn"].is_u64()).count();
    assert!(good > 10 && good < PUTS, "{name}: {good} acknowledged");
    let failed: Vec<&Value> = answers[good..].iter().map(|a| &a["error"]).collect();
    assert_eq!(failed[0]["name"], "outcome_unknown", "{name}");
    for error in &failed {
        assert!(error["message"].as_str().unwrap().contains("the disk is full"), "{name}: {error}");
    }
    assert!(failed[1..].iter().all(|error| error["name"] == "poisoned"), "{name}");
    for (number, found) in lines(&dir.join("found")).iter().enumerate() {
        if number < good {
            assert_eq!(found["response"]["value"], value(number), "{name}: k{number} is lost");
        } else if number > good {
            assert_eq!(found["error"]["name"], "state_not_found", "{name}: k{number} was refused");
        }
    }
    assert_eq!(lines(&dir.join("verified"))[0]["problems"], serde_json::json!([]), "{name}");
    for refused in ["upload", "second"] {
        assert_eq!(fs::read_to_string(dir.join(format!("{refused}.code"))).unwrap().trim(), "15", "{name}");
        let error = &lines(&dir.join(refused))[0]["error"];
        assert_eq!(error["name"], "disk_full", "{name}: {error}");
        assert!(error["values"]["path"].as_str().unwrap().contains("mnt"), "{name}: {error}");
    }
    println!("{name}: {good} of {PUTS} acknowledged before the disk was full, all of them there afterwards");
}

#[test]
fn what_was_acknowledged_before_the_disk_was_full_is_there_once_there_is_space() {
    survives_a_full_disk("tmpfs", MOUNT_TMPFS);
    survives_a_full_disk("ext4", MOUNT_EXT4);
}

#[test]
fn a_read_only_mount_is_refused_and_nothing_changes() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let script = r#"
        set -eu
        mkdir $DIR/data
        "$BIN" --db $DIR/data/db state put a k 1 > /dev/null
        (cd $DIR/data && find . -type f | sort | xargs sha256sum) > $DIR/before
        mount --bind $DIR/data $MNT 2>/dev/null || exit 77
        mount -o remount,bind,ro $MNT 2>/dev/null || exit 77
        for what in "state get a k" "state put a k 2" "verify"; do
            "$BIN" --db $MNT/db --json $what 2>> $DIR/refused || echo $? >> $DIR/codes
        done
        "$BIN" --db $MNT/db --json log verify > $DIR/verified
        umount $MNT
        (cd $DIR/data && find . -type f | sort | xargs sha256sum) > $DIR/after
        "$BIN" --db $DIR/data/db --json state get a k > $DIR/found
    "#;
    let output = in_namespace(dir, script);
    if output.status.code() == Some(NOT_PERMITTED) {
        println!("mounting is not permitted here: a read-only mount is tried on the simulated disk only");
        return;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_to_string(dir.join("codes")).unwrap(), "15\n15\n15\n");
    let refused = lines(&dir.join("refused"));
    assert_eq!(refused.len(), 3);
    assert!(refused.iter().all(|r| r["error"]["name"] == "read_only"), "{refused:?}");
    assert_eq!(lines(&dir.join("verified"))[0]["last_lsn"], 1);
    assert_eq!(fs::read(dir.join("before")).unwrap(), fs::read(dir.join("after")).unwrap());
    assert_eq!(lines(&dir.join("found"))[0]["value"], 1);
}
