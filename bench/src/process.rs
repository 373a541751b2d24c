//! What this process has used so far, as the kernel counts it, and the machine that it runs on.

use std::fs;
use std::time::Duration;

/// Bytes that this process made dirty for a disk, from `/proc/self/io`.
pub fn written_bytes() -> u64 {
    field("/proc/self/io", "write_bytes:").unwrap_or(0)
}

/// Resident memory of this process in bytes.
pub fn resident_bytes() -> u64 {
    field("/proc/self/status", "VmRSS:").unwrap_or(0) * 1024
}

/// The part of the resident memory that is the process's own, mapped files left out.
pub fn anonymous_bytes() -> u64 {
    field("/proc/self/status", "RssAnon:").unwrap_or(0) * 1024
}

/// Processor time of the calling thread.
pub fn thread_cpu() -> Duration {
    cpu(libc::RUSAGE_THREAD)
}

/// Processor time of the whole process.
pub fn process_cpu() -> Duration {
    cpu(libc::RUSAGE_SELF)
}

/// Makes the calling thread's sleeps end when they should, not up to 50 µs later.
pub fn sharpen_sleep() {
    // SAFETY: the call takes plain numbers and touches no memory of ours.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1, 0, 0, 0);
    }
}

/// One line on the machine: processor, cores, memory, kernel.
pub fn machine() -> String {
    let cpu = text_field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
    let cores = std::thread::available_parallelism().map_or(0, |n| n.get());
    let memory = field("/proc/meminfo", "MemTotal:").unwrap_or(0) / (1024 * 1024);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cpu}, {cores} cores (virtual machine), {memory} GiB, Linux {}", kernel.trim())
}

/// Today as `YYYY-MM-DD`, UTC.
pub fn today() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seconds = now.as_secs() as libc::time_t;
    // SAFETY: `tm` is plain numbers, for which zero is valid; both pointers are to live locals.
    let tm = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        libc::gmtime_r(&seconds, &mut tm);
        tm
    };
    format!("{:04}-{:02}-{:02}", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday)
}

fn cpu(who: libc::c_int) -> Duration {
    // SAFETY: `rusage` is plain numbers, for which zero is valid; the pointer is to a live local.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &mut usage);
        usage
    };
    let part = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    part(usage.ru_utime) + part(usage.ru_stime)
}

fn text_field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line[name.len()..].trim_matches([':', ' ', '\t']).to_string())
}

fn field(path: &str, name: &str) -> Option<u64> {
    text_field(path, name)?.split_whitespace().next()?.parse().ok()
}
