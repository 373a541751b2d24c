//! What the simulated machine cannot show: the system's error numbers, threads, real randomness.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agentdb_types::Code;
use rustix::io::Errno;

use super::files::{Access, error};
use crate::{Env, OpenMode};

#[test]
fn error_numbers_become_codes() {
    for (errno, access, code) in [
        (Errno::NOSPC, Access::Write, Code::DiskFull),
        (Errno::DQUOT, Access::Write, Code::DiskFull),
        (Errno::ROFS, Access::Write, Code::ReadOnly),
        (Errno::ACCESS, Access::Write, Code::ReadOnly),
        (Errno::PERM, Access::Write, Code::ReadOnly),
        (Errno::ACCESS, Access::Read, Code::Io),
        (Errno::IO, Access::Write, Code::Io),
    ] {
        let err = error("write", Path::new("/db/log"), access, errno.into());
        assert_eq!(err.code(), code, "{errno}");
        assert_eq!(err.value("path"), Some("/db/log"));
        assert!(!err.message().contains("(not given)"), "{err}");
    }
    let err = error("write", Path::new("x"), Access::Write, io::Error::other("odd"));
    assert_eq!((err.code(), err.value("reason")), (Code::Io, Some("odd")));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_a_full_disk() {
    let file = Env::real().files.open(Path::new("/dev/full"), OpenMode::Write).unwrap();
    let err = file.write_at(0, b"x").unwrap_err();
    assert_eq!((err.code(), err.value("operation")), (Code::DiskFull, Some("write")));
}

#[test]
fn a_thread_runs_and_is_waited_for_even_if_it_panics() {
    let threads = Env::real().threads;
    let ran = Arc::new(AtomicBool::new(false));
    let seen = ran.clone();
    let body = Box::new(move || seen.store(true, Ordering::SeqCst));
    threads.spawn("agentdb\0test", body).unwrap().join();
    assert!(ran.load(Ordering::SeqCst));
    // Unwinds without the panic hook, so that the test prints nothing.
    threads.spawn("panics", Box::new(|| std::panic::resume_unwind(Box::new("on purpose")))).unwrap().join();
}

#[test]
fn the_clock_runs_and_randomness_differs() {
    let env = Env::real();
    let (wall, start) = (env.clock.wall(), env.clock.monotonic_us());
    assert!(wall > "2024-01-01T00:00:00Z".parse().unwrap());
    assert!(env.clock.monotonic_us() >= start);
    let (mut a, mut b) = ([0; 32], [0; 32]);
    env.entropy.fill(&mut a);
    env.entropy.fill(&mut b);
    assert_ne!(a, b);
}

/// That it counts sleep cannot be shown without sending the machine to sleep; that it is the clock which does can be.
#[cfg(target_os = "linux")]
#[test]
fn elapsed_time_is_that_of_the_clock_which_counts_sleep() {
    let uptime = || {
        let text = std::fs::read_to_string("/proc/uptime").unwrap();
        let seconds: f64 = text.split(' ').next().unwrap().parse().unwrap();
        seconds
    };
    let before = uptime();
    let elapsed = super::elapsed().as_secs_f64();
    let after = uptime();
    // The file rounds down to hundredths.
    assert!(elapsed >= before - 0.01 && elapsed <= after + 0.02, "{before} {elapsed} {after}");
}
