//! The commands in pages of docs/ run from top to bottom, as they stand there, on a fresh database a page.

use std::path::Path;
use std::process::Command;

/// Pages whose shell blocks are whole.
const PAGES: [&str; 10] = [
    "collections.md",
    "export.md",
    "items.md",
    "jobs.md",
    "load.md",
    "links.md",
    "retention.md",
    "search.md",
    "time-travel.md",
    "tool-calls.md",
];

/// The shell blocks of a page, one after another.
fn commands(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.collect::<Vec<_>>().concat()
}

#[test]
fn the_commands_of_pages_run_from_top_to_bottom() {
    for page in PAGES {
        let dir = tempfile::tempdir().unwrap();
        let script = commands(page);
        assert!(script.contains("agentdb "), "{page} has no commands");
        let tool = "agentdb() { \"$AGENTDB\" --db ./db \"$@\"; }";
        let output = Command::new("bash")
            .args(["-euxc", &format!("{tool}\n{script}")])
            .env("AGENTDB", env!("CARGO_BIN_EXE_agentdb"))
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{page}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
