//! Checks of the tree that neither the compiler nor clippy makes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::codegen;

/// The crates that each crate may depend on: arrows that never turn back.
const ARROWS: [(&str, &[&str]); 11] = [
    ("agentdb-types", &[]),
    ("agentdb-env", &["agentdb-types"]),
    ("agentdb-log", &["agentdb-types", "agentdb-env"]),
    ("agentdb-vector", &["agentdb-types"]),
    ("agentdb-text", &["agentdb-types"]),
    ("agentdb-engine", &["agentdb-types", "agentdb-env", "agentdb-log", "agentdb-text", "agentdb-vector"]),
    ("agentdb-models", &["agentdb-types"]),
    ("agentdb", &["agentdb-types", "agentdb-env", "agentdb-log", "agentdb-engine", "agentdb-models"]),
    ("agentdb-cli", &["agentdb", "agentdb-env", "agentdb-models"]),
    ("agentdb-sim", &["agentdb-types", "agentdb-env", "agentdb-log", "agentdb-text", "agentdb-engine"]),
    ("xtask", &["agentdb-types", "agentdb-engine"]),
];

const LONGEST: usize = 900;

/// Everything that is wrong, a line each.
pub(crate) fn check(root: &Path) -> Vec<String> {
    let mut problems = directions(root);
    for path in sources(root) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        problems.extend(file(&name, &text));
    }
    for path in sources(root).iter().filter(|path| path.starts_with(root.join("crates/agentdb/src"))) {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        problems.extend(examples(&path.strip_prefix(root).unwrap_or(path).display().to_string(), &text));
    }
    problems.extend(dead(root));
    for (name, expected) in codegen::files(root) {
        if std::fs::read_to_string(root.join(&name)).ok().as_deref() != Some(&expected) {
            problems.push(format!("{name}: not what `make docs` writes"));
        }
    }
    problems
}

fn directions(root: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, allowed) in ARROWS {
        let dir = if name == "xtask" { root.join(name) } else { root.join("crates").join(name) };
        let manifest = std::fs::read_to_string(dir.join("Cargo.toml")).unwrap_or_default();
        problems.extend(manifest_problems(name, allowed, &manifest));
    }
    problems
}

fn manifest_problems(name: &str, allowed: &[&str], manifest: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section == "[dependencies]"
            && let Some((dependency, _)) = line.split_once([' ', '.', '='])
            && dependency.starts_with("agentdb")
            && !allowed.contains(&dependency)
        {
            problems.push(format!("{name}: must not depend on {dependency}"));
        }
    }
    for field in ["license.workspace = true", "[lints]"] {
        if !manifest.contains(field) {
            problems.push(format!("{name}: its Cargo.toml lacks `{field}`"));
        }
    }
    problems
}

