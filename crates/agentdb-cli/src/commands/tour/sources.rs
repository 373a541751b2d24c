//! The documents: the Markdown files of the project's dependencies, or those of a directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use agentdb::{Code, Error, Result};
use agentdb_env::Env;
use serde_json::Value;

use crate::arguments;

/// A document to store.
pub(super) struct Document {
    /// A name that stays the same from run to run.
    pub(super) name: String,
    pub(super) text: String,
}

pub(super) struct Sources {
    pub(super) documents: Vec<Document>,
    /// What was seen and left out, to be told.
    pub(super) left_out: String,
}

pub(super) fn find(dir: Option<&Path>) -> Result<Sources> {
    let mut found = Vec::new();
    match dir {
        Some(dir) => walk(dir, dir, &mut found)?,
        None => dependencies(&mut found)?,
    }
    found.sort();
    let mut sources = Sources { documents: Vec::new(), left_out: String::new() };
    let (mut changelogs, mut not_text) = (0, 0);
    for (name, path) in found {
        let base = name.rsplit('/').next().unwrap_or_default().to_lowercase();
        if dir.is_none()
            && ["change", "release", "history", "news"].iter().any(|start| base.starts_with(start))
        {
            changelogs += 1;
            continue;
        }
        match String::from_utf8(arguments::file(&path)?) {
            Ok(text) if !text.trim().is_empty() => sources.documents.push(Document { name, text }),
            _ => not_text += 1,
        }
    }
    if changelogs + not_text > 0 {
        sources.left_out = format!(" (left out: {changelogs} changelogs, {not_text} empty or not UTF-8)");
    }
    Ok(sources)
}

/// The Markdown files in the root of every package that this workspace depends on.
fn dependencies(found: &mut Vec<(String, PathBuf)>) -> Result<()> {
    let failed = |reason: String| {
        Error::new(Code::Io)
            .with("operation", "run")
            .with("path", "cargo metadata (give --docs DIR outside a Rust workspace)")
            .with("reason", reason)
    };
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|e| failed(e.to_string()))?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = format!(
            "{}-{}",
            package["name"].as_str().unwrap_or("?"),
            package["version"].as_str().unwrap_or("?")
        );
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let Some(dir) = manifest.parent() else { continue };
        for file in Env::real().files.list(dir)?.into_iter().filter(|f| is_document(f)) {
            found.push((format!("{name}/{file}"), dir.join(file)));
        }
    }
    Ok(())
}

fn is_document(file: &str) -> bool {
    let lower = file.to_lowercase();
    lower.ends_with(".md")
        || lower.ends_with(".markdown")
        || lower.ends_with(".txt") && lower.starts_with("readme")
}

fn walk(root: &Path, dir: &Path, found: &mut Vec<(String, PathBuf)>) -> Result<()> {
    for name in Env::real().files.list(dir)? {
        let path = dir.join(&name);
        if path.is_dir() && !path.is_symlink() {
            walk(root, &path, found)?;
        } else if path.is_file() && (is_document(&name) || name.to_lowercase().ends_with(".txt")) {
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            found.push((relative, path));
        }
    }
    Ok(())
}
