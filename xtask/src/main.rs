//! The project's own tasks: `cargo xtask tidy` checks the tree, `cargo xtask codegen` writes the generated documentation.
#![allow(clippy::disallowed_methods)] // A build tool works on the source tree, not in the simulator.

mod codegen;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let problems = match std::env::args().nth(1).as_deref() {
        Some("codegen") => codegen::write(root),
        Some("tidy") => tidy::check(root),
        _ => vec!["usage: cargo xtask tidy | codegen".to_owned()],
    };
    for problem in &problems {
        eprintln!("{problem}");
    }
    ExitCode::from(u8::from(!problems.is_empty()))
}