fn sources(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![root.join("crates"), root.join("xtask")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn file(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !text.starts_with("//!") {
        problems.push(format!("{name}: does not start with a module comment"));
    }
    if text.lines().count() > LONGEST {
        problems.push(format!("{name}: longer than {LONGEST} lines"));
    }
    for word in ["TO\u{44}O", "FIX\u{4d}E", "XX\u{58}"] {
        if text.contains(word) {
            problems.push(format!("{name}: holds {word}"));
        }
    }
    problems
}

/// Public functions of the facade without an example that is run, those that a macro makes included.
fn examples(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let (mut fences, mut run) = (0, false);
    for (line, number) in text.lines().map(str::trim_start).zip(1..) {
        if let Some(doc) = line.strip_prefix("///") {
            if let Some(kind) = doc.trim_start().strip_prefix("```") {
                // Every other fence ends a block.
                run |= fences % 2 == 0 && matches!(kind.trim(), "" | "rust" | "should_panic");
                fences += 1;
            }
            continue;
        }
        if line.starts_with("#[") || line.starts_with("#![") {
            continue;
        }
        let qualified = ["const ", "async ", "unsafe "];
        let mut item = line.strip_prefix("pub ").unwrap_or_default();
        while let Some(rest) = qualified.iter().find_map(|word| item.strip_prefix(word)) {
            item = rest;
        }
        if let Some(function) = item.strip_prefix("fn ")
            && !run
        {
            let function = function.split(['(', '<']).next().unwrap_or_default();
            problems.push(format!("{name}:{number}: pub fn {function} has no example that is run"));
        }
        (fences, run) = (0, false);
    }
    problems
}

/// Files that no `mod` declares.
fn dead(root: &Path) -> Vec<String> {
    let files = sources(root);
    let texts: BTreeMap<&PathBuf, String> =
        files.iter().map(|f| (f, std::fs::read_to_string(f).unwrap_or_default())).collect();
    let mut problems = Vec::new();
    for path in &files {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let parent = path.parent().unwrap_or(root);
        let in_root = ["src", "examples", "benches"].iter().any(|d| parent.ends_with(d));
        if matches!(stem, "lib" | "main") || parent.ends_with("examples") || parent.ends_with("tests") {
            continue;
        }
        // `a/b.rs` is declared in `a.rs` or `a/mod.rs` (or lib.rs, main.rs in a root); `a/mod.rs` one level up.
        let (module, dir) = if stem == "mod" {
            let name = parent.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            (name, parent.parent().unwrap_or(root))
        } else {
            (stem, parent)
        };
        let mut declaring =
            vec![dir.join("mod.rs"), dir.join("lib.rs"), dir.join("main.rs"), dir.with_extension("rs")];
        if in_root {
            declaring.push(dir.join("lib.rs"));
        }
        let declared = |text: &String| {
            text.contains(&format!("mod {module};")) || text.contains(&format!("mod {module} {{"))
        };
        if !declaring.iter().any(|d| texts.get(d).is_some_and(declared)) {
            problems.push(format!(
                "{}: no module declares it",
                path.strip_prefix(root).unwrap_or(path).display()
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        assert_eq!(check(root), Vec::<String>::new());
    }

    #[test]
    fn each_check_fails_on_a_bad_example() {
        let manifest =
            "license.workspace = true\n[lints]\n[dependencies]\nagentdb-engine = { workspace = true }\n";
        assert_eq!(manifest_problems("agentdb-log", &["agentdb-types"], manifest).len(), 1);
        assert_eq!(manifest_problems("x", &[], "").len(), 2);
        assert_eq!(file("a.rs", "fn x() {}").len(), 1);
        assert_eq!(file("a.rs", &format!("//! a\n{}", "TO\u{44}O")).len(), 1);
        assert_eq!(file("a.rs", &format!("//! a\n{}", "\n".repeat(1000))).len(), 1);
        let with = "/// Does.\n///\n/// ```\n/// run();\n/// ```\n#[must_use]\n";
        for function in ["pub fn run() {}", "    pub async fn run() {}", "pub const fn run() {}"] {
            assert_eq!(examples("a.rs", &format!("{with}{function}")), Vec::<String>::new());
            let not_run = with.replace("```\n/// run", "```ignore\n/// run");
            for without in ["/// Does.\n", "", &not_run, &format!("{with}struct Other;\n")] {
                assert_eq!(examples("a.rs", &format!("{without}{function}")).len(), 1, "{without}{function}");
            }
        }
        // One that a macro makes is written out in it like any other; one that is not public needs none.
        let made =
            "macro_rules! options {\n    () => {\n        /// Says.\n        pub fn ack() {}\n    };\n}";
        assert_eq!(examples("a.rs", made), ["a.rs:4: pub fn ack has no example that is run"]);
        assert_eq!(examples("a.rs", "pub(crate) fn a() {}\nfn b() {}"), Vec::<String>::new());
        let dir = tempfile::tempdir().unwrap();
        let src = dir.path().join("crates/a/src");
        std::fs::create_dir_all(&src).unwrap();
        std::fs::write(src.join("lib.rs"), "//! a\nmod used;").unwrap();
        std::fs::write(src.join("used.rs"), "//! u").unwrap();
        std::fs::write(src.join("unused.rs"), "//! u").unwrap();
        assert_eq!(dead(dir.path()), ["crates/a/src/unused.rs: no module declares it"]);
    }
}
