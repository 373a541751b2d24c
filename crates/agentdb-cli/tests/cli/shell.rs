//! The shell, as a script and at a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Output, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::json;

use super::{agentdb, json, refused};

fn script(dir: &Path, arguments: &[&str], text: &[u8]) -> Output {
    let command = &mut agentdb(dir);
    let pipes = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_script_runs_on_one_open_database_and_inherits_the_options() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    json(dir, &["namespace", "create", "team"]);
    let text = "
        state put ann plan '{
            \"step\": 1}'
        # a comment
        state get ann plan
        use team
        state put ann plan 2 # elsewhere
        state get ann plan
        -n default state get ann plan
        exit
        state put ann plan 3
    ";
    let output = script(dir, &["--json", "--principal", "me", "shell"], text.as_bytes());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    let values: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["value"].take())
        .filter(|value| !value.is_null())
        .collect();
    assert_eq!(values, [json!({"step": 1}), json!(2), json!({"step": 1})]);
    let log = agentdb(dir).args(["--json", "log", "read"]).output().unwrap().stdout;
    let principals = String::from_utf8(log).unwrap().matches(r#""principal":"me""#).count();
    assert_eq!(principals, 2, "both puts, and nothing else");
}

#[test]
fn mistakes_of_a_script_are_told_and_the_rest_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let text = b"state get ann plan\nuse nowhere\nfly\nstate put ann plan 1\n--db other state get ann plan\n\
        tour\nstate \xff\nuse nowhere\nstate put ann 'open\n";
    let output = script(dir, &["shell"], text);
    assert_eq!(output.status.code(), Some(12), "the first failure's: there is no database yet");
    let errors = String::from_utf8(output.stderr).unwrap();
    for told in [
        "there is no database",
        "unrecognized subcommand 'fly'",
        "the shell has",
        "unrecognized subcommand 'tour'",
        "namespace",
        "a quote is not closed",
    ] {
        assert!(errors.contains(told), "{told:?} is not in {errors}");
    }
    assert_eq!(json(dir, &["state", "get", "ann", "plan"])["value"], 1);
    assert!(!dir.join("other").exists());
}

/// A shell at a terminal of the test's own.
struct Terminal {
    screen: File,
    child: Child,
    seen: String,
}

impl Terminal {
    fn open(dir: &Path) -> Self {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&screen, size).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap();
        let end = || File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let mut command = agentdb(dir);
        command.arg("shell").env("TERM", "xterm").env("AGENTDB_HISTORY", dir.join("state/history"));
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        Terminal { screen: File::from(screen), child, seen: String::new() }
    }

    fn keys(&mut self, keys: &str) {
        self.screen.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads until the screen has shown this after what was asked for before.
    fn until(&mut self, text: &str) {
        const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };
        let mut bytes = [0; 4096];
        while !self.seen.contains(text) {
            let ready = poll(&mut [PollFd::new(&self.screen, PollFlags::IN)], Some(&PATIENCE)).unwrap();
            let read = if ready == 0 { 0 } else { self.screen.read(&mut bytes).unwrap_or(0) };
            assert!(read > 0, "{text:?} was never shown after {:?}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        let end = self.seen.find(text).unwrap() + text.len();
        self.seen.drain(..end);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_terminal_has_completion_history_and_a_database_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    json(dir, &["namespace", "create", "team"]);
    let mut terminal = Terminal::open(dir);
    terminal.until("default> ");
    terminal.keys("sta\tpu\tann plan 7\r");
    terminal.until("version");
    terminal.until("default> ");
    assert_eq!(refused(dir, &["state", "get", "ann", "plan"]), (15, "locked".to_owned()));
    terminal.keys("state delete ann plan\x03");
    terminal.until("default> ");
    terminal.keys("use team\r");
    terminal.until("team> ");
    terminal.keys("state put ann plan '{\r\"step\": 8}'\r");
    terminal.until("version");
    terminal.until("team> ");
    terminal.keys("\x1b[A\r");
    terminal.until("version");
    terminal.until("team> ");
    terminal.keys("\x04");
    assert!(terminal.child.wait().unwrap().success());
    assert_eq!(json(dir, &["state", "get", "ann", "plan"])["value"], 7);
    let entry = json(dir, &["-n", "team", "state", "get", "ann", "plan"]);
    assert_eq!(entry["value"], json!({"step": 8}));
    let history = dir.join("state/history");
    assert!(std::fs::read_to_string(&history).unwrap().contains("state put ann plan 7"));
    assert_eq!(std::fs::metadata(&history).unwrap().permissions().mode() & 0o777, 0o600);
}
